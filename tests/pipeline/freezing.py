"""A log as one process sees it that can be stopped in its tracks and go on later, as SIGSTOP and SIGCONT do.

While frozen nothing that it awaits of the log returns: what it was about to write is written when it is thawed, late
and as if nothing had happened, which is what makes a zombie.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from shared.log.api import Consumer, Producer, TopicPartition
from shared.log.memory import MemoryLog


class FreezableLog:
    """``shared.log.api.Log`` over the log that all processes share."""

    def __init__(self, inner: MemoryLog) -> None:
        self._inner = inner
        self._running = asyncio.Event()
        self._running.set()

    def freeze(self) -> None:
        self._running.clear()

    def thaw(self) -> None:
        self._running.set()

    async def create_topics(self, partitions: int, *, prefix: str = "") -> None:
        await self._inner.create_topics(partitions, prefix=prefix)

    async def partitions(self, topic: str) -> int:
        return await self._inner.partitions(topic)

    async def producer(self, client_id: str) -> Producer:
        return _Producer(await self._inner.producer(client_id), self._running)

    async def consumer(self, topics: Sequence[str] = (), **options: Any) -> Consumer:
        return _Consumer(await self._inner.consumer(topics, **options), self._running)

    async def close(self) -> None:
        """The shared log is somebody else's to close."""


class _Producer:
    def __init__(self, inner: Producer, running: asyncio.Event) -> None:
        self._inner = inner
        self._running = running

    async def send(self, topic: str, key: bytes, value: bytes, *, partition: int, timestamp_ms: int) -> Awaitable[int]:
        await self._running.wait()
        return await self._inner.send(topic, key, value, partition=partition, timestamp_ms=timestamp_ms)

    async def flush(self) -> None:
        await self._running.wait()
        await self._inner.flush()

    async def close(self) -> None:
        await self._inner.close()


class _Consumer:
    def __init__(self, inner: Consumer, running: asyncio.Event) -> None:
        self.inner = inner
        self._running = running

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def get_batch(self, *, timeout_ms: int, max_records: int) -> Any:
        await self._running.wait()
        batch = await self.inner.get_batch(timeout_ms=timeout_ms, max_records=max_records)
        await self._running.wait()
        return batch

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._running.wait()
        await self.inner.commit(offsets)
