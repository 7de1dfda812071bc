"""Appending to Kafka: idempotent, acknowledged by all replicas, each record at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Generator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from schemas.topics import MAX_RECORD_BYTES
from shared.clock import Clock
from shared.log.api import RecordTooLarge
from shared.log.kafka_settings import ENVELOPE_BYTES, KafkaSettings, translate, translated

_WATCH_INTERVAL_S = 1.0
_STOP_S = 2.0


class _Acknowledgement:
    """Awaits to the offset of one record."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, int]:
        try:
            metadata = yield from self._future.__await__()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise translate(error) from error
        offset: int = metadata.offset
        return offset


class KafkaProducer:
    """See ``shared.log.api.Producer``.

    aiokafka's idempotent producer retries for ever, which alone keeps records in order and single. A watchdog ends
    that: what is older than ``delivery_timeout_ms`` fails, and then the process should start anew.

    A broker that restarts remembers only producers whose last record's own time is younger than its
    ``producer.id.expiration.ms`` (a day). Records that carry old times, such as those of a conversation that is written
    once more, can be stored twice if an acknowledgement is lost just then.
    """

    def __init__(self, settings: KafkaSettings, client_id: str, clock: Clock) -> None:
        self._clock = clock
        self._delivery_timeout_s = settings.delivery_timeout_ms / 1000
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._watch: asyncio.Task[None] | None = None
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_request_size=MAX_RECORD_BYTES + ENVELOPE_BYTES,
            max_batch_size=settings.max_batch_bytes,
            request_timeout_ms=settings.request_timeout_ms,
        )

    async def start(self) -> None:
        """Connect. Raises ``LogUnavailable``."""
        try:
            with translated():
                await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        self._watch = asyncio.create_task(self._fail_overdue())

    async def send(self, topic: str, key: bytes, value: bytes, *, partition: int, timestamp_ms: int) -> Awaitable[int]:
        if len(key) + len(value) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{topic}: {len(key) + len(value)} bytes, more than {MAX_RECORD_BYTES}")
        with translated():
            future = await self._producer.send(topic, value, key, partition=partition, timestamp_ms=timestamp_ms)
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((self._clock.monotonic(), future))
        return _Acknowledgement(future)

    async def flush(self) -> None:
        waiting = [future for _, future in self._waiting if not future.done()]
        if waiting:
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """Stop; what is not acknowledged yet gets a last chance, but the delivery timeout holds."""
        await self.flush()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        stopping = asyncio.create_task(self._producer.stop())
        done, _ = await asyncio.wait([stopping], timeout=_STOP_S)
        if not done:  # it would go on for ever with what has failed already
            stopping.cancel()
            await asyncio.gather(stopping, self._producer._sender.close(), return_exceptions=True)
            await self._producer.client.close()

    async def _fail_overdue(self) -> None:
        while True:
            await self._clock.sleep(_WATCH_INTERVAL_S)
            oldest = self._clock.monotonic() - self._delivery_timeout_s
            while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] < oldest):
                _, future = self._waiting.popleft()
                if not future.done():
                    future.set_exception(KafkaTimeoutError(f"not acknowledged in {self._delivery_timeout_s} s"))
                    future.exception()  # seen: whoever awaits the first needs no complaint about the rest
