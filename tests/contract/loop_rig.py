"""A handler that does as told, and the records that the loop's tests feed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from schemas import codec
from schemas.partitioning import partition_of
from schemas.records import CaptureFrame, DeadLetter, EncodedFrame
from schemas.topics import CAPTURE_FRAMES, DEAD_LETTERS, ENCODER_FRAMES, TOPICS
from shared.clock import ManualClock
from shared.log.api import Consumer, Log, LogRecord, TopicPartition
from shared.log.loop import ConsumeLoop, Incoming, InvalidRecord, LoopSettings, Outgoing
from shared.log.loop_metrics import LoopMetrics
from shared.log.memory import MemoryLog
from shared.log.retry import Backoff

PARTITIONS = 4
GROUP = "loop-test"


def frame(session: str, tick: int) -> CaptureFrame:
    return CaptureFrame(session_id=session, timestamp_ms=200 * tick, tick=tick, audio=b"")


def answer(incoming: Incoming, *, padding: int = 0) -> Outgoing:
    """An encoded frame of the same identity."""
    value: CaptureFrame = incoming.value
    encoded = EncodedFrame(
        session_id=value.session_id,
        timestamp_ms=value.timestamp_ms,
        tick=value.tick,
        d=1,
        kinds=b"",
        embeddings=b"\0" * padding,
        encoder_version="test",
        input_offset=incoming.record.offset,
    )
    return Outgoing(ENCODER_FRAMES, encoded, source=incoming)


def home(session: str) -> TopicPartition:
    return TopicPartition(CAPTURE_FRAMES.name, partition_of(session, PARTITIONS))


def sessions_apart(count: int) -> list[str]:
    """Names of sessions that live in different partitions."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < count:
        name = f"s{number}"
        found.setdefault(partition_of(name, PARTITIONS), name)
        number += 1
    return list(found.values())


class Answering:
    """Answers every frame. ``on_batch`` may do something else with a batch, or raise."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.batches: list[int] = []
        self.owned: frozenset[TopicPartition] = frozenset()
        self.on_batch: Callable[[Sequence[Incoming]], Iterable[Outgoing | InvalidRecord]] | None = None
        self.on_revoked: Callable[[], None] | None = None

    async def handle(self, batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        outputs = [answer(i) for i in batch] if self.on_batch is None else self.on_batch(batch)
        self.seen += [(i.value.session_id, i.value.tick) for i in batch]
        self.batches.append(len(batch))
        return outputs

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        assert consumer.assignment() == partitions
        self.owned = partitions

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        if self.on_revoked is not None:
            self.on_revoked()
        self.owned -= partitions


def new_loop(
    log: Log, handler: Any, clock: ManualClock, *, metrics: LoopMetrics | None = None, **settings: Any
) -> ConsumeLoop:
    settings = {"backoff": Backoff(attempts=4, first_s=1.0), "group": GROUP, **settings}
    return ConsumeLoop(
        log,
        handler,
        LoopSettings(service="tester", topics=(CAPTURE_FRAMES,), **settings),
        clock=clock,
        metrics=metrics,
        assignment=None
        if settings["group"]
        else {TopicPartition(CAPTURE_FRAMES.name, p): 0 for p in range(PARTITIONS)},
    )


@asynccontextmanager
async def running(loop: ConsumeLoop) -> AsyncIterator[asyncio.Task[None]]:
    """The loop at work; stopped gracefully in the end, unless it has ended by itself."""
    task = asyncio.create_task(loop.run())
    try:
        yield task
        loop.stop()
        async with asyncio.timeout(20):
            await task
    finally:
        task.cancel()
        with suppress(BaseException):
            await task


async def new_log(clock: ManualClock, **limits: Any) -> MemoryLog:
    log = MemoryLog(clock, **limits)
    await log.create_topics(PARTITIONS)
    return log


async def publish(log: Log, frames: Iterable[CaptureFrame]) -> None:
    for one in frames:
        await publish_raw(log, one.session_id, codec.encode(one), tick=one.tick)


async def publish_raw(log: Log, session: str, raw: bytes, *, tick: int = 0) -> int:
    producer = await log.producer("publisher")
    sent = await producer.send(
        CAPTURE_FRAMES.name,
        f"{session}:{200 * tick}".encode(),
        raw,
        partition=home(session).partition,
        timestamp_ms=200 * tick,
    )
    await producer.close()
    return 0 if asyncio.isfuture(sent) and not sent.done() else await sent


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else run until the condition holds, which may be about anything."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def everything(log: MemoryLog, topic: str) -> list[LogRecord]:
    """All that a topic holds, partition by partition."""
    partitions = PARTITIONS if TOPICS[topic].aligned else 1
    stores = [log.find(TopicPartition(topic, p)) for p in range(partitions)]
    return [record for store in stores for record in store.read(store.begin, store.end)]


def answered(log: MemoryLog) -> list[tuple[str, int]]:
    values = [codec.decode(ENCODER_FRAMES, r.value) for r in everything(log, ENCODER_FRAMES.name)]
    return [(v.session_id, v.tick) for v in values]


def dead_letters(log: MemoryLog) -> list[tuple[bytes | None, DeadLetter]]:
    return [(r.key, codec.decode(DEAD_LETTERS, r.value)) for r in everything(log, DEAD_LETTERS.name)]


async def committed(log: Log, tp: TopicPartition) -> int | None:
    """What the group would resume at, asked by somebody who reads nothing."""
    consumer = await log.consumer(client_id="asker", group=GROUP)
    try:
        return await consumer.committed(tp)
    finally:
        await consumer.close()
