"""A conversation run again: identical, or told where not; through crashes, fences, gaps and a log that forgets."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from infra.replay.__main__ import parse, run_command
from infra.replay.encode import NothingToEncode, encode_again
from infra.replay.find import SessionNotFound, read_session, sessions
from infra.replay.models import WrongModel
from infra.replay.recorded import Recorded
from infra.replay.rerun import follow
from infra.replay.run import CannotReplay, ranges, same
from schemas import codec
from schemas import records as r
from schemas.topics import (
    BACKGROUND_RESULTS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
    TOPICS,
)
from services.interaction.echo import EchoModel
from services.interaction.scheduler import Scheduler, Work
from services.interaction.session import Session
from shared.log.api import LogRecord, TopicPartition
from shared.log.memory import MemoryLog
from shared.settings import ServiceSettings
from tests.pipeline.rig import encoded_frame, memory_rig, publish, read_all
from tests.pipeline.test_interaction_worker import Delegating, result
from tests.replay.conversations import (
    CONFIG,
    RELEASED,
    TICKS,
    Conversation,
    append,
    capture_frames,
    encoder,
    log_of,
    released,
    started,
)

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]



def without(recorded: Recorded, drop: Callable[[str, int], bool]) -> Recorded:
    """What is left when the log has forgotten some records, told by topic and tick (-1 for those without)."""

    def tick(record: LogRecord) -> int:
        return getattr(codec.decode(TOPICS[record.topic], record.value), "tick", -1)

    return Recorded.of(recorded.session_id, [one for one in recorded.records if not drop(one.topic, tick(one))])


def changed(
    recorded: Recorded, tick: int | None, kind: type = r.InteractionTurn, **fields: object
) -> Recorded:
    """The recording with fields of one tick's record (of all ticks': None) replaced."""
    records = []
    for record in recorded.records:
        value = codec.decode(TOPICS[record.topic], record.value)
        if isinstance(value, kind) and tick in (None, value.tick):
            record = dataclasses.replace(record, value=codec.encode(msgspec.structs.replace(value, **fields)))
        records.append(record)
    return Recorded.of(recorded.session_id, records)


# --- the same model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["encoder", "capture"])
async def test_the_same_model_gives_identical_bytes(spoken: Recorded, source: str) -> None:
    verdict = await same(spoken, RELEASED, source)
    assert verdict.identical
    assert verdict.report["turns_compared"] == TICKS
    assert verdict.report["tasks_compared"] >= 2
    assert verdict.report["frames_compared"] == (TICKS if source == "capture" else 0)
    assert verdict.rerun.turns == dict(spoken.turns)  # epoch and offsets too: they are taken from the recording
    assert len(verdict.lines) == 1
    events = [event.name for turn in spoken.turns.values() for event in turn.events]
    assert events.count("weave_finished") == events.count("delegated") >= 2, "all that it asked for is woven in"


CHANGES = {
    "text": {"text": " something else"},
    "floor": {"floor": r.Floor.BACKCHANNEL},
    "audio": {"audio": b"\1\0" * 4800},
    "user": {"user": r.UserActivity.ENDED},
    "results_offset": {"results_offset": 0},
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_changed_byte_is_found_and_named(spoken: Recorded, name: str) -> None:
    tick = max(k for k, turn in spoken.turns.items() if turn.tasks and turn.floor is r.Floor.TAKE)
    other = changed(spoken, tick, **CHANGES[name])
    verdict = await same(other, RELEASED, "encoder")
    assert verdict.identical is False
    # A result that a step is said not to have seen is missed there, or by a step before.
    assert verdict.report["first_difference"]["tick"] == tick or name == "results_offset"
    assert verdict.report["first_difference"]["field"] == name or name == "results_offset"
    assert verdict.lines[0].startswith(f"different: tick {verdict.report['first_difference']['tick']}: interaction.")


async def test_changed_sound_is_found_from_capture_on(spoken: Recorded) -> None:
    louder = changed(spoken, 50, r.CaptureFrame, audio=b"\0\x20" * 3200)
    verdict = await same(louder, RELEASED, "capture")
    first = verdict.report["first_difference"]
    assert (first["tick"], first["where"], first["field"]) == (50, "encoder.frames", "embeddings")
    assert (await same(louder, RELEASED, "encoder")).identical


async def test_epoch_and_offset_are_the_workers_and_not_compared(spoken: Recorded) -> None:
    assert (await same(changed(spoken, TICKS - 1, epoch=spoken.turns[0].epoch + 9), RELEASED, "encoder")).identical


async def test_a_crash_and_a_zombie_change_nothing(spoken: Recorded) -> None:
    """The first worker dies in mid-sentence; a turn that it made meanwhile comes late, and does not count."""
    async with memory_rig() as rig:
        await encoder(rig)
        await rig.interaction("interaction-0", released(), max_records=7)
        conversation = Conversation(rig, {"talk": capture_frames("talk", 80, config=CONFIG)})
        await conversation.begin({"talk": CONFIG})
        await conversation.until(42)
        await rig.crash("interaction-0")
        await rig.interaction("interaction-1", released())
        await conversation.until(60)
        zombie = next(t for t in await read_all(rig.log, INTERACTION_TURNS, 0) if getattr(t, "tick", -1) == 41)
        late = msgspec.structs.replace(zombie, tick=60, timestamp_ms=zombie.timestamp_ms + 19 * 200, text=" boo")
        await publish(rig.log, INTERACTION_TURNS, [late])
        await conversation.until(80)
        await conversation.end()
        recorded = await read_session(rig.log, "talk")
    assert len({turn.epoch for turn in recorded.turns.values()}) == 2
    assert len(recorded.fenced) >= 1
    assert recorded.turns[60].text != " boo"
    for source in ("encoder", "capture"):
        verdict = await same(recorded, RELEASED, source)
        assert verdict.identical, verdict.lines
        assert verdict.report["turns_compared"] == 80
        assert verdict.report["epochs"] == 2
    assert [t.text for t in recorded.turns.values()][:30] == [spoken.turns[k].text for k in range(30)]


# --- what the log has forgotten, or never had ------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["encoder", "capture"])
async def test_a_session_cut_off_at_retention_is_compared_from_where_memory_reaches(
    spoken: Recorded, source: str
) -> None:
    """Topics are cut at different places: segments are not dropped at the same moment."""
    begins = {CAPTURE_FRAMES.name: 5, ENCODER_FRAMES.name: 9, INTERACTION_TURNS.name: 4}
    cut = without(spoken, lambda topic, tick: 0 <= tick < begins.get(topic, 0))
    verdict = await same(cut, RELEASED, source)
    assert verdict.identical, verdict.lines
    first = 9 if source == "encoder" else max(9, 5)
    context = released(1).context_ticks
    assert verdict.report["ticks_without_frame"] == "4–8"
    assert verdict.report["ticks_taken_in_only"] == ranges(range(first, first + context))
    assert verdict.report["turns_compared"] == TICKS - first - context
    assert any("taken in, not compared" in line for line in verdict.lines)


async def test_too_little_left_to_compare_is_said(spoken: Recorded) -> None:
    cut = without(spoken, lambda _, tick: 0 <= tick < TICKS - 30)
    with pytest.raises(CannotReplay, match="must be taken in before one can be compared"):
        await same(cut, RELEASED, "encoder")


async def test_a_session_that_still_runs_is_compared_as_far_as_it_is(spoken: Recorded) -> None:
    running = without(
        spoken, lambda topic, tick: tick >= 60 or (topic == SESSION_CONTROL.name and tick == -1)
    )
    verdict = await same(running, RELEASED, "encoder")
    assert verdict.identical
    assert verdict.report["turns_compared"] == 60
    assert any("no last turn (yet)" in line for line in verdict.lines)


async def test_a_hole_in_the_turns_begins_a_new_memory(spoken: Recorded) -> None:
    holed = without(spoken, lambda topic, tick: topic == INTERACTION_TURNS.name and 10 <= tick < 13)
    verdict = await same(holed, RELEASED, "encoder")
    assert verdict.identical, verdict.lines
    assert verdict.report["ticks_without_turn"] == "10–12"
    assert verdict.report["ticks_taken_in_only"] == ranges(range(13, 13 + released(1).context_ticks))


async def test_ticks_that_never_came_are_silence_again() -> None:
    frames = [encoded_frame("s", k, final=k == 29) for k in range(30) if k not in (11, 12)]
    late = encoded_frame("s", 11)
    async with memory_rig() as rig:
        await rig.interaction("interaction-0", Delegating())
        await publish(rig.log, ENCODER_FRAMES, frames[:25])
        await read_all(rig.log, INTERACTION_TURNS, 25)
        await publish(rig.log, BACKGROUND_RESULTS, [result("s", r.ResultKind.FINAL, "It is Paris")])
        await publish(rig.log, ENCODER_FRAMES, [late, *frames[25:]])  # in the log, but too late to count
        await read_all(rig.log, INTERACTION_TURNS, 30)
        recorded = await read_session(rig.log, "s")
    inputs = recorded.inputs()
    assert [tick for tick, given in inputs.items() if given.stands_in] == [11, 12]
    rerun = follow(Delegating(), recorded, inputs)
    assert rerun.turns == dict(recorded.turns)
    assert "".join(turn.text for turn in rerun.turns.values()).split() == ["It", "is", "Paris"]


def by_hand(turns: list[r.InteractionTurn], frames: list[r.EncodedFrame]) -> Recorded:
    """A recording of these frames and turns, at the offsets that the turns name."""
    records = [
        LogRecord(topic.name, 0, offset, value.timestamp_ms, value.key.encode(), codec.encode(value))
        for topic, values in ((ENCODER_FRAMES, frames), (INTERACTION_TURNS, turns))
        for offset, value in enumerate(values)
    ]
    return Recorded.of("s", records)


def test_ticks_taken_in_without_an_answer_are_taken_in_so_again() -> None:
    frames = [encoded_frame("s", k) for k in range(20)]
    scheduler, session = Scheduler(EchoModel()), Session("s", 0)
    works = deque(Work(session, frame, k, skip=k in (4, 5, 11)) for k, frame in enumerate(frames))
    recorded = by_hand([done.turn for done in scheduler.run({"s": works})], frames)
    rerun = follow(EchoModel(), recorded, recorded.inputs())
    assert rerun.turns == dict(recorded.turns)
    assert [k for k, turn in rerun.turns.items() if turn.prefilled] == [4, 5, 11]


def test_a_session_that_was_refused_by_one_worker_and_served_by_the_next() -> None:
    frames = [encoded_frame("s", k) for k in range(20)]
    full, session = Scheduler(EchoModel(capacity=0)), Session("s", 0)
    refused = [one.turn for one in full.run({"s": deque(Work(session, frames[k], k) for k in range(8))})]
    served, session = Scheduler(EchoModel()), Session("s", 0)
    past = [Work(session, frames[k], k, recorded=refused[k]) for k in range(8)]
    works = deque([*past, *(Work(session, frames[k], k) for k in range(8, 20))])
    recorded = by_hand([done.turn for done in served.run({"s": works})], frames)
    assert recorded.turns[7].events[0].data == {"quiet": "refused"}
    rerun = follow(EchoModel(), recorded, recorded.inputs())
    assert rerun.turns == dict(recorded.turns)


def test_turns_of_another_model_are_taken_in_and_not_compared() -> None:
    class Newer(EchoModel):
        name = "echo-2"

    frames = [encoded_frame("s", k) for k in range(20)]
    first, session = Scheduler(EchoModel()), Session("s", 0)
    old = [one.turn for one in first.run({"s": deque(Work(session, frames[k], k) for k in range(12))})]
    second, session = Scheduler(Newer()), Session("s", 0)
    past = [Work(session, frames[k], k, recorded=old[k]) for k in range(12)]
    works = deque([*past, *(Work(session, frames[k], k) for k in range(12, 20))])
    recorded = by_hand([done.turn for done in second.run({"s": works})], frames)
    assert recorded.models == [EchoModel.name, "echo-2"]
    rerun = follow(Newer(), recorded, recorded.inputs())
    assert rerun.turns == dict(recorded.turns)
    assert rerun.taken_in == list(range(12))
    assert rerun.compared == list(range(12, 20))


# --- the command line ------------------------------------------------------------------------------------------------


async def command(log: MemoryLog, *arguments: object) -> int:
    return await run_command(parse([str(a) for a in arguments], ServiceSettings()), log)


async def test_the_command_compares_lists_and_reports(
    spoken: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = await log_of(spoken)
    assert await command(log, "list") == 0
    assert "talk  2023-11-14" in capsys.readouterr().out
    assert await command(log, "talk", "--from", "capture", "--out", tmp_path) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"identical: {TICKS} turns, ")
    report = json.loads((tmp_path / "talk" / "report.json").read_text())
    assert report["status"] == "identical"
    assert report["turn_fields_not_compared"] == ["epoch", "input_offset"]

    log = await log_of(changed(spoken, 33, text=" no"))
    assert await command(log, "talk", "--out", tmp_path) == 1
    assert "different: tick 33: interaction.turns.text was ' no'" in capsys.readouterr().out


async def test_the_replayed_turns_can_be_published_beside_the_live_ones(spoken: Recorded, tmp_path: Path) -> None:
    log = await log_of(spoken)
    live = await read_session(log, "talk")
    assert await command(log, "talk", "--out", tmp_path, "--publish") == 0
    again = await read_session(log, "talk")
    assert [one.value for one in again.records] == [one.value for one in live.records]
    consumer = await log.consumer(client_id="t")
    consumer.assign({TopicPartition("replayed.interaction.turns", p): 0 for p in range(4)})
    batches = await consumer.get_batch(timeout_ms=0, max_records=10_000)
    turns = [codec.decode(INTERACTION_TURNS, one.value) for records in batches.values() for one in records]
    assert turns == [turn for _, turn in sorted(live.turns.items())]


async def test_what_is_not_there_is_said(spoken: Recorded) -> None:
    log = await log_of(spoken)
    with pytest.raises(SessionNotFound, match="no turn of session nobody"):
        await read_session(log, "nobody")
    with pytest.raises(WrongModel, match=r"answered by nano-.*, but .* holds nano-.*--model"):
        await same(changed(spoken, None, model="nano-0.0.1+aaaaaaaaaaaa"), RELEASED, "encoder")
    with pytest.raises(WrongModel, match="neither 'echo' nor"):
        await same(spoken, Path("/nowhere"), "encoder")


async def test_sessions_are_listed_with_their_holders_and_ends() -> None:
    log = MemoryLog()
    await log.create_topics(4)
    at = {"session_id": "b", "timestamp_ms": started("b").timestamp_ms + 2000}
    held = r.SessionHeld(**at, tick=10, capture_id="capture-1", capture_epoch=1)
    stale = r.SessionEnded(**at, ticks=10, reason="stale", capture_epoch=0)
    await append(log, SESSION_CONTROL, [started("a"), held, stale], prefix="")
    ended = r.SessionEnded(session_id="a", timestamp_ms=started("a").timestamp_ms + 1000, ticks=5, reason="bye")
    await append(log, SESSION_CONTROL, [ended], prefix="")
    listed = {one.session_id: one for one in await sessions(log)}
    assert (listed["a"].ticks, listed["a"].reason, listed["a"].capture_id) == (5, "bye", "capture-0")
    assert (listed["b"].ended, listed["b"].capture_id) == (False, "capture-1")
    assert listed["a"].start_ms == listed["b"].start_ms  # the beginning follows from any record


async def test_encoding_again_needs_captured_frames(spoken: Recorded) -> None:
    with pytest.raises(NothingToEncode, match="no captured frame"):
        await encode_again(without(spoken, lambda topic, _: topic == CAPTURE_FRAMES.name), RELEASED)
