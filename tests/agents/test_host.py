"""The host gives exactly one turn per tick, whatever the topic brings, and keeps conversations apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from infra.eval.agents.controls import SilentSession
from infra.eval.agents.host import TURN_BYTES, AgentHost
from infra.eval.agents.protocol import AgentSession, Reply
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, CAPTURE_FRAMES, DEAD_LETTERS, INTERACTION_TURNS
from shared.clock import SystemClock
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.memory import MemoryLog
from tests.agents.sound import START_MS, frame
from tests.pipeline.rig import PARTITIONS, publish, publish_raw, read_all


def loud(tick: int, session: str = "s", *, final: bool = False) -> r.CaptureFrame:
    """A frame that tells its tick by its samples."""
    return frame(tick, np.full(3200, 100 + tick, "<i2").tobytes(), session=session, final=final)


class Parrot(SilentSession):
    """Says the level that it heard and how many frames it has heard; passes on what the background said."""

    def __init__(self, session_id: str) -> None:
        self._id = session_id
        self._heard = 0
        self._results = ""

    def step(self, frame: r.CaptureFrame) -> Reply:
        self._heard += 1
        level = int(np.frombuffer(frame.audio, "<i2")[0])
        at = {"session_id": self._id, "timestamp_ms": frame.timestamp_ms}
        context = r.ContextPackage(span_start_ms=0, span_end_ms=0)
        task = r.BackgroundTask(**at, task_id=f"t{frame.tick}", deadline_ms=0, context=context)
        return Reply(
            floor=r.Floor.TAKE,
            text=f"{level} {self._heard} {self._results}".strip(),
            audio=bytes(TURN_BYTES),
            sides=(task,) if frame.text else (),
            results=(r.BackgroundResult(**at, task_id="own", seq=0, kind=r.ResultKind.FINAL),) if frame.text else (),
        )

    def offer(self, result: r.BackgroundResult) -> None:
        self._results += result.text


class Parrots:
    name = "parrot"

    async def __aenter__(self) -> Parrots:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def session(self, session_id: str) -> AgentSession:
        return Parrot(session_id)


@contextlib.asynccontextmanager
async def hosted() -> AsyncIterator[MemoryLog]:
    log = MemoryLog()
    await log.create_topics(PARTITIONS)
    settings = LoopSettings(service="agent", topics=(CAPTURE_FRAMES, BACKGROUND_RESULTS), group="eval-agent")
    loop = ConsumeLoop(log, AgentHost(Parrots(), SystemClock()), settings, clock=SystemClock())
    task = asyncio.create_task(loop.run())
    try:
        yield log
        loop.stop()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.close()


async def turns_of(frames: Sequence[r.CaptureFrame], ticks: int) -> list[r.InteractionTurn]:
    async with hosted() as log:
        await publish(log, CAPTURE_FRAMES, frames)
        return await read_all(log, INTERACTION_TURNS, ticks)


async def test_one_turn_for_every_tick_of_every_session() -> None:
    frames = [loud(k, s, final=k == 6) for k in range(7) for s in ("a", "b", "c")]
    turns = await turns_of(frames, 21)
    assert len(turns) == 21
    for session in ("a", "b", "c"):
        own = [turn for turn in turns if turn.session_id == session]
        assert [turn.tick for turn in own] == list(range(7))
        assert [turn.timestamp_ms for turn in own] == [START_MS + 200 * k for k in range(7)]
        assert [turn.text for turn in own] == [f"{100 + k} {k + 1}" for k in range(7)]
        assert [turn.final for turn in own] == [False] * 6 + [True]
        assert {turn.model for turn in own} == {"parrot"}
        assert len({turn.epoch for turn in own}) == 1


@pytest.mark.parametrize("order", [[0, 1, 1, 2, 2, 3, 0, 4], [1, 0, 3, 2, 4], [2, 0, 0, 1, 4, 3, 4]])
async def test_duplicates_and_reordered_frames_change_nothing(order: list[int]) -> None:
    frames = [loud(k) for k in order] + [loud(5, final=True), loud(2), loud(5, final=True)]
    turns = await turns_of(frames, 6)
    assert [turn.text for turn in turns] == [f"{100 + k} {k + 1}" for k in range(6)]


async def test_a_tick_that_never_comes_is_silence_and_one_that_comes_too_late_is_nothing() -> None:
    frames = [loud(0), *(loud(k) for k in range(2, 7)), loud(1), loud(7, final=True)]
    turns = await turns_of(frames, 8)
    assert [turn.tick for turn in turns] == list(range(8))
    assert [turn.text for turn in turns][:3] == ["100 1", "0 2", "102 3"]
    assert [turn.gap_ms for turn in turns] == [0, 200, 0, 0, 0, 0, 0, 0]


async def test_nonsense_is_a_dead_letter_and_its_tick_a_gap() -> None:
    async with hosted() as log:
        await publish_raw(log, CAPTURE_FRAMES, "s", b"\xc1")
        await publish(log, CAPTURE_FRAMES, [loud(0), frame(1, b"odd"), loud(2)])
        turns = await read_all(log, INTERACTION_TURNS, 3)
        letters = await read_all(log, DEAD_LETTERS, 2)
    assert [(turn.tick, turn.gap_ms) for turn in turns] == [(0, 0), (1, 200), (2, 0)]
    assert len(letters) == 2
    assert "3 bytes of audio" in " ".join(letter.error for letter in letters)


async def test_the_background_is_asked_and_what_it_says_is_heard_once() -> None:
    async with hosted() as log:
        asked = r.CaptureFrame(session_id="s", timestamp_ms=START_MS, tick=0, audio=bytes(6400), text="please")
        await publish(log, CAPTURE_FRAMES, [asked])
        (task,) = await read_all(log, BACKGROUND_TASKS, 1)
        assert task.task_id == "t0"
        answer = r.BackgroundResult(
            session_id="s", timestamp_ms=START_MS, task_id="t0", seq=0, kind=r.ResultKind.FINAL, text="yes"
        )
        stranger = r.BackgroundResult(
            session_id="x", timestamp_ms=START_MS, task_id="t9", seq=0, kind=r.ResultKind.FINAL, text="no"
        )
        await publish(log, BACKGROUND_RESULTS, [stranger, answer])
        results = await read_all(log, BACKGROUND_RESULTS, 3)  # its own is among them
        assert {result.task_id for result in results} == {"own", "t0", "t9"}
        said = await _until_said(log, "yes")
    assert said.text.endswith(" yes")
    assert said.results_offset > 0


async def _until_said(log: MemoryLog, word: str) -> r.InteractionTurn:
    """The two topics are not ordered against each other, so frames are sent until one has the result before it."""
    for tick in range(1, 200):
        await publish(log, CAPTURE_FRAMES, [loud(tick)])
        turns = await read_all(log, INTERACTION_TURNS, tick + 1)
        if word in turns[-1].text:
            return turns[-1]
    raise AssertionError(f"{word!r} was never said")
