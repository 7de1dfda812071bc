"""Whatever happens to the workers and to the delivery, the conversation in the log is the same one.

A state machine drives one conversation through any order of faults: workers and standbys that come, crash, stop,
freeze and thaw as zombies; frames that come twice, in the wrong order, or again long after. In the end the turns that
count are those of a worker that lived through it alone.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES
from shared.log.memory import MemoryLog
from tests.pipeline.rig import PARTITIONS, Counting, Rig, encoded_frame, publish, turns_that_count
from tests.pipeline.test_interaction_worker import Delegating, result

pytestmark = pytest.mark.timeout(600)

TICKS = 24
SESSIONS = ("a", "b", "c")
RESULT_AT = 12
MOST_WORKERS = 3


class Conversation(RuleBasedStateMachine):
    """One conversation. Each rule is a fault, or feeds some more of it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.log = MemoryLog()
        self.rig = Rig(self.log)
        self.tick = 0
        self.born = 0
        self.alive: list[str] = []
        self.frozen: list[str] = []
        self.run(self.log.create_topics(PARTITIONS))

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(step)

    # --- what the workers are given

    @precondition(lambda self: self.tick < TICKS)
    @rule(count=st.integers(1, 4), twice=st.booleans(), swapped=st.booleans())
    def frames(self, count: int, twice: bool, swapped: bool) -> None:
        until = min(TICKS, self.tick + count)
        if self.tick <= RESULT_AT < until:
            self.send(range(self.tick, RESULT_AT), twice=twice, swapped=swapped)
            self.somebody_answers()
            self.run(turns_that_count(self.log, RESULT_AT * len(SESSIONS)))
            results = [result(s, r.ResultKind.FINAL, "a b c d") for s in SESSIONS]
            self.run(publish(self.log, BACKGROUND_RESULTS, results))
            self.tick = RESULT_AT
        self.send(range(self.tick, until), twice=twice, swapped=swapped)
        self.tick = until

    @precondition(lambda self: self.tick > 0)
    @rule(back=st.integers(1, TICKS))
    def late_frames(self, back: int) -> None:
        """What was sent long ago comes again, as from an encoder that was paused."""
        self.send(range(max(0, self.tick - back), self.tick))

    def send(self, ticks: range, *, twice: bool = False, swapped: bool = False) -> None:
        order = sorted(ticks, reverse=swapped)
        batch = [encoded_frame(s, k) for k in order for s in SESSIONS]
        self.run(publish(self.log, ENCODER_FRAMES, batch + batch if twice else batch))

    # --- what happens to the workers

    @precondition(lambda self: len(self.alive) + len(self.frozen) < MOST_WORKERS)
    @rule(standby=st.booleans())
    def join(self, standby: bool) -> None:
        name = f"interaction-{self.born}"
        self.born += 1
        self.run(self.rig.interaction(name, Delegating(), max_records=5, standby=standby))
        self.alive.append(name)

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, MOST_WORKERS))
    def crash(self, which: int) -> None:
        self.run(self.rig.crash(self.alive.pop(which % len(self.alive))))

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, MOST_WORKERS))
    def stop(self, which: int) -> None:
        self.run(self.rig.stop(self.alive.pop(which % len(self.alive))))

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, MOST_WORKERS), after=st.integers(0, 20))
    def freeze(self, which: int, after: int) -> None:
        """Stop one in its tracks, some steps of the event loop from here."""
        name = self.alive.pop(which % len(self.alive))
        self.frozen.append(name)
        self.run(steps(after))
        self.rig.freeze(name)

    @precondition(lambda self: self.frozen)
    @rule()
    def thaw(self) -> None:
        name = self.frozen.pop(0)
        self.rig.thaw(name)
        self.alive.append(name)

    def somebody_answers(self) -> None:
        if self.frozen and not self.alive:
            self.thaw()
        elif not self.alive:
            self.join(standby=False)

    # --- the end

    def teardown(self) -> None:
        try:
            if self.tick:
                judge(self.finish())
        finally:
            self.run(self.rig.stop_all())
            self.run(self.log.close())
            self.loop.close()

    def finish(self) -> Counting:
        """Send the rest, then tick by tick until the results, which no order binds to the frames, are said."""
        while self.frozen:
            self.thaw()
        self.somebody_answers()
        while self.tick < TICKS:
            self.frames(TICKS, twice=False, swapped=False)
        turns = self.turns()
        while self.tick < TICKS + 20 and any(turns[s, self.tick - 1].tasks for s in SESSIONS):
            self.send(range(self.tick, self.tick + 1))
            self.tick += 1
            turns = self.turns()
        return turns

    def turns(self) -> Counting:
        counting: Counting = self.run(turns_that_count(self.log, len(SESSIONS) * self.tick))
        return counting


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def judge(turns: Counting) -> None:
    ticks = 1 + max(k for _, k in turns)
    assert ticks >= TICKS
    assert sorted(turns) == sorted((s, k) for s in SESSIONS for k in range(ticks))
    for session in SESSIONS:
        own = [turns[session, k] for k in range(ticks)]
        assert "".join(t.text for t in own).split() == ["a", "b", "c", "d"], session
        names = [e.name for t in own for e in t.events]
        assert names == ["delegated", "weave_started", "weave_finished"], (session, names)
        # Echo's tokens are a checksum of all that it ever took in: what was lost, doubled or swapped would show.
        assert [t.tokens[1] for t in own] == undisturbed(session, ticks), session


def undisturbed(session: str, ticks: int) -> list[int]:
    """The tokens of a model that took in each frame once, in order."""
    chain = zlib.crc32(session.encode()) & 0xFFFF
    tokens = []
    for tick in range(ticks):
        tokens.append(zlib.crc32(encoded_frame(session, tick).embeddings, chain) & 0x7FFFFFFF)
        chain = tokens[-1] & 0xFFFF
    return tokens


class TestNoFaultChangesWhatIsSaid(Conversation.TestCase):
    settings = settings(
        max_examples=12,
        stateful_step_count=14,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
