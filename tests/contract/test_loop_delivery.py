"""The consume loop: answers, dead letters, commits behind what is done, nothing lost by any crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES, MAX_RECORD_BYTES
from shared.clock import ManualClock
from shared.log.api import TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from tests.contract.loop_rig import (
    PARTITIONS,
    Answering,
    answer,
    answered,
    committed,
    dead_letters,
    everything,
    frame,
    home,
    new_log,
    new_loop,
    publish,
    publish_raw,
    running,
    sessions_apart,
    until,
)


async def test_every_input_is_answered_in_order_at_home_and_committed() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    sessions = [f"s{n}" for n in range(10)]
    await publish(log, [frame(s, t) for t in range(20) for s in sessions])
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 200)
    records = everything(log, ENCODER_FRAMES.name)
    assert len(records) == 200
    for session in sessions:
        mine = [r for r in records if codec.decode(ENCODER_FRAMES, r.value).session_id == session]
        assert [r.key for r in mine] == [f"{session}:{200 * t}".encode() for t in range(20)]
        assert [r.timestamp_ms for r in mine] == [200 * t for t in range(20)]
        assert {r.partition for r in mine} == {home(session).partition}
    for partition in range(PARTITIONS):
        tp = TopicPartition(CAPTURE_FRAMES.name, partition)
        assert await committed(log, tp) == (log.find(tp).end or None)


async def test_one_read_over_all_partitions_is_one_batch() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame(s, 0) for s in sessions_apart(PARTITIONS)])
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == PARTITIONS)
    assert handler.batches == [PARTITIONS]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xc1 not MessagePack", "capture.frames"),
        (b"", "empty"),
        (msgspec.msgpack.encode({"type": "CaptureFrame", "v": 99}), "schema version 99"),
        (msgspec.msgpack.encode({"type": "Surprise", "v": 1}), "Surprise"),
        (b"\x00" * (MAX_RECORD_BYTES - 100), "capture.frames"),
    ],
)
async def test_undecodable_record_becomes_a_dead_letter_and_stops_nothing(raw: bytes, why: str) -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", 0)])
    await publish_raw(log, "s1", raw, tick=1)
    await publish(log, [frame("s1", 2)])
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 2)
    assert answered(log) == [("s1", 0), ("s1", 2)]
    ((key, letter),) = dead_letters(log)
    source = home("s1")
    assert key == f"{source.topic}:{source.partition}:1".encode()
    assert (letter.topic, letter.partition, letter.offset) == (*source, 1)
    assert letter.record_key == b"s1:200" and letter.service == "tester" and why in letter.error
    assert letter.value is not None and raw.startswith(letter.value) and len(letter.value) > len(raw) - 10_000
    assert await committed(log, source) == 3


async def test_handler_refuses_one_input_of_a_batch() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(3)])
    handler = Answering()

    def refuse_odd(batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        return [InvalidRecord(i, "odd tick") if i.value.tick % 2 else answer(i) for i in batch]

    handler.on_batch = refuse_odd
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 3)
    assert answered(log) == [("s1", 0), ("s1", 2)]
    ((_, letter),) = dead_letters(log)
    assert letter.error == "odd tick" and codec.decode(CAPTURE_FRAMES, letter.value).tick == 1
    assert await committed(log, home("s1")) == 3


async def test_input_whose_answer_is_too_large_is_a_dead_letter() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(2)])
    handler = Answering()
    handler.on_batch = lambda batch: [answer(i, padding=0 if i.value.tick else MAX_RECORD_BYTES) for i in batch]
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 2)
    assert answered(log) == [("s1", 1)]
    ((_, letter),) = dead_letters(log)
    assert letter.offset == 0 and "too large" in letter.error
    assert await committed(log, home("s1")) == 2


async def test_commits_wait_for_acknowledgements() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(10)])
    log.hold_acknowledgements()
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 10)
        await clock.sleep(5)
        assert await committed(log, home("s1")) in (None, 0)
        log.release_acknowledgements(4)
        await clock.sleep(5)
        assert await committed(log, home("s1")) == 4
        log.release_acknowledgements()
    assert await committed(log, home("s1")) == 10


async def test_commits_are_regular_and_rare() -> None:
    clock = ManualClock(auto=False)
    log = await new_log(clock)
    handler = Answering()
    async with running(new_loop(log, handler, clock, commit_interval_s=0.5)):
        await until(lambda: bool(handler.owned))
        await publish(log, [frame("s1", t) for t in range(5)])
        await until(lambda: len(handler.seen) == 5)
        await clock.advance(0.45)
        assert await committed(log, home("s1")) is None
        await clock.advance(0.1)
        assert await committed(log, home("s1")) == 5
        await publish(log, [frame("s1", 5)])
        await until(lambda: len(handler.seen) == 6)
        assert await committed(log, home("s1")) == 5
    assert await committed(log, home("s1")) == 6, "committed once more in the end"


async def test_input_without_an_answer_is_done_too() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(3)])
    handler = Answering()
    handler.on_batch = lambda batch: []
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 3)
    assert await committed(log, home("s1")) == 3


async def test_bug_ends_the_loop_without_a_commit_and_the_next_one_gets_everything_again() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(6)])
    broken = Answering()

    def bug(batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        raise ZeroDivisionError("a bug")

    broken.on_batch = bug
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await new_loop(log, broken, clock).run()
    assert await committed(log, home("s1")) is None and answered(log) == []
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 6)
    assert answered(log) == [("s1", t) for t in range(6)]


async def test_bug_in_a_restore_ends_the_loop() -> None:
    class Broken(Answering):
        async def assigned(self, partitions: frozenset[TopicPartition], consumer: object) -> None:
            raise ZeroDivisionError("a bug in a restore")

    clock = ManualClock()
    log = await new_log(clock)
    with pytest.raises(ZeroDivisionError, match="a bug in a restore"):
        await new_loop(log, Broken(), clock).run()


@settings(max_examples=30, deadline=None)
@given(
    crashes=st.lists(st.integers(0, 12), max_size=6),
    max_records=st.integers(1, 8),
    graceful=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_any_sequence_of_crashes_and_stops_loses_nothing(
    crashes: list[int], max_records: int, graceful: list[bool]
) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        log = await new_log(clock)
        wanted = [(s, t) for s in sessions_apart(2) for t in range(12)]
        await publish(log, [frame(s, t) for s, t in wanted])
        for after, is_graceful in zip(crashes, graceful, strict=False):
            handler = Answering()
            loop = new_loop(log, handler, clock, max_records=max_records)
            task = asyncio.create_task(loop.run())
            await until(lambda h=handler, n=after: len(h.seen) >= n or len(set(answered(log))) == 24)
            if is_graceful:
                loop.stop()
                await task
            else:
                await loop.started.wait()
                log.crash(loop._consumer)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        handler = Answering()
        async with running(new_loop(log, handler, clock)):
            tps = {home(s) for s, _ in wanted}
            async with asyncio.timeout(20):
                while {tp: await committed(log, tp) for tp in tps} != dict.fromkeys(tps, 12):
                    await clock.sleep(1)
        got = answered(log)
        assert set(got) == set(wanted)
        for session in sessions_apart(2):
            firsts = list(dict.fromkeys(t for s, t in got if s == session))
            assert firsts == list(range(12)), "first deliveries are in order"
        await log.close()

    asyncio.run(scenario())
