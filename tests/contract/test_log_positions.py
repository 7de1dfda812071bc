"""Explicit assignment: positions, seeking, pausing, going back in time."""

from __future__ import annotations

import pytest

from shared.log.api import LogError, TopicPartition
from tests.contract.conftest import AnyLog, MakeTopic, append, read


async def test_assign_from_offset_and_from_end(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    for partition in (0, 1):
        await append(log, topic, [b"old"] * 5, partition=partition)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({first: 3, second: None})
    assert await consumer.position(second) == 5
    await append(log, topic, [b"new"], partition=1)
    records = await read(consumer, 3)
    assert sorted((r.partition, r.offset) for r in records) == [(0, 3), (0, 4), (1, 5)]
    await consumer.close()


async def test_partitions_that_stay_assigned_keep_their_position(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    for partition in (0, 1):
        await append(log, topic, [b"v"] * 6, partition=partition)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({first: 0})
    assert [r.offset for r in await read(consumer, 2, max_records=2)] == [0, 1]
    consumer.assign({first: None, second: 4})
    assert consumer.assignment() == {first, second}
    records = await read(consumer, 6)
    assert sorted((r.partition, r.offset) for r in records) == [(0, 2), (0, 3), (0, 4), (0, 5), (1, 4), (1, 5)]
    consumer.assign({first: 1})
    assert [(r.partition, r.offset) for r in await read(consumer, 5)] == [(0, n) for n in range(1, 6)]
    consumer.assign({})
    assert consumer.assignment() == frozenset()
    assert await consumer.get_batch(timeout_ms=20, max_records=10) == {}
    await consumer.close()


async def test_end_stays_where_it_was_looked_up(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({first: None})
    assert await consumer.position(first) == 0
    await append(log, topic, [b"after"], partition=0)
    consumer.assign({first: None, second: None})
    assert [r.value for r in await read(consumer, 1)] == [b"after"]
    await consumer.close()


async def test_seek_and_position(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    await append(log, topic, [b"v"] * 5)
    tp = TopicPartition(topic, 0)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({tp: 0})
    assert await consumer.position(tp) == 0
    await read(consumer, 5)
    assert await consumer.position(tp) == 5
    consumer.seek(tp, 2)
    assert await consumer.position(tp) == 2
    assert [r.offset for r in await read(consumer, 3)] == [2, 3, 4]
    await consumer.close()


async def test_paused_partition_waits_and_loses_nothing(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    for partition in (0, 1):
        await append(log, topic, [b"v"] * 4, partition=partition)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({first: 0, second: 0})
    consumer.pause([first])
    assert {r.partition for r in await read(consumer, 4)} == {1}
    assert await consumer.get_batch(timeout_ms=150, max_records=10) == {}
    consumer.resume([first])
    assert [(r.partition, r.offset) for r in await read(consumer, 4)] == [(0, n) for n in range(4)]
    await consumer.close()


async def test_pause_in_the_middle_of_a_backlog(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    await append(log, topic, [b"v"] * 30)
    tp = TopicPartition(topic, 0)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({tp: 0})
    assert [r.offset for r in await read(consumer, 10, max_records=10)] == list(range(10))
    consumer.pause([tp])
    assert await consumer.get_batch(timeout_ms=50, max_records=10) == {}
    assert await consumer.position(tp) == 10
    consumer.resume([tp])
    assert [r.offset for r in await read(consumer, 20)] == list(range(10, 30))
    await consumer.close()


async def test_first_and_last_offsets(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    await append(log, topic, [b"v"] * 3, partition=1)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    consumer = await log.consumer(client_id="contract")
    assert await consumer.beginning_offsets(both) == {both[0]: 0, both[1]: 0}
    assert await consumer.end_offsets(both) == {both[0]: 0, both[1]: 3}
    await consumer.close()


async def test_offsets_for_times(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    await append(log, topic, [b"v"] * 5)  # stamped 1000, 2000, … 5000
    tp, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = await log.consumer(client_id="contract")
    for timestamp, expected in ((0, 0), (1000, 0), (1001, 1), (3000, 2), (5000, 4), (5001, None)):
        assert await consumer.offsets_for_times({tp: timestamp}) == {tp: expected}, timestamp
    assert await consumer.offsets_for_times({tp: 2500, empty: 0}) == {tp: 2, empty: None}
    await consumer.close()


async def test_offsets_for_times_when_times_are_out_of_order(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    producer = await log.producer("contract")
    for timestamp in (1000, 4000, 2000, 3000, 5000):
        await (await producer.send(topic, b"k", b"v", partition=0, timestamp_ms=timestamp))
    await producer.close()
    tp = TopicPartition(topic, 0)
    consumer = await log.consumer(client_id="contract")
    for timestamp, expected in ((1500, 1), (2000, 1), (4000, 1), (4500, 4)):
        assert await consumer.offsets_for_times({tp: timestamp}) == {tp: expected}, timestamp
    await consumer.close()


async def test_what_does_not_belong_to_it_is_refused(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    consumer = await log.consumer(client_id="contract")
    with pytest.raises(LogError, match="not assigned"):
        consumer.pause([tp])
    with pytest.raises(LogError, match="not assigned"):
        consumer.seek(tp, 0)
    with pytest.raises(LogError, match="no group"):
        await consumer.commit({tp: 1})
    with pytest.raises(LogError, match="no group"):
        await consumer.committed(tp)
    await consumer.close()
    with pytest.raises(LogError, match="closed"):
        await consumer.get_batch(timeout_ms=10, max_records=1)
    member = await log.consumer([topic], client_id="contract", group=group)
    with pytest.raises(LogError, match="member"):
        member.assign({tp: 0})
    await member.close()
