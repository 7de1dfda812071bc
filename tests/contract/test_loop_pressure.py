"""The consume loop: bounded windows, deferred work, rebalances, transient faults, a graceful end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES
from shared.clock import ManualClock
from shared.log.api import LogUnavailable, TopicPartition
from shared.log.loop import ConsumeLoop, Incoming, InvalidRecord, LoopSettings, Outgoing
from shared.log.loop_metrics import NoLoopMetrics
from tests.contract.loop_rig import (
    Answering,
    answer,
    answered,
    committed,
    everything,
    frame,
    home,
    new_log,
    new_loop,
    publish,
    running,
    sessions_apart,
    until,
)


class Counting(NoLoopMetrics):
    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def batch(self, records: int, seconds: float) -> None:
        self.count["handled"] += records

    def records_in(self, topic: str, count: int) -> None:
        self.count[f"in {topic}"] += count

    def records_out(self, topic: str, count: int) -> None:
        self.count[f"out {topic}"] += count

    def dead_letter(self, topic: str) -> None:
        self.count["dead"] += 1

    def retried(self) -> None:
        self.count["retried"] += 1

    def commit_rejected(self) -> None:
        self.count["rejected"] += 1


async def test_unacknowledged_records_are_bounded() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(100)])
    log.hold_acknowledgements()
    handler = Answering()
    async with running(new_loop(log, handler, clock, window=10, max_records=5)):
        await until(lambda: len(answered(log)) == 10)
        await clock.sleep(10)
        assert len(answered(log)) == 10 and len(handler.seen) <= 15
        log.release_acknowledgements(3)
        await until(lambda: len(answered(log)) == 13)
        await clock.sleep(10)
        assert len(answered(log)) == 13
        log.release_acknowledgements()
        await until(lambda: len(answered(log)) == 100)
    assert await committed(log, home("s1")) == 100


async def test_send_that_is_never_acknowledged_ends_the_loop() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(10)])
    log.hold_acknowledgements()
    handler = Answering()
    task = asyncio.create_task(new_loop(log, handler, clock, window=4).run())
    await until(lambda: len(answered(log)) == 4)
    log.fail_acknowledgements()
    with pytest.raises(LogUnavailable, match="offset 0 was never acknowledged"):
        await task
    assert await committed(log, home("s1")) in (None, 0)
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: len(handler.seen) == 10)
    assert set(answered(log)) == {("s1", t) for t in range(10)}


def defer_all(loop_of: list[ConsumeLoop], kept: list[Incoming]) -> object:
    def on_batch(batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        for incoming in batch:
            loop_of[0].defer(incoming)
        kept.extend(batch)
        return []

    return on_batch


async def test_deferred_input_holds_the_commit_until_it_is_complete() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", t) for t in range(3)])
    handler, kept = Answering(), list[Incoming]()
    loop = new_loop(log, handler, clock)
    handler.on_batch = defer_all([loop], kept)
    async with running(loop):
        await until(lambda: len(kept) == 3)
        assert await loop.complete(kept[1], [answer(kept[1])])
        assert await loop.emit([answer(kept[0])]), "intermediate results"
        await clock.sleep(2)
        assert await committed(log, home("s1")) in (None, 0)
        assert await loop.complete(kept[0], [answer(kept[0])])
        await clock.sleep(2)
        assert await committed(log, home("s1")) == 2
        assert answered(log) == [("s1", 1), ("s1", 0), ("s1", 0)]
    assert await committed(log, home("s1")) == 2, "the third was never completed"


async def test_too_many_deferred_inputs_pause_their_partition_only() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    slow, quick = sessions_apart(2)
    await publish(log, [frame(slow, t) for t in range(12)])
    handler, kept = Answering(), list[Incoming]()
    loop = new_loop(log, handler, clock, max_deferred=4, max_records=2)

    def on_batch(batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        for incoming in batch:
            if incoming.value.session_id == slow:
                loop.defer(incoming)
                kept.append(incoming)
            else:
                yield answer(incoming)

    handler.on_batch = on_batch
    async with running(loop):
        await until(lambda: len(kept) == 4)
        await publish(log, [frame(quick, t) for t in range(12)])
        await until(lambda: len(answered(log)) == 12)
        await clock.sleep(10)
        assert len(kept) == 4
        for number in range(12):
            await until(lambda n=number: len(kept) > n)
            assert await loop.complete(kept[number], [answer(kept[number])])
    assert [t for s, t in answered(log) if s == slow] == list(range(12))
    assert await committed(log, home(slow)) == 12


async def test_deferred_input_goes_to_the_next_owner_and_its_old_answer_nowhere() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", 0)])
    handler, kept = Answering(), list[Incoming]()
    loop = new_loop(log, handler, clock)
    handler.on_batch = defer_all([loop], kept)
    async with running(loop):
        await until(lambda: len(kept) == 1)
        log.rebalance("loop-test")
        await until(lambda: len(kept) == 2)
        assert not await loop.complete(kept[0], [answer(kept[0])])
        assert not await loop.emit([answer(kept[0])])
        assert answered(log) == []
        assert await loop.complete(kept[1], [answer(kept[1])])
    assert answered(log) == [("s1", 0)]
    assert await committed(log, home("s1")) == 1


async def test_work_that_ends_in_revoked_is_committed() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", 0)])
    kept: list[Incoming] = []

    class Ending(Answering):
        async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
            for incoming in kept:
                assert await loop.complete(incoming, [answer(incoming)])

    handler = Ending()
    loop = new_loop(log, handler, clock)
    handler.on_batch = defer_all([loop], kept)
    async with running(loop):
        await until(lambda: len(kept) == 1)
    assert answered(log) == [("s1", 0)] and await committed(log, home("s1")) == 1


async def test_two_loops_share_the_work_and_nothing_is_done_twice() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    sessions = [f"s{n}" for n in range(8)]
    one, two = Answering(), Answering()
    async with running(new_loop(log, one, clock)):
        await publish(log, [frame(s, t) for t in range(5) for s in sessions])
        await until(lambda: len(one.seen) == 40)
        async with running(new_loop(log, two, clock)):
            await until(lambda: len(one.owned) == len(two.owned) == 2)
            await publish(log, [frame(s, t) for t in range(5, 10) for s in sessions])
            await until(lambda: len(one.seen) + len(two.seen) == 80)
        await publish(log, [frame(s, t) for t in range(10, 12) for s in sessions])
        await until(lambda: len(answered(log)) == 96)
    assert two.seen and sorted(answered(log)) == sorted((s, t) for s in sessions for t in range(12))
    for session in sessions:
        assert [t for s, t in answered(log) if s == session] == list(range(12))


async def test_partitions_of_a_crashed_loop_go_on_elsewhere() -> None:
    clock = ManualClock()
    log = await new_log(clock, session_timeout_s=3.0)
    one, two = Answering(), Answering()
    dying = new_loop(log, one, clock)
    async with running(new_loop(log, two, clock)):
        task = asyncio.create_task(dying.run())
        await until(lambda: len(one.owned) == len(two.owned) == 2)
        lost = next(s for s in sessions_apart(4) if home(s) in one.owned)
        log.crash(dying._consumer)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        crashed_at = clock.monotonic()
        await publish(log, [frame(lost, t) for t in range(5)])
        await until(lambda: answered(log) == [(lost, t) for t in range(5)])
        assert clock.monotonic() - crashed_at >= 3.0, "nobody knows before the session timeout"


async def test_graceful_stop_finishes_the_batch_in_hand() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Answering):
        async def handle(self, batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
            entered.set()
            await go_on.wait()
            return await super().handle(batch)

    await publish(log, [frame("s1", t) for t in range(4)])
    handler = Slow()
    loop = new_loop(log, handler, clock)
    async with running(loop) as task:
        await entered.wait()
        loop.stop()
        await clock.sleep(1)
        assert not task.done()
        go_on.set()
        await task
    assert answered(log) == [("s1", t) for t in range(4)]
    assert await committed(log, home("s1")) == 4 and handler.owned == frozenset()


async def test_stop_interrupts_a_long_wait_for_records() -> None:
    clock = ManualClock(auto=False)  # no timer ever fires
    log = await new_log(clock)
    handler = Answering()
    async with running(new_loop(log, handler, clock, poll_timeout_ms=3_600_000)):
        await until(lambda: bool(handler.owned))
    assert clock.monotonic() == 0


async def test_transient_fault_is_retried_and_nothing_is_lost() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    handler, metrics = Answering(), Counting()
    async with running(new_loop(log, handler, clock, metrics=metrics)):
        await publish(log, [frame("s1", 0)])
        await until(lambda: len(handler.seen) == 1)
        log.set_available(False)
        await until(lambda: metrics.count["retried"] >= 2)
        log.set_available(True)
        await publish(log, [frame("s1", 1)])
        await until(lambda: len(handler.seen) == 2)
    assert answered(log) == [("s1", 0), ("s1", 1)] and await committed(log, home("s1")) == 2
    assert metrics.count["in capture.frames"] == metrics.count["out encoder.frames"] == metrics.count["handled"] == 2


async def test_fault_that_lasts_ends_the_loop_after_bounded_retries() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    handler, metrics = Answering(), Counting()
    loop = new_loop(log, handler, clock, metrics=metrics)
    task = asyncio.create_task(loop.run())
    await until(lambda: bool(handler.owned))
    log.set_available(False)
    with pytest.raises(LogUnavailable):
        await task
    assert metrics.count["retried"] == 3, "four attempts"
    assert 0.5 + 1.0 + 2.0 <= clock.monotonic() <= 1.0 + 2.0 + 4.0 + 1.0


async def test_explicit_assignment_follows_from_the_end_and_commits_nothing() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    await publish(log, [frame("s1", 0)])
    handler = Answering()
    settings = LoopSettings(service="tester", topics=(CAPTURE_FRAMES,))
    loop = ConsumeLoop(log, handler, settings, clock=clock, assignment={home("s1"): None})
    async with running(loop):
        await loop.started.wait()
        assert handler.owned == {home("s1")}
        await publish(log, [frame("s1", 1)])
        await until(lambda: len(handler.seen) == 1)
    assert answered(log) == [("s1", 1)] and handler.owned == frozenset()


async def test_loop_needs_a_group_or_an_assignment() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    settings = LoopSettings(service="tester", topics=(CAPTURE_FRAMES,))
    with pytest.raises(ValueError, match="group or an assignment"):
        ConsumeLoop(log, Answering(), settings, clock=clock)


async def test_memory_forgets_the_oldest_and_readers_go_on() -> None:
    clock = ManualClock()
    log = await new_log(clock, max_records=40)
    await publish(log, [frame("s1", t) for t in range(100)])
    handler = Answering()
    async with running(new_loop(log, handler, clock)):
        await until(lambda: ("s1", 99) in handler.seen)
    store = log.find(home("s1"))
    assert store.end == 100 and 40 <= store.end - store.begin <= 50
    assert handler.seen == [("s1", t) for t in range(store.begin, 100)]
    assert len(everything(log, ENCODER_FRAMES.name)) <= 50
