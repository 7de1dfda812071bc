"""Both implementations of the log behind one fixture, and what the contract's tests share."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.log.api import Consumer, LogRecord, TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from shared.log.memory import MemoryLog

SESSION_TIMEOUT_S = 3.0
AnyLog = MemoryLog | KafkaLog
MakeTopic = Callable[[int], Awaitable[str]]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[AnyLog]:
    made: AnyLog
    if request.param == "memory":
        made = MemoryLog(session_timeout_s=SESSION_TIMEOUT_S)
    else:
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        made = KafkaLog(KafkaSettings(bootstrap, session_timeout_ms=int(SESSION_TIMEOUT_S * 1000)))
    yield made
    await made.close()


@pytest.fixture
def make_topic(log: AnyLog) -> MakeTopic:
    """Creates a topic that no other test uses."""

    async def make(partitions: int) -> str:
        name = f"contract-{uuid.uuid4().hex[:12]}"
        await log.create_topic(name, partitions)
        return name

    return make


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


class Member:
    """A group's member that reads in the background and remembers everything it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, frozenset[TopicPartition]]] = []
        self.records: list[LogRecord] = []
        self.consumer: Consumer | None = None
        self.failure: BaseException | None = None
        self.commit_on_revoke = False
        self._news = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.told.append(("assigned", partitions))
        self._news.set()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        if self.commit_on_revoke and self.consumer is not None:
            done: dict[TopicPartition, int] = {}
            for record in self.records:
                if record.source in partitions:
                    done[record.source] = record.offset + 1
            await self.consumer.commit(done)
        self.told.append(("revoked", partitions))
        self._news.set()

    async def join(self, log: AnyLog, topics: list[str], group: str, *, instance_id: str | None = None) -> Consumer:
        self.consumer = await log.consumer(
            topics,
            client_id="contract",
            group=group,
            instance_id=instance_id,
            on_assigned=self.assigned,
            on_revoked=self.revoked,
        )
        self._reading = asyncio.create_task(self._read(self.consumer))
        return self.consumer

    async def _read(self, consumer: Consumer) -> None:
        try:
            while True:
                batch = await consumer.get_batch(timeout_ms=100, max_records=100)
                for records in batch.values():
                    self.records += records
                if batch:
                    self._news.set()
        except Exception as error:
            self.failure = error
            self._news.set()

    @property
    def owned(self) -> frozenset[TopicPartition]:
        last = self.told[-1] if self.told else ("revoked", frozenset())
        return last[1] if last[0] == "assigned" else frozenset()

    @property
    def owned_partition(self) -> int:
        """The number of the only partition it has."""
        (only,) = self.owned
        return only.partition

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Return when the condition holds; it is looked at whenever this member hears something."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def leave(self) -> None:
        await self.stop_reading()
        if self.consumer is not None:
            await self.consumer.close()

    async def stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None


@pytest.fixture
async def new_member() -> AsyncIterator[Callable[[], Member]]:
    """Makes members, and sees to it that all leave."""
    members: list[Member] = []

    def make() -> Member:
        members.append(Member())
        return members[-1]

    yield make
    for member in members:
        await member.leave()


async def append(log: AnyLog, topic: str, values: list[bytes], *, partition: int = 0) -> list[int]:
    """Send and wait for all; the record at index i is stamped ``1000 * (i + 1)``."""
    producer = await log.producer("contract")
    try:
        sent = [
            await producer.send(topic, b"k%d" % i, value, partition=partition, timestamp_ms=1000 * (i + 1))
            for i, value in enumerate(values)
        ]
        return [await acknowledged for acknowledged in sent]
    finally:
        await producer.close()


async def read(consumer: Consumer, count: int, *, max_records: int = 100) -> list[LogRecord]:
    """The next ``count`` records in order of arrival."""
    records: list[LogRecord] = []
    async with asyncio.timeout(20):
        while len(records) < count:
            for some in (await consumer.get_batch(timeout_ms=200, max_records=max_records)).values():
                records += some
    return records
