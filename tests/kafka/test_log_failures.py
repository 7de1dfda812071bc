"""The log on a real Kafka when processes are killed and brokers go away."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.partitioner import DefaultPartitioner

from infra.local.kafka import LocalKafka
from schemas.partitioning import partition_of
from schemas.topics import MAX_RECORD_BYTES, TOPICS
from shared.log.api import LogUnavailable, RecordTooLarge, TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from tests.contract.conftest import Member, append, read

pytestmark = pytest.mark.kafka
SESSION_TIMEOUT_MS = 2_000


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def log(kafka_bootstrap: str) -> AsyncIterator[KafkaLog]:
    made = KafkaLog(KafkaSettings(kafka_bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that these tests may stop and start."""
    with LocalKafka(tmp_path_factory.mktemp("own-kafka"), heap_mb=384) as kafka:
        yield kafka


# --- processes that are killed


class Process:
    """A ``log_member`` process and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, condition: Callable[[list[str]], bool]) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while not condition(self.lines):
                line = await self.process.stdout.readline()
                assert line, f"the member ended after {self.lines}"
                self.lines.append(line.decode().strip())

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def member_process(bootstrap: str, topic: str, group: str, instance_id: str = "") -> AsyncIterator[Process]:
    arguments = ["-m", "tests.kafka.log_member", bootstrap, topic, group, str(SESSION_TIMEOUT_MS), instance_id]
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
    )
    try:
        yield process
    finally:
        await process.kill()


async def test_killed_member_is_replaced_and_its_uncommitted_records_are_read_again(
    log: KafkaLog, kafka_bootstrap: str
) -> None:
    topic, group = unique("killed"), unique("group")
    await log.create_topic(topic, 4)
    for partition in range(4):
        await append(log, topic, [b"v"] * 3, partition=partition)
    survivor = Member()
    async with member_process(kafka_bootstrap, topic, group) as victim:
        await victim.until(lambda lines: len([line for line in lines if line.startswith("read")]) == 12)
        await survivor.join(log, [topic], group)
        await survivor.until(lambda: len(survivor.owned) == 2)
        await victim.kill()
        await survivor.until(lambda: len(survivor.owned) == 4, timeout_s=30)
        await survivor.until(lambda: len({(r.partition, r.offset) for r in survivor.records}) == 12)
    await survivor.leave()


async def test_killed_static_member_comes_back_without_a_rebalance(log: KafkaLog, kafka_bootstrap: str) -> None:
    topic, group = unique("static"), unique("group")
    await log.create_topic(topic, 4)
    other = Member()
    async with member_process(kafka_bootstrap, topic, group, "one") as first:
        await first.until(lambda lines: lines == ["assigned 0 1 2 3"])
        await other.join(log, [topic], group, instance_id="two")
        await other.until(lambda: len(other.owned) == 2)
        await first.until(lambda lines: len(lines) == 2)
        told = list(other.told)
        await first.kill()
        async with member_process(kafka_bootstrap, topic, group, "one") as second:
            await second.until(lambda lines: len(lines) == 1)
            assert second.lines == first.lines[1:]
            for partition in range(4):
                await append(log, topic, [b"v"], partition=partition)
            await second.until(lambda lines: len(lines) == 3)
            await other.until(lambda: len(other.records) == 2)
            assert other.told == told, "it noticed nothing"
    await other.leave()


# --- brokers that go away


async def start(kafka: LocalKafka) -> None:
    await asyncio.to_thread(kafka.prepare)
    kafka.spawn()
    await asyncio.to_thread(kafka.wait_ready)


async def test_broker_restart_loses_doubles_and_reorders_nothing(own_kafka: LocalKafka) -> None:
    log = KafkaLog(KafkaSettings(own_kafka.bootstrap_servers))
    topic, group = unique("restart"), unique("group")
    await log.create_topic(topic, 2)
    producer = await log.producer("test")
    consumer = await log.consumer([topic], client_id="test", group=group)
    sent = []
    restarting: asyncio.Future[None] | None = None
    began_ms = int(time.time() * 1000)
    for n in range(600):
        at = began_ms + n
        sent.append(await producer.send(topic, b"k%d" % n, b"v%d" % n, partition=n % 2, timestamp_ms=at))
        if n == 200:
            restarting = asyncio.ensure_future(asyncio.to_thread(own_kafka.stop))
        await asyncio.sleep(0.002)
    assert restarting is not None
    await restarting
    await start(own_kafka)
    offsets = [await acknowledged for acknowledged in sent]
    for partition in (0, 1):
        assert offsets[partition::2] == list(range(300))
    records = await read(consumer, 600)
    for partition in (0, 1):
        assert [r.key for r in records if r.partition == partition] == [b"k%d" % n for n in range(partition, 600, 2)]
    await consumer.commit({TopicPartition(topic, 0): 300})
    assert await consumer.committed(TopicPartition(topic, 0)) == 300
    await producer.close()
    await consumer.close()
    await log.close()


async def test_a_batch_sent_again_after_a_restart_is_stored_once_if_its_time_is_of_today(own_kafka: LocalKafka) -> None:
    """What the producer's docstring says about records' times, shown on a broker: an acknowledgement that was lost
    makes aiokafka send a batch again under the same sequence number."""
    log = KafkaLog(KafkaSettings(own_kafka.bootstrap_servers))
    topic = unique("again")
    await log.create_topic(topic, 2)
    producer = await log.producer("test")
    times_ms = (int(time.time() * 1000), 5)

    async def send() -> list[int]:
        sent = [
            await producer.send(topic, b"k", b"v", partition=n, timestamp_ms=at) for n, at in enumerate(times_ms)
        ]
        return [await acknowledged for acknowledged in sent]

    assert await send() == [0, 0]
    await asyncio.to_thread(own_kafka.stop)
    await start(own_kafka)
    transactions = producer._producer._txn_manager
    assert transactions is not None
    for partition in (0, 1):
        transactions._sequence_numbers[TopicPartition(topic, partition)] = 0
    assert await send() == [0, 1], "of the record of 1970 the broker has forgotten who sent it"
    await producer.close()
    await log.close()


async def test_broker_that_stays_away_fails_sends_and_commits_in_bounded_time(own_kafka: LocalKafka) -> None:
    log = KafkaLog(KafkaSettings(own_kafka.bootstrap_servers, delivery_timeout_ms=2_000, request_timeout_ms=2_000))
    topic, group = unique("away"), unique("group")
    await log.create_topic(topic, 1)
    await append(log, topic, [b"v"])
    producer = await log.producer("test")
    consumer = await log.consumer([topic], client_id="test", group=group)
    await read(consumer, 1)
    await asyncio.to_thread(own_kafka.stop)
    try:
        with pytest.raises(LogUnavailable):
            await (await producer.send(topic, b"k", b"lost", partition=0, timestamp_ms=1))
        with pytest.raises(LogUnavailable):
            await consumer.commit({TopicPartition(topic, 0): 1})
        assert await consumer.get_batch(timeout_ms=100, max_records=1) == {}
        with pytest.raises(LogUnavailable):
            await log.producer("another")
        with pytest.raises(LogUnavailable):
            await log.consumer(client_id="another")
    finally:
        await asyncio.wait_for(producer.close(), 20)
        await asyncio.wait_for(consumer.close(), 20)
        await log.close()
        await start(own_kafka)


async def test_nobody_at_the_address_is_unavailable() -> None:
    log = KafkaLog(KafkaSettings("127.0.0.1:1", request_timeout_ms=1_000))
    with pytest.raises(LogUnavailable):
        await log.partitions("any")
    with pytest.raises(LogUnavailable):
        await log.producer("test")
    await log.close()


# --- topics, limits, other clients


async def test_topics_are_created_from_the_map_with_their_settings(own_kafka: LocalKafka) -> None:
    log = KafkaLog(KafkaSettings(own_kafka.bootstrap_servers))
    await log.create_topics(6)
    await log.create_topics(6)
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka.bootstrap_servers)
    await admin.start()
    try:
        for topic in TOPICS.values():
            assert await log.partitions(topic.name) == (6 if topic.aligned else 1)
            (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
            ((*_, entries),) = response.resources
            config = {entry[0]: entry[1] for entry in entries}
            assert set(config["cleanup.policy"].split(",")) == set(topic.cleanup.split(","))
            assert config["retention.ms"] == str(topic.retention_ms)
            assert int(config["max.message.bytes"]) > MAX_RECORD_BYTES
    finally:
        await admin.close()
        await log.close()


async def test_record_that_the_broker_refuses_is_too_large(log: KafkaLog) -> None:
    topic = unique("small")
    await log.create_topic(topic, 1, {"max.message.bytes": "2000"})
    producer = await log.producer("test")
    with pytest.raises(RecordTooLarge):
        await (await producer.send(topic, b"k", b"x" * 5_000, partition=0, timestamp_ms=1))
    assert await (await producer.send(topic, b"k", b"x", partition=0, timestamp_ms=1)) == 0
    await producer.close()


async def test_any_kafka_client_reads_what_we_write(log: KafkaLog, kafka_bootstrap: str) -> None:
    topic = unique("plain")
    await log.create_topic(topic, 3)
    producer = await log.producer("test")
    session = "session-1"
    home = partition_of(session, 3)
    await (await producer.send(topic, b"session-1:400", b"\x81\xa1v\x01", partition=home, timestamp_ms=400))
    await producer.close()
    plain = AIOKafkaConsumer(topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest")
    await plain.start()
    try:
        record = await asyncio.wait_for(plain.getone(), 20)
    finally:
        await plain.stop()
    assert (record.key, record.value, record.timestamp) == (b"session-1:400", b"\x81\xa1v\x01", 400)
    assert record.partition == home == DefaultPartitioner()(session.encode(), [0, 1, 2], [0, 1, 2])
