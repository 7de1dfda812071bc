"""Sending records: key, partition and time derived from the record, a bounded window of what is not acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from schemas.codec import encode
from schemas.partitioning import partition_of
from schemas.topics import MAX_RECORD_BYTES, KeyKind, Topic
from shared.clock import Clock
from shared.log.api import Log, LogRecord, LogUnavailable, Producer, RecordTooLarge
from shared.log.loop_metrics import LoopMetrics, NoLoopMetrics
from shared.log.offsets import OffsetTracker
from shared.log.retry import Backoff, retrying

_partition_of = lru_cache(maxsize=65_536)(partition_of)


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """One decoded record on its way through a handler; ``value`` is one of the structs that ``topic`` may carry."""

    topic: Topic
    record: LogRecord
    value: Any
    tracker: OffsetTracker = field(default_factory=OffsetTracker, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """One record to send. Its partition follows from ``session_id``, its key and time from the topic and the record.

    ``source`` is the input that it answers: that input counts as done only when this record is acknowledged. A source
    that is done already, because its batch is over and it wasn't deferred, changes nothing.
    ``key`` is needed only where the record has no session: then the partition is ``partition``.
    """

    topic: Topic
    value: Any
    source: Incoming | None = None
    key: bytes | None = None
    timestamp_ms: int | None = None
    partition: int = 0


class Sender:
    """Sends in order and tells each input's tracker when what it led to is acknowledged.

    At most ``window`` records are unacknowledged; then ``send`` waits. ``run`` must be running, and ends only by
    raising what a send has failed with: the producer has its own bounded retries, and only those keep the order, so
    a failure here leaves nothing but to crash and be given the inputs again.
    """

    def __init__(
        self,
        log: Log,
        producer: Producer,
        *,
        clock: Clock,
        window: int = 2_000,
        backoff: Backoff | None = None,
        metrics: LoopMetrics | None = None,
    ) -> None:
        self._log = log
        self._producer = producer
        self._clock = clock
        self._window = window
        self._backoff = backoff or Backoff()
        self._metrics = metrics or NoLoopMetrics()
        self._partitions: dict[str, int] = {}
        self._waiting: deque[tuple[Awaitable[int], str, OffsetTracker | None, int]] = deque()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._failure: BaseException | None = None

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    async def send(self, outgoing: Outgoing) -> None:
        """Queue one record.

        Raises:
            RecordTooLarge: it exceeds ``MAX_RECORD_BYTES``; nothing was sent.
            LogUnavailable: the log did not take it after bounded retries, or an earlier record failed.
        """
        topic = outgoing.topic
        value = encode(outgoing.value)
        key, session_id = _key_of(outgoing)
        if len(key) + len(value) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{topic.name}: {len(value)} bytes, more than {MAX_RECORD_BYTES}")
        count = self._partitions.get(topic.name)
        if count is None:
            count = self._partitions[topic.name] = await self._retrying(lambda: self._log.partitions(topic.name))
        partition = outgoing.partition if session_id is None else _partition_of(session_id, count)
        timestamp_ms = outgoing.value.timestamp_ms if outgoing.timestamp_ms is None else outgoing.timestamp_ms
        while len(self._waiting) >= self._window:
            self._raise_failure()
            self._room.clear()
            await self._room.wait()
        self._raise_failure()
        acknowledged = await self._retrying(
            lambda: self._producer.send(topic.name, key, value, partition=partition, timestamp_ms=timestamp_ms)
        )
        source = outgoing.source
        tracker, offset = (None, 0) if source is None else (source.tracker, source.record.offset)
        if tracker is not None and not tracker.hold(offset):
            tracker = None
        self._waiting.append((acknowledged, topic.name, tracker, offset))
        self._empty.clear()
        self._work.set()

    async def flush(self) -> None:
        """Return when all that was sent is acknowledged. Raises what a send has failed with."""
        if self._waiting:
            await self._producer.flush()
            await self._empty.wait()
        self._raise_failure()

    async def run(self) -> None:
        """Take acknowledgements, in the order of sending, for ever."""
        try:
            while True:
                self._work.clear()
                await self._acknowledge_all()
                await self._work.wait()
        except BaseException as error:
            self._failure = error
            self._room.set()
            self._empty.set()
            raise

    async def _acknowledge_all(self) -> None:
        waiting = self._waiting
        out: dict[str, int] = {}
        while waiting:
            acknowledged, topic, tracker, offset = waiting[0]
            await acknowledged
            waiting.popleft()
            if tracker is not None:
                tracker.release(offset)
            out[topic] = out.get(topic, 0) + 1
            if len(waiting) < self._window:
                self._room.set()
        self._empty.set()
        for topic, count in out.items():
            self._metrics.records_out(topic, count)
        self._metrics.in_flight(0)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise LogUnavailable(f"an earlier record was not acknowledged: {self._failure!r}") from self._failure

    async def _retrying(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await operation()
        except LogUnavailable:
            self._metrics.retried()
            return await retrying(
                operation, clock=self._clock, backoff=self._backoff, on_retry=lambda _: self._metrics.retried()
            )


def _key_of(outgoing: Outgoing) -> tuple[bytes, str | None]:
    """The record's key and the session that decides its partition."""
    session_id: str | None = getattr(outgoing.value, "session_id", None)
    if session_id is not None and outgoing.topic.key is KeyKind.TICK:
        return outgoing.key or outgoing.value.key.encode(), session_id
    if session_id is not None and outgoing.topic.key is KeyKind.SESSION:
        return outgoing.key or session_id.encode(), session_id
    if outgoing.key is None:
        raise ValueError(f"{outgoing.topic.name}: records without a session need an explicit key")
    return outgoing.key, None
