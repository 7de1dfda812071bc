"""Encoded frames in, exactly one turn a tick out: through crashes, duplicates, reorderings, foreign nonsense."""

from __future__ import annotations

import random

import msgpack
import pytest

from schemas import codec
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, DEAD_LETTERS, ENCODER_FRAMES, INTERACTION_TURNS
from services.interaction.echo import EchoModel
from services.interaction.protocol import StepInput, StepOutput
from tests.pipeline.rig import START_MS, encoded_frame, memory_rig, publish, publish_raw, read_all


def essence(turn: r.InteractionTurn) -> tuple[object, ...]:
    """What a turn says, apart from who said it."""
    return (turn.tick, turn.floor, tuple(turn.tokens), turn.text, turn.audio, tuple(turn.tasks), turn.final)


def by_session(turns: list[r.InteractionTurn]) -> dict[str, list[r.InteractionTurn]]:
    grouped: dict[str, list[r.InteractionTurn]] = {}
    for turn in turns:
        grouped.setdefault(turn.session_id, []).append(turn)
    return grouped


async def uninterrupted(frames: list[r.EncodedFrame], **model: object) -> list[tuple[object, ...]]:
    async with memory_rig() as rig:
        await rig.interaction()
        await publish(rig.log, ENCODER_FRAMES, frames)
        return [essence(t) for t in await read_all(rig.log, INTERACTION_TURNS, len(frames))]


async def test_one_turn_a_tick_in_order_with_identity() -> None:
    sessions = [f"s{i}" for i in range(7)]
    async with memory_rig() as rig:
        await rig.interaction()
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame(s, k) for k in range(12) for s in sessions])
        turns = by_session(await read_all(rig.log, INTERACTION_TURNS, 84))
    assert set(turns) == set(sessions)
    for session, own in turns.items():
        assert [t.tick for t in own] == list(range(12))
        assert [t.timestamp_ms for t in own] == [START_MS + 200 * k for k in range(12)]
        assert len({t.epoch for t in own}) == 1
        assert all(t.session_id == session and len(t.audio or b"") == 9600 for t in own)


async def test_duplicates_and_small_reorderings_change_nothing() -> None:
    frames = [encoded_frame("s", k) for k in range(30)]
    wanted = await uninterrupted(frames)
    shuffled = frames[:]
    for at in range(0, 28, 4):
        shuffled[at : at + 4] = random.Random(at).sample(shuffled[at : at + 4], 4)
    doubled = [frame for pair in zip(shuffled, shuffled, strict=True) for frame in pair]
    async with memory_rig() as rig:
        await rig.interaction()
        await publish(rig.log, ENCODER_FRAMES, doubled)
        turns = await read_all(rig.log, INTERACTION_TURNS, 30)
    assert [essence(t) for t in turns] == wanted


async def test_a_tick_that_never_comes_still_gets_a_turn() -> None:
    frames = [encoded_frame("s", k, final=k == 11) for k in range(12) if k not in (4, 5)]
    async with memory_rig() as rig:
        await rig.interaction()
        await publish(rig.log, ENCODER_FRAMES, frames)
        turns = await read_all(rig.log, INTERACTION_TURNS, 12)
    assert [t.tick for t in turns] == list(range(12))
    assert turns[-1].final


@pytest.mark.parametrize("cut", [1, 5, 17, 39])
async def test_a_crash_in_mid_session_changes_no_turn(cut: int) -> None:
    frames = [encoded_frame(s, k) for k in range(40) for s in ("a", "b", "c")]
    wanted = sorted(map(repr, await uninterrupted(frames)))
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", max_records=7)
        await publish(rig.log, ENCODER_FRAMES, frames[: 3 * cut])
        await read_all(rig.log, INTERACTION_TURNS, 3 * cut)
        await rig.crash("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames[3 * cut :])
        await rig.interaction("interaction-1")
        turns = await read_all(rig.log, INTERACTION_TURNS, 120)
    assert sorted(repr(essence(t)) for t in turns) == wanted  # each once: what had a turn was not answered again
    for own in by_session(turns).values():
        assert [t.tick for t in own] == list(range(40))
        epochs = [t.epoch for t in own]
        assert epochs == sorted(epochs)


async def test_a_planned_hand_over_keeps_order_and_identity() -> None:
    frames = [encoded_frame(f"s{i}", k) for k in range(20) for i in range(6)]
    wanted = sorted(map(repr, await uninterrupted(frames)))
    async with memory_rig() as rig:
        await rig.interaction("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames[:60])
        await read_all(rig.log, INTERACTION_TURNS, 60)
        await rig.interaction("interaction-1")  # joins: partitions are dealt anew
        await publish(rig.log, ENCODER_FRAMES, frames[60:90])
        await read_all(rig.log, INTERACTION_TURNS, 90)
        await rig.stop("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames[90:])
        turns = await read_all(rig.log, INTERACTION_TURNS, 120)
    assert sorted(repr(essence(t)) for t in turns) == wanted


async def test_records_that_the_model_cannot_take_are_dead_letters_and_disturb_nobody() -> None:
    class Picky(EchoModel):
        encoder_version = "enc-test"

    async with memory_rig() as rig:
        await rig.interaction(model=Picky())
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("good", 0)])
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("old", 0, encoder_version="enc-other")])
        await publish_raw(rig.log, ENCODER_FRAMES, "good", b"\xc1 no messagepack")
        plain = msgpack.unpackb(codec.encode(encoded_frame("good", 1)))
        await publish_raw(rig.log, ENCODER_FRAMES, "good", msgpack.packb(plain | {"v": 9}))
        await publish_raw(rig.log, ENCODER_FRAMES, "good", msgpack.packb(plain | {"embeddings": b"torn"}))
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("good", k) for k in range(1, 6)])
        turns = await read_all(rig.log, INTERACTION_TURNS, 6)
        letters = await read_all(rig.log, DEAD_LETTERS, 4)
    assert [(t.session_id, t.tick) for t in turns] == [("good", k) for k in range(6)]
    errors = sorted(letter.error for letter in letters)
    assert len(errors) == 4
    for word in ("enc-other", "schema version 9", "4 bytes for", "encoder.frames"):
        assert any(word in error for error in errors), word


