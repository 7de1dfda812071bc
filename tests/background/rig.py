"""The background service on a log in memory: records in, records out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.ticks import INPUT_SAMPLES, floor_to_frame
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, CAPTURE_FRAMES, DEAD_LETTERS, Topic
from services.background.app import run
from services.background.listen import TERMINAL
from services.background.settings import BackgroundSettings
from shared.clock import Clock, SystemClock
from shared.log.api import LogRecord, TopicPartition
from shared.log.memory import MemoryLog

PARTITIONS = 4
NO_REDIS = "redis://127.0.0.1:1/0"


def settings(**options: object) -> BackgroundSettings:
    return BackgroundSettings(**({"redis_url": NO_REDIS, "background_hearing": "off", "instance_id": "t"} | options))


class Rig:
    """One log and the hands to write to it and read from it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.log = MemoryLog(self.clock)

    async def open(self) -> Rig:
        await self.log.create_topics(PARTITIONS)
        self.producer = await self.log.producer("test")
        return self

    async def send(self, topic: Topic, record: r.Record, *, value: bytes | None = None) -> None:
        partition = partition_of(record.session_id, PARTITIONS)
        raw = codec.encode(record) if value is None else value
        await (
            await self.producer.send(
                topic.name, record.key.encode(), raw, partition=partition, timestamp_ms=record.timestamp_ms
            )
        )

    async def read(self, topic: Topic) -> list[LogRecord]:
        """Everything that a topic holds now."""
        consumer = await self.log.consumer(client_id="reader")
        count = await self.log.partitions(topic.name)
        sources = [TopicPartition(topic.name, p) for p in range(count)]
        consumer.assign(await consumer.beginning_offsets(sources))
        out: list[LogRecord] = []
        while batch := await consumer.get_batch(timeout_ms=1, max_records=10_000):
            out += [record for records in batch.values() for record in records]
        await consumer.close()
        return out

    async def results(self, task_id: str | None = None) -> list[r.BackgroundResult]:
        decoded = [codec.decode(BACKGROUND_RESULTS, record.value) for record in await self.read(BACKGROUND_RESULTS)]
        return [result for result in decoded if task_id in (None, result.task_id)]

    async def dead_letters(self) -> list[r.DeadLetter]:
        return [codec.decode(DEAD_LETTERS, record.value) for record in await self.read(DEAD_LETTERS)]

    async def until(self, condition: Callable[[list[r.BackgroundResult]], object], *, seconds: float = 60) -> None:
        """Wait until the results satisfy ``condition``."""
        async with asyncio.timeout(seconds):
            while not condition(await self.results()):  # noqa: ASYNC110 - the log has no event for tests
                await asyncio.sleep(0.01)

    async def ended(self, *task_ids: str) -> dict[str, r.BackgroundResult]:
        """Wait for the last results of some tasks."""
        wanted = set(task_ids)
        await self.until(lambda results: wanted <= {x.task_id for x in results if x.kind in TERMINAL})
        return {x.task_id: x for x in await self.results() if x.kind in TERMINAL and x.task_id in wanted}

    def task(
        self,
        task_id: str = "s-1",
        question: str = "What is the capital of France?",
        *,
        role: str = "user_typed",
        session_id: str = "s",
        deadline_in_ms: int = 60_000,
        at_ms: int | None = None,
        span_ms: int = 2_000,
        before: tuple[r.ContextEntry, ...] = (),
    ) -> r.BackgroundTask:
        at_ms = floor_to_frame(self.clock.wall_ms()) if at_ms is None else at_ms
        said = [r.ContextEntry(role=role, timestamp_ms=at_ms - 200, text=question)] if question else []
        context = r.ContextPackage(
            entries=[*before, *said], span_start_ms=at_ms + 200 - span_ms, span_end_ms=at_ms + 200
        )
        deadline_ms = int(self.clock.wall_ms()) + deadline_in_ms
        return r.BackgroundTask(
            session_id=session_id, timestamp_ms=at_ms, task_id=task_id, deadline_ms=deadline_ms, context=context
        )

    async def delegate(self, task: r.BackgroundTask) -> None:
        await self.send(BACKGROUND_TASKS, task)

    async def cancel(self, task: r.BackgroundTask) -> None:
        cancel = r.BackgroundCancel(session_id=task.session_id, timestamp_ms=task.timestamp_ms, task_id=task.task_id)
        await self.send(BACKGROUND_TASKS, cancel)

    async def speak(self, pcm: bytes, *, end_ms: int, session_id: str = "s") -> int:
        """Put sound into ``capture.frames`` so that it ends at ``end_ms``; returns when it begins."""
        size = INPUT_SAMPLES * 2
        frames = [pcm[i : i + size].ljust(size, b"\0") for i in range(0, len(pcm), size)]
        start_ms = end_ms - 200 * len(frames)
        for tick, audio in enumerate(frames):
            frame = r.CaptureFrame(session_id=session_id, timestamp_ms=start_ms + 200 * tick, tick=tick, audio=audio)
            await self.send(CAPTURE_FRAMES, frame)
        return start_ms


@asynccontextmanager
async def serving(rig: Rig, options: BackgroundSettings, *, crash: bool = False) -> AsyncIterator[None]:
    """The service, running; at the end a graceful stop, or none at all."""
    stop = asyncio.Event()
    service = asyncio.create_task(run(options, rig.log, rig.clock, stop))
    try:
        yield
        if not crash:
            stop.set()
            async with asyncio.timeout(20):
                await service
    finally:
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service
