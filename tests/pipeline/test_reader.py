"""The reader of suite ``speech`` on the product's own worker and voice: asked for, read, broken off."""

from __future__ import annotations

import msgspec

from infra.eval.reader.model import Reader
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, ENCODER_FRAMES, INTERACTION_TURNS
from tests.pipeline.rig import START_MS, D, encoded_frame, memory_rig, publish, read_all
from tests.speech.voices import speaker

LINE = "one two three four five six seven eight nine ten"


def typed(tick: int, text: str) -> r.EncodedFrame:
    """A frame in which something was typed, as the encoder makes it: a token of text behind the audio's."""
    plain = encoded_frame("a", tick, text=text)
    kinds = bytes([*plain.kinds, r.TokenKind.TEXT])
    return msgspec.structs.replace(plain, kinds=kinds, embeddings=plain.embeddings + bytes(2 * D))


def heard(turns: list[r.InteractionTurn]) -> list[str]:
    words = [w for t in turns for w in (t.speech.words if t.speech else [])]
    return [w.text for w in words if w.end_ms is not None and not w.cut]


async def read_line(stop_at: int = -1, ticks: int = 80) -> tuple[list[r.InteractionTurn], list[r.Record]]:
    """Asked for in tick 1, answered before tick 3."""
    async with memory_rig() as rig:
        await rig.interaction(model=Reader(), voice=speaker())
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("a", 0), typed(1, "say line 1"), encoded_frame("a", 2)])
        await read_all(rig.log, INTERACTION_TURNS, 3)
        answer = r.BackgroundResult(
            session_id="a", timestamp_ms=START_MS + 600, task_id="a-1", seq=0, kind=r.ResultKind.FINAL, text=LINE
        )
        await publish(rig.log, BACKGROUND_RESULTS, [answer])
        later = [typed(k, "stop") if k == stop_at else encoded_frame("a", k) for k in range(3, ticks)]
        await publish(rig.log, ENCODER_FRAMES, later)
        turns = await read_all(rig.log, INTERACTION_TURNS, ticks)
        tasks = await read_all(rig.log, BACKGROUND_TASKS, 1)
    return turns, tasks


async def test_a_typed_line_is_asked_for_and_read_to_its_end() -> None:
    turns, tasks = await read_line()
    (task,) = tasks
    assert isinstance(task, r.BackgroundTask) and task.context.entries[-1].text == "say line 1"
    assert " ".join(heard(turns)) == LINE == " ".join(t.text.strip() for t in turns if t.text)
    assert turns[-1].audio is None and not turns[-1].tasks
    assert r.Floor.YIELD not in {t.floor for t in turns}


async def test_typing_while_it_reads_ends_the_sound_in_that_tick() -> None:
    whole, _ = await read_line()
    turns, _ = await read_line(stop_at=12)
    assert turns[12].floor is r.Floor.YIELD and turns[12].speech is not None and turns[12].speech.cut
    assert [t.audio for t in turns[:12]] == [t.audio for t in whole[:12]]
    assert all(t.audio is None and not t.text for t in turns[13:])
    assert 0 < len(heard(turns)) < len(LINE.split()) and heard(turns) == LINE.split()[: len(heard(turns))]


async def test_typing_while_it_waits_calls_the_line_off() -> None:
    async with memory_rig() as rig:
        await rig.interaction(model=Reader(), voice=speaker())
        await publish(rig.log, ENCODER_FRAMES, [typed(0, "say line 1"), encoded_frame("a", 1), typed(2, "stop")])
        turns = await read_all(rig.log, INTERACTION_TURNS, 3)
        tasks = await read_all(rig.log, BACKGROUND_TASKS, 2)
    assert [e.name for t in turns for e in t.events] == ["delegated", "cancelled"]
    assert [type(t).__name__ for t in tasks] == ["BackgroundTask", "BackgroundCancel"]