class Delegating(EchoModel):
    """Delegates at tick 3, speaks the result when it is there; everything else as echo."""

    def step(self, batch: list[StepInput]) -> list[StepOutput]:
        from dataclasses import replace

        outputs = super().step(batch)
        return [
            replace(o, delegate=True, user=r.UserActivity.ENDED) if item.tick == 3 else o
            for item, o in zip(batch, outputs, strict=True)
        ]


def result(session: str, kind: r.ResultKind, text: str, *, seq: int = 0) -> r.BackgroundResult:
    return r.BackgroundResult(
        session_id=session, timestamp_ms=START_MS + 1000, task_id=f"{session}-3", seq=seq, kind=kind, text=text
    )


async def test_a_result_is_woven_in_word_by_word_and_survives_a_crash() -> None:
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Delegating())
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(6)])
        tasks = await read_all(rig.log, BACKGROUND_TASKS, 1)
        await read_all(rig.log, INTERACTION_TURNS, 6)
        partial = [result("s", r.ResultKind.PARTIAL, "It is"), result("s", r.ResultKind.FINAL, "It is Paris", seq=1)]
        await publish(rig.log, BACKGROUND_RESULTS, [*partial, partial[1]])
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(6, 8)])
        await read_all(rig.log, INTERACTION_TURNS, 8)
        await rig.crash("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(8, 12)])
        await rig.interaction("interaction-1", Delegating())
        turns = await read_all(rig.log, INTERACTION_TURNS, 12)
    assert tasks[0].task_id == "s-3"
    assert tasks[0].context.span_end_ms == START_MS + 800
    said = [turn.text.strip() for turn in turns if turn.text]
    assert said == ["It", "is", "Paris"]
    names = [event.name for turn in turns for event in turn.events]
    assert names == ["delegated", "weave_started", "weave_finished"]
    assert [state.task_id for state in turns[5].tasks] == ["s-3"]
    assert turns[-1].tasks == []


async def test_an_error_result_is_said_in_plain_words() -> None:
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Delegating())
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(5)])
        await read_all(rig.log, INTERACTION_TURNS, 5)
        await publish(rig.log, BACKGROUND_RESULTS, [result("s", r.ResultKind.ERROR, "http 500 at 10.1.2.3")])
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("s", k) for k in range(5, 20)])
        turns = await read_all(rig.log, INTERACTION_TURNS, 20)
    assert "".join(t.text for t in turns).strip() == "sorry, I could not find that out"


async def test_beyond_capacity_sessions_are_refused_visibly_and_others_go_on() -> None:
    async with memory_rig() as rig:
        await rig.interaction(model=EchoModel(capacity=1))
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("first", 0)])
        await read_all(rig.log, INTERACTION_TURNS, 1)
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame(s, k) for k in (1, 2) for s in ("first", "second")])
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame("second", 0)])
        turns = by_session(await read_all(rig.log, INTERACTION_TURNS, 6))
    assert not any(t.prefilled for t in turns["first"])
    assert [t.tick for t in turns["second"]] == [0, 1, 2]
    assert all(t.prefilled and t.events[0].data == {"quiet": "refused"} for t in turns["second"])


async def test_a_worker_stopped_while_idle_gives_its_partitions_back() -> None:
    async with memory_rig() as rig:
        await rig.interaction("interaction-0")
        await rig.stop("interaction-0")
        await rig.interaction("interaction-1")
        await publish(rig.log, ENCODER_FRAMES, [encoded_frame(f"s{i}", 0) for i in range(8)])
        turns = await read_all(rig.log, INTERACTION_TURNS, 8)
    assert {t.session_id for t in turns} == {f"s{i}" for i in range(8)}
