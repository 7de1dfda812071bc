"""Reading the past: everything in some partitions since a moment, up to the end as it is now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from shared.log.api import Consumer, Log, LogRecord, LogUnavailable, TopicPartition

_CHUNK = 2000
_STALLED_ROUNDS = 30


async def read_since(
    log: Log, since_ms: Mapping[TopicPartition, int], *, client_id: str
) -> AsyncIterator[list[LogRecord]]:
    """Records with offsets from the first one stamped ``since_ms`` or later to the end at the time of the call.

    Comes in bounded chunks, each in order per partition.

    Raises:
        LogUnavailable: the log stopped answering before the end was reached.
    """
    if not since_ms:
        return
    consumer = await log.consumer(client_id=client_id)
    try:
        ends = await consumer.end_offsets(list(since_ms))
        found = await consumer.offsets_for_times(since_ms)
        starts = {source: offset for source, offset in found.items() if offset is not None and offset < ends[source]}
        async for chunk in _read(consumer, starts, ends):
            yield chunk
    finally:
        await consumer.close()


async def read_span(
    log: Log, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], *, client_id: str
) -> list[LogRecord]:
    """Records with ``starts[p] <= offset < ends[p]``, in order per partition. Raises ``LogUnavailable``."""
    spans = {source: offset for source, offset in starts.items() if offset < ends[source]}
    if not spans:
        return []
    consumer = await log.consumer(client_id=client_id)
    try:
        return [record async for chunk in _read(consumer, spans, ends) for record in chunk]
    finally:
        await consumer.close()


async def resume_offsets(consumer: Consumer, sources: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the consumer's group goes on: at its commits, or where there are none, at the beginning."""
    begins = await consumer.beginning_offsets(sources)
    committed = await asyncio.gather(*(consumer.committed(source) for source in sources))
    return {source: max(begins[source], offset or 0) for source, offset in zip(sources, committed, strict=True)}


async def _read(
    consumer: Consumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[LogRecord]]:
    consumer.assign(dict(starts))
    left = set(starts)
    stalled = 0
    while left:
        batch = await consumer.get_batch(timeout_ms=1000, max_records=_CHUNK)
        stalled = 0 if batch else stalled + 1
        if stalled > _STALLED_ROUNDS:
            raise LogUnavailable(f"no answer for {_STALLED_ROUNDS} s while reading {sorted(left)}")
        chunk: list[LogRecord] = []
        for source, records in batch.items():
            chunk += [record for record in records if record.offset < ends[source]]
        # The position, not the last record seen, tells the end: compacted or control offsets hold no record.
        for source in list(left):
            if await consumer.position(source) >= ends[source]:
                left.discard(source)
        if chunk:
            yield chunk
