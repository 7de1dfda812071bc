"""What only the log in memory does: it forgets, and accidents can be provoked."""

from __future__ import annotations

import asyncio

import pytest

from schemas.topics import TOPICS
from shared.clock import ManualClock
from shared.log.api import LogUnavailable, TopicPartition
from shared.log.memory import MemoryLog
from tests.contract.conftest import append, read
from tests.contract.loop_rig import until

TP = TopicPartition("t", 0)


async def test_topics_come_from_the_map() -> None:
    log = MemoryLog(ManualClock())
    await log.create_topics(6)
    assert {name: await log.partitions(name) for name in TOPICS} == {
        name: 6 if topic.aligned else 1 for name, topic in TOPICS.items()
    }


async def test_a_dead_member_keeps_its_partitions_until_the_session_timeout() -> None:
    clock = ManualClock(auto=False)
    log = MemoryLog(clock, session_timeout_s=3.0)
    await log.create_topic("t", 2)
    dead = await log.consumer(["t"], client_id="dead", group="g")
    await until(lambda: len(dead.assignment()) == 2)
    log.crash(dead)
    heir = await log.consumer(["t"], client_id="heir", group="g")
    await clock.advance(2.9)
    assert heir.assignment() == frozenset()
    await clock.advance(0.2)
    assert heir.assignment() == {TopicPartition("t", 0), TopicPartition("t", 1)}
    await heir.close()


async def test_memory_is_bounded_by_bytes_and_times_still_find_their_records() -> None:
    log = MemoryLog(ManualClock(), max_bytes=100_000)
    await log.create_topic("t", 1)
    await append(log, "t", [b"x" * 1_000] * 500)
    store = log.find(TP)
    assert store.end == 500 and 60 <= store.end - store.begin <= 125
    consumer = await log.consumer(client_id="test")
    assert await consumer.beginning_offsets([TP]) == {TP: store.begin}
    assert await consumer.offsets_for_times({TP: 0}) == {TP: store.begin}
    assert await consumer.offsets_for_times({TP: 490_000}) == {TP: 489}
    consumer.assign({TP: 0})
    assert (await read(consumer, 1))[0].offset == store.begin, "what is forgotten is skipped"
    await consumer.close()


async def test_one_record_larger_than_the_bound_is_kept_until_the_next() -> None:
    log = MemoryLog(ManualClock(), max_bytes=1_000)
    await log.create_topic("t", 1)
    await append(log, "t", [b"x" * 5_000, b"y" * 5_000])
    assert [r.value for r in log.find(TP).read(log.find(TP).begin, 10)] == [b"y" * 5_000]


async def test_unavailable_log_says_so_and_comes_back() -> None:
    log = MemoryLog(ManualClock())
    await log.create_topic("t", 1)
    consumer, producer = await log.consumer(client_id="test"), await log.producer("test")
    consumer.assign({TP: 0})
    log.set_available(False)
    with pytest.raises(LogUnavailable):
        await producer.send("t", b"k", b"v", partition=0, timestamp_ms=0)
    with pytest.raises(LogUnavailable):
        await consumer.get_batch(timeout_ms=10, max_records=1)
    log.set_available(True)
    assert await append(log, "t", [b"v"]) == [0]
    assert len(await read(consumer, 1)) == 1


async def test_closed_log_leaves_no_task_behind() -> None:
    log = MemoryLog(ManualClock(auto=False), session_timeout_s=3.0)
    await log.create_topic("t", 1)
    consumer = await log.consumer(["t"], client_id="test", group="g", instance_id="static")
    await until(lambda: len(consumer.assignment()) == 1)
    await consumer.close()
    await log.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
