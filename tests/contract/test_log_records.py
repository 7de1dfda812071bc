"""What is appended is what is read: bytes, keys, times, order, sizes, topics."""

from __future__ import annotations

import asyncio

import pytest

from schemas.topics import MAX_RECORD_BYTES
from shared.log.api import LogError, RecordTooLarge, TopicPartition
from tests.contract.conftest import AnyLog, MakeTopic, append, read


async def test_record_comes_back_as_sent(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(3)
    producer = await log.producer("contract")
    binary = bytes(range(256))
    offset = await (await producer.send(topic, b"s1:1400", binary, partition=2, timestamp_ms=1400))
    await producer.close()
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 2): 0})
    (record,) = await read(consumer, 1)
    await consumer.close()
    assert (record.topic, record.partition, record.offset) == (topic, 2, 0) and offset == 0
    assert (record.key, record.value, record.timestamp_ms) == (b"s1:1400", binary, 1400)


async def test_acknowledgements_give_consecutive_offsets(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    assert await append(log, topic, [b"a", b"b", b"c"]) == [0, 1, 2]
    assert await append(log, topic, [b"d"]) == [3]


async def test_order_is_kept_without_waiting_between_sends(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    producer = await log.producer("contract")
    for n in range(3_000):
        await producer.send(topic, b"k", b"%d" % n, partition=n % 2, timestamp_ms=n)
    await producer.flush()
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})
    records = await read(consumer, 3_000, max_records=177)
    for partition in (0, 1):
        seen = [int(r.value or b"") for r in records if r.partition == partition]
        assert seen == list(range(partition, 3_000, 2))
    await producer.close()
    await consumer.close()


async def test_flush_waits_for_all(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    producer = await log.producer("contract")
    for n in range(50):
        await producer.send(topic, b"k", b"%d" % n, partition=0, timestamp_ms=n)
    await producer.flush()
    consumer = await log.consumer(client_id="contract")
    tp = TopicPartition(topic, 0)
    assert await consumer.end_offsets([tp]) == {tp: 50}
    await producer.close()
    await consumer.close()


async def test_largest_record_passes_and_a_larger_one_is_refused(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    producer = await log.producer("contract")
    largest = b"x" * (MAX_RECORD_BYTES - 1)
    assert await (await producer.send(topic, b"k", largest, partition=0, timestamp_ms=1)) == 0
    with pytest.raises(RecordTooLarge):
        await (await producer.send(topic, b"k", largest + b"x", partition=0, timestamp_ms=2))
    assert await (await producer.send(topic, b"k", b"small", partition=0, timestamp_ms=3)) == 1
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0})
    assert [r.value for r in await read(consumer, 2)] == [largest, b"small"]
    await producer.close()
    await consumer.close()


async def test_batch_holds_at_most_max_records_and_skips_none(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    await append(log, topic, [b"%d" % n for n in range(25)])
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0})
    sizes: list[int] = []
    offsets: list[int] = []
    while len(offsets) < 25:
        batch = await consumer.get_batch(timeout_ms=1000, max_records=10)
        sizes.append(sum(map(len, batch.values())))
        offsets += [r.offset for records in batch.values() for r in records]
    assert offsets == list(range(25)) and max(sizes) == 10
    await consumer.close()


async def test_no_partition_starves(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(4)
    for partition in range(4):
        await append(log, topic, [b"v"] * 20, partition=partition)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, p): 0 for p in range(4)})
    records = await read(consumer, 80, max_records=5)
    for partition in range(4):
        assert [r.offset for r in records if r.partition == partition] == list(range(20))
    await consumer.close()


async def test_get_batch_is_empty_when_nothing_comes(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    consumer = await log.consumer(client_id="contract")
    assert await consumer.get_batch(timeout_ms=20, max_records=10) == {}, "nothing assigned"
    consumer.assign({TopicPartition(topic, 0): 0})
    assert await consumer.get_batch(timeout_ms=20, max_records=10) == {}
    await consumer.close()


async def test_waiting_reader_is_woken_by_a_record(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0})
    waiting = asyncio.create_task(consumer.get_batch(timeout_ms=15_000, max_records=10))
    await append(log, topic, [b"late"])
    (records,) = (await waiting).values()
    assert [r.value for r in records] == [b"late"]
    await consumer.close()


async def test_cancelled_read_loses_nothing(log: AnyLog, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0})
    for n in range(20):
        waiting = asyncio.create_task(consumer.get_batch(timeout_ms=15_000, max_records=10))
        await asyncio.sleep(0.001 * n)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        if not waiting.cancelled():
            raise AssertionError("nothing was sent, so nothing can have been read")
    appending = asyncio.create_task(append(log, topic, [b"%d" % n for n in range(100)]))
    seen: list[int] = []
    async with asyncio.timeout(20):
        while len(seen) < 100:
            waiting = asyncio.create_task(consumer.get_batch(timeout_ms=200, max_records=7))
            await asyncio.sleep(0)
            waiting.cancel()
            for result in await asyncio.gather(waiting, return_exceptions=True):
                if isinstance(result, dict):
                    seen += [r.offset for records in result.values() for r in records]
            batch = await consumer.get_batch(timeout_ms=50, max_records=7)
            seen += [r.offset for records in batch.values() for r in records]
    assert seen == list(range(100))
    await appending
    await consumer.close()


async def test_topic_that_exists_is_left_alone_and_another_count_is_refused_by_name(
    log: AnyLog, make_topic: MakeTopic
) -> None:
    topic = await make_topic(3)
    await append(log, topic, [b"kept"])
    await log.create_topic(topic, 3)
    assert await log.partitions(topic) == 3
    with pytest.raises(LogError, match=rf"{topic}.* 3 .*4"):
        await log.create_topic(topic, 4)
    consumer = await log.consumer(client_id="contract")
    consumer.assign({TopicPartition(topic, 0): 0})
    assert [r.value for r in await read(consumer, 1)] == [b"kept"]
    await consumer.close()


async def test_unknown_topic_is_an_error_by_name(log: AnyLog) -> None:
    with pytest.raises(LogError, match="no-such-topic"):
        await log.partitions("no-such-topic")
    with pytest.raises(LogError, match="no-such-topic"):
        await log.consumer(["no-such-topic"], client_id="contract", group="g")


async def test_stress_two_producers_one_group_every_record_once(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(8)
    count, payload = 4_000, b"p" * 1_024

    async def produce(name: int) -> None:
        producer = await log.producer(f"contract-{name}")
        for n in range(count):
            await producer.send(topic, b"%d:%d" % (name, n), payload, partition=n % 8, timestamp_ms=n)
        await producer.flush()
        await producer.close()

    consumer = await log.consumer([topic], client_id="contract", group=group)
    producing = [asyncio.create_task(produce(name)) for name in range(2)]
    records = await read(consumer, 2 * count, max_records=500)
    await asyncio.gather(*producing)
    assert len({r.key for r in records}) == len(records) == 2 * count
    for name in range(2):
        for partition in range(8):
            mine = [
                int((r.key or b"").split(b":")[1])
                for r in records
                if r.partition == partition and (r.key or b"").startswith(b"%d:" % name)
            ]
            assert mine == sorted(mine)
    await consumer.close()
