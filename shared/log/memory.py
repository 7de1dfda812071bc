"""The log in this process's memory: Kafka's contract without a broker, for tests and for machines without Java."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from schemas.topics import MAX_RECORD_BYTES, TOPICS
from shared.clock import Clock, SystemClock
from shared.log.api import LogError, LogUnavailable, RebalanceCallback, RecordTooLarge, TopicPartition
from shared.log.memory_consumer import MemoryConsumer
from shared.log.memory_group import MemoryGroup
from shared.log.memory_partition import MemoryPartition


class MemoryLog:
    """See ``shared.log.api.Log``.

    Memory is bounded: each partition forgets its oldest records past ``max_records`` or ``max_bytes``. Everything
    is lost with the process. The methods from ``rebalance`` on provoke what a broker does by accident.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        max_records: int = 50_000,
        max_bytes: int = 16 * 1024 * 1024,
        session_timeout_s: float = 3.0,
    ) -> None:
        self._clock = clock or SystemClock()
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._session_timeout_s = session_timeout_s
        self._topics: dict[str, list[MemoryPartition]] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._available = True
        self._held: list[tuple[asyncio.Future[int], int]] | None = None

    async def create_topics(self, partitions: int, *, prefix: str = "") -> None:
        for topic in TOPICS.values():
            await self.create_topic(prefix + topic.name, partitions if topic.aligned else 1)

    async def create_topic(self, name: str, partitions: int) -> None:
        """Create one topic. Raises ``LogError`` when it exists with another partition count."""
        existing = self._topics.get(name)
        if existing is None:
            self._topics[name] = [
                MemoryPartition(name, p, max_records=self._max_records, max_bytes=self._max_bytes)
                for p in range(partitions)
            ]
        elif len(existing) != partitions:
            raise LogError(f"topic {name} has {len(existing)} partitions, not {partitions}")

    async def partitions(self, topic: str) -> int:
        return len(self._topic(topic))

    async def producer(self, client_id: str) -> MemoryProducer:
        return MemoryProducer(self)

    async def consumer(
        self,
        topics: Sequence[str] = (),
        *,
        client_id: str,
        group: str | None = None,
        instance_id: str | None = None,
        from_beginning: bool = True,
        fetch_wait_ms: int | None = None,
        on_assigned: RebalanceCallback | None = None,
        on_revoked: RebalanceCallback | None = None,
    ) -> MemoryConsumer:
        for topic in topics:
            self._topic(topic)
        membership = None if group is None else self._group(group)
        consumer = MemoryConsumer(
            self.find,
            self.check_available,
            clock=self._clock,
            group=membership,
            explicit=not topics,
            from_beginning=from_beginning,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
        )
        if membership is not None and topics:
            membership.join(consumer, topics, instance_id)
        return consumer

    async def close(self) -> None:
        for group in self._groups.values():
            await group.close()

    # --- what producers and consumers need

    def find(self, tp: TopicPartition) -> MemoryPartition:
        partitions = self._topic(tp.topic)
        if not 0 <= tp.partition < len(partitions):
            raise LogError(f"topic {tp.topic} has no partition {tp.partition}")
        return partitions[tp.partition]

    def check_available(self) -> None:
        if not self._available:
            raise LogUnavailable("the in-memory log was made unavailable")

    def acknowledge(self, offset: int) -> asyncio.Future[int]:
        """A future with this offset: done already, or when acknowledgements are released."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._held is None:
            future.set_result(offset)
        else:
            self._held.append((future, offset))
        return future

    async def acknowledged(self) -> None:
        held = [] if self._held is None else [future for future, _ in self._held]
        if held:
            await asyncio.wait(held)

    def _topic(self, name: str) -> list[MemoryPartition]:
        if name not in self._topics:
            raise LogError(f"topic {name} does not exist")
        return self._topics[name]

    def _group(self, name: str) -> MemoryGroup:
        if name not in self._groups:
            self._groups[name] = MemoryGroup(
                self._clock, lambda topic: len(self._topic(topic)), self._session_timeout_s
            )
        return self._groups[name]

    # --- provoked accidents

    def rebalance(self, group: str) -> None:
        """Deal a group's partitions anew; whatever is uncommitted will be given again."""
        self._group(group).request_rebalance()

    def crash(self, consumer: MemoryConsumer) -> None:
        """Silence a consumer as ``kill -9`` would; its group notices after the session timeout."""
        consumer.crash()

    def set_available(self, available: bool) -> None:
        """While unavailable, reads, sends and commits raise ``LogUnavailable``."""
        self._available = available

    def hold_acknowledgements(self) -> None:
        """Append what is sent, but don't say so until ``release_acknowledgements``."""
        if self._held is None:
            self._held = []

    def release_acknowledgements(self, count: int | None = None) -> None:
        """Acknowledge the oldest ``count`` held sends; all, and all later ones at once, when None."""
        held = self._held or []
        released, kept = (held, None) if count is None else (held[:count], held[count:])
        self._held = kept
        for future, offset in released:
            if not future.done():
                future.set_result(offset)

    def fail_acknowledgements(self) -> None:
        """Let every held send fail as if the broker had not answered; the records may be in the log all the same."""
        held, self._held = self._held or [], None
        for future, offset in held:
            if not future.done():
                future.set_exception(LogUnavailable(f"offset {offset} was never acknowledged"))
                future.exception()  # the first to fail ends the loop; the rest need no complaint


class MemoryProducer:
    """See ``shared.log.api.Producer``."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._closed = False

    async def send(self, topic: str, key: bytes, value: bytes, *, partition: int, timestamp_ms: int) -> Awaitable[int]:
        if self._closed:
            raise LogError("the producer is closed")
        if len(key) + len(value) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{topic}: {len(key) + len(value)} bytes, more than {MAX_RECORD_BYTES}")
        self._log.check_available()
        store = self._log.find(TopicPartition(topic, partition))
        return self._log.acknowledge(store.append(timestamp_ms, key, value))

    async def flush(self) -> None:
        await self._log.acknowledged()

    async def close(self) -> None:
        self._closed = True
