"""Whatever happens to the workers and to the delivery, the conversation in the log is the same one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES, INTERACTION_TURNS
from tests.pipeline.rig import Rig, encoded_frame, memory_rig, publish, read_all
from tests.pipeline.test_interaction_worker import Delegating, by_session, essence, result

pytestmark = pytest.mark.timeout(300)

TICKS = 24
SESSIONS = ("a", "b", "c")
RESULT_AT = 12


@dataclass(frozen=True)
class Frames:
    """The next ``count`` ticks of all sessions; ``twice`` sends them again, ``swapped`` in the wrong order."""

    count: int
    twice: bool
    swapped: bool


steps = st.lists(
    st.one_of(
        st.builds(Frames, st.integers(1, 4), st.booleans(), st.booleans()),
        st.sampled_from(["crash", "stop", "join", "rebalance"]),
    ),
    min_size=4,
    max_size=14,
)


class Player:
    """Feeds a fixed conversation to changing workers."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.tick = 0
        self.workers: list[str] = []
        self.born = 0

    async def join(self) -> None:
        name = f"interaction-{self.born}"
        self.born += 1
        await self.rig.interaction(name, Delegating(), max_records=5)
        self.workers.append(name)

    async def send(self, frames: Frames) -> None:
        until = min(TICKS, self.tick + frames.count)
        if self.tick <= RESULT_AT < until:
            await self._send(range(self.tick, RESULT_AT), frames)
            if not self.workers:
                await self.join()
            await read_all(self.rig.log, INTERACTION_TURNS, RESULT_AT * len(SESSIONS))
            await publish(
                self.rig.log, BACKGROUND_RESULTS, [result(s, r.ResultKind.FINAL, "a b c d") for s in SESSIONS]
            )
            await self._send(range(RESULT_AT, until), frames)
        else:
            await self._send(range(self.tick, until), frames)
        self.tick = until

    async def _send(self, ticks: range, frames: Frames) -> None:
        order = list(ticks)
        if frames.swapped:
            order.reverse()
        batch = [encoded_frame(s, k) for k in order for s in SESSIONS]
        await publish(self.rig.log, ENCODER_FRAMES, batch + batch if frames.twice else batch)

    async def do(self, step: Frames | str) -> None:
        if isinstance(step, Frames):
            await self.send(step)
        elif step == "join" and len(self.workers) < 3:
            await self.join()
        elif step == "crash" and self.workers:
            await self.rig.crash(self.workers.pop(0))
        elif step == "stop" and self.workers:
            await self.rig.stop(self.workers.pop())
        elif step == "rebalance" and self.workers:
            self.rig.log.rebalance("interaction")

    async def finish(self) -> list[r.InteractionTurn]:
        """Send the rest, then tick by tick until the results, which no order binds to the frames, are said."""
        if not self.workers:
            await self.join()
        await self.do(Frames(max(1, TICKS - self.tick), twice=False, swapped=False))
        turns = await self._turns()
        while self.tick < TICKS + 20 and any(t.tasks for (_, k), t in accepted(turns).items() if k == self.tick - 1):
            await self._send(range(self.tick, self.tick + 1), Frames(1, twice=False, swapped=False))
            self.tick += 1
            turns = await self._turns()
        return turns

    async def _turns(self) -> list[r.InteractionTurn]:
        wanted = len(SESSIONS) * self.tick
        return await read_all(self.rig.log, INTERACTION_TURNS, wanted, done=lambda got: len(accepted(got)) == wanted)


def accepted(turns: list[r.InteractionTurn]) -> dict[tuple[str, int], r.InteractionTurn]:
    """What a consumer plays: the first turn of each tick that is not of an outdated epoch."""
    newest: dict[str, int] = {}
    played: dict[tuple[str, int], r.InteractionTurn] = {}
    for turn in turns:
        if turn.epoch >= newest.get(turn.session_id, 0):
            newest[turn.session_id] = turn.epoch
            played.setdefault((turn.session_id, turn.tick), turn)
    return played


async def conversation(script: list[Frames | str]) -> list[r.InteractionTurn]:
    async with memory_rig() as rig:
        player = Player(rig)
        await player.join()
        for step in script:
            await player.do(step)
        return await player.finish()


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps)
def test_no_fault_changes_what_is_said(script: list[Frames | str]) -> None:
    turns = asyncio.run(conversation(script))
    played = accepted(turns)
    ticks = 1 + max(k for _, k in played)
    assert ticks >= TICKS
    assert sorted(played) == sorted((s, k) for s in SESSIONS for k in range(ticks))
    for session in SESSIONS:
        own = [played[session, k] for k in range(ticks)]
        text = "".join(t.text for t in own).split()
        assert text == ["a", "b", "c", "d"], (session, text)
        names = [e.name for t in own for e in t.events]
        assert names == ["delegated", "weave_started", "weave_finished"], (session, names)
    for session, copies in by_session(turns).items():
        said: dict[int, set[object]] = {}
        for turn in copies:
            said.setdefault(turn.tick, set()).add(essence(turn))
        assert all(len(versions) == 1 for versions in said.values()), session
