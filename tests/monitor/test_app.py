"""The monitor on the log in memory: turns in, summaries out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from schemas import codec
from schemas.partitioning import partition_of
from schemas.records import Floor, SessionMetrics, SessionStarted
from schemas.topics import DEAD_LETTERS, INTERACTION_TURNS, SESSION_CONTROL, SESSION_METRICS, Topic
from services.monitor.app import run
from services.monitor.settings import MonitorSettings
from shared.clock import ManualClock
from shared.log.api import TopicPartition
from shared.log.memory import MemoryLog
from tests.monitor.turns import turn

PARTITIONS = 4
T0 = 1_700_000_000_000


class Rig:
    """A monitor whose clock the test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock(T0, auto=False)
        self.log = MemoryLog(self.clock)
        self.settings = MonitorSettings(instance_id="t")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.log.create_topics(PARTITIONS)
        self.producer = await self.log.producer("test")
        stop = asyncio.Event()
        service = asyncio.create_task(run(self.settings, self.log, self.clock, stop))
        await self.clock.advance(0.5)
        yield
        stop.set()
        async with asyncio.timeout(10):
            while not service.done():
                await self.clock.advance(0.1)
            await service

    async def send(self, topic: Topic, record: Any, *, value: bytes | None = None) -> None:
        key = record.key.encode() if topic is not SESSION_CONTROL else record.session_id.encode()
        partition = partition_of(record.session_id, PARTITIONS)
        raw = codec.encode(record) if value is None else value
        await (
            await self.producer.send(
                topic.name,
                key,
                raw,
                partition=partition,
                timestamp_ms=record.timestamp_ms,
            )
        )

    async def read(self, topic: Topic) -> list[tuple[bytes | None, int, object]]:
        """(key, record time, record) of everything in a topic."""
        consumer = await self.log.consumer(client_id="reader")
        sources = [TopicPartition(topic.name, p) for p in range(await self.log.partitions(topic.name))]
        consumer.assign(await consumer.beginning_offsets(sources))
        ends = await consumer.end_offsets(sources)
        out = []
        while any([await consumer.position(source) < ends[source] for source in sources]):
            for records in (await consumer.get_batch(timeout_ms=0, max_records=1000)).values():
                out += [(x.key, x.timestamp_ms, codec.decode(topic, x.value)) for x in records]
        await consumer.close()
        return out


async def test_turns_in_summaries_out() -> None:
    rig = Rig()
    async with rig.running():
        started = SessionStarted(session_id="s", timestamp_ms=T0, capture_id="c", phase_ms=50)
        await rig.send(SESSION_CONTROL, started)
        await rig.clock.advance(0.5)  # now T0 + 1000
        await rig.clock.advance(0.06)  # every turn comes 10 ms after its frame was cut
        for tick in range(5):
            await rig.clock.advance(0.2)
            for _ in range(2):
                await rig.send(INTERACTION_TURNS, turn(T0 + 1_000 + 200 * tick, floor=Floor.TAKE))
            await rig.clock.advance(0)  # let it be read before time goes on
        await rig.clock.advance(4.0)
        found = await rig.read(SESSION_METRICS)
    ((key, timestamp_ms, metrics),) = found
    assert isinstance(metrics, SessionMetrics)
    assert (key, timestamp_ms) == (f"s:{T0 + 1_000}".encode(), T0 + 1_000)
    assert (metrics.ticks, metrics.speaking_ticks, metrics.deadline_misses) == (5, 5, 0)
    assert (metrics.latency_p50_ms, metrics.latency_max_ms) == (10.0, 10.0)


async def test_what_is_no_turn_goes_to_dead_letters_and_too_old_turns_are_left_out() -> None:
    rig = Rig()
    async with rig.running():
        await rig.send(INTERACTION_TURNS, turn(T0), value=b"\x01 no turn")
        await rig.send(INTERACTION_TURNS, turn(T0 - 120_000))
        await rig.send(INTERACTION_TURNS, turn(T0))
        await rig.clock.advance(5.0)
        letters, summaries = await rig.read(DEAD_LETTERS), await rig.read(SESSION_METRICS)
    assert [letter.value for _, _, letter in letters] == [b"\x01 no turn"]
    assert [at_ms for _, at_ms, _ in summaries] == [T0]
