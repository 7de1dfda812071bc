"""Where a frame's time goes: one partition's records watched in three topics as they become visible to a consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS
from shared.clock import SystemClock
from shared.log.api import TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings

TOPICS = (CAPTURE_FRAMES.name, ENCODER_FRAMES.name, INTERACTION_TURNS.name)
Seen = dict[bytes, dict[str, float]]


async def watch(bootstrap: str, partition: int, stop: asyncio.Event) -> Seen:
    """Arrival times, in seconds, by record key and topic, of everything that comes on one partition until ``stop``."""
    clock = SystemClock()
    log = KafkaLog(KafkaSettings(bootstrap))
    seen: Seen = {}
    try:
        consumer = await log.consumer(client_id="bench-stages")
        consumer.assign({TopicPartition(topic, partition): None for topic in TOPICS})
        while not stop.is_set():
            batch = await consumer.get_batch(timeout_ms=200, max_records=1000)
            now = clock.monotonic()
            for source, records in batch.items():
                for record in records:
                    seen.setdefault(record.key or b"", {})[source.topic] = now
        await consumer.close()
    finally:
        await log.close()
    return seen


def summarise(seen: Seen) -> dict[str, dict[str, float]]:
    """Per hop the number of frames and p50, p99, max in ms. The hop before capture.frames is capture's own."""
    hops = {"encoder": TOPICS[:2], "interaction": TOPICS[1:]}
    return {
        name: _percentiles([times[b] - times[a] for times in seen.values() if a in times and b in times])
        for name, (a, b) in hops.items()
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"frames": 0}
    ms = np.array(seconds) * 1000
    p50, p99 = np.percentile(ms, [50, 99])
    return {"frames": len(ms), "p50_ms": float(p50), "p99_ms": float(p99), "max_ms": float(ms.max())}
