"""A log in memory, workers that can be crashed, and readers that wait for records instead of sleeping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import numpy as np

from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES, ENCODER_FRAMES, TOPICS, Topic
from services.encoder.model import EncoderNet, FrameEncoder
from services.encoder.worker import EncoderWorker
from services.interaction.echo import EchoModel
from services.interaction.worker import InteractionWorker
from shared.clock import SystemClock
from shared.log.api import Log, TopicPartition
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.memory import MemoryLog

START_MS = 1_700_000_000_000
PARTITIONS = 4
D = 16


def new_encoder() -> FrameEncoder:
    """A real encoder with weights that nobody trained, always the same ones."""
    import torch

    torch.manual_seed(5)
    return FrameEncoder(EncoderNet(D), "enc-test")


def capture_frame(session: str, tick: int, *, seed: int = 0, **fields: Any) -> r.CaptureFrame:
    pcm = np.random.default_rng((seed, tick)).integers(-8000, 8000, 3200, dtype=np.int16)
    fields.setdefault("audio", pcm.astype("<i2").tobytes())
    return r.CaptureFrame(session_id=session, timestamp_ms=START_MS + 200 * tick, tick=tick, **fields)


def encoded_frame(session: str, tick: int, **fields: Any) -> r.EncodedFrame:
    values = np.random.default_rng(tick).standard_normal((4, D)).astype("<f2")
    fields.setdefault("encoder_version", "enc-test")
    return r.EncodedFrame(
        session_id=session,
        timestamp_ms=START_MS + 200 * tick,
        tick=tick,
        d=D,
        kinds=bytes(4),
        embeddings=values.tobytes(),
        input_offset=tick,
        **fields,
    )


async def publish(log: Log, topic: Topic, records: Iterable[r.Record]) -> None:
    producer = await log.producer("test")
    count = await log.partitions(topic.name)
    for record in records:
        assert isinstance(record, r.Keyed)
        await producer.send(
            topic.name,
            record.key.encode(),
            codec.encode(record),
            partition=partition_of(record.session_id, count),
            timestamp_ms=record.timestamp_ms,
        )
    await producer.flush()
    await producer.close()


async def publish_raw(log: Log, topic: Topic, session: str, value: bytes, *, timestamp_ms: int = START_MS) -> None:
    producer = await log.producer("test")
    partition = partition_of(session, await log.partitions(topic.name))
    await producer.send(
        topic.name, f"{session}:{timestamp_ms}".encode(), value, partition=partition, timestamp_ms=START_MS
    )
    await producer.flush()
    await producer.close()


async def read_all(
    log: Log, topic: Topic, count: int, *, timeout_s: float = 20.0, done: Callable[[list[Any]], bool] = lambda _: True
) -> list[Any]:
    """At least ``count`` records of a topic that are ``done``, and all that lie there once that is so."""
    partitions = [TopicPartition(topic.name, p) for p in range(await log.partitions(topic.name))]
    consumer = await log.consumer(client_id="test-reader")
    consumer.assign(dict.fromkeys(partitions, 0))
    got: list[Any] = []
    try:
        async with asyncio.timeout(timeout_s):
            while len(got) < count or not done(got) or await _behind(consumer, partitions):
                for records in (await consumer.get_batch(timeout_ms=100, max_records=5000)).values():
                    got += [codec.decode(TOPICS[topic.name], record.value) for record in records]
    except TimeoutError:
        raise AssertionError(f"{topic.name}: {len(got)} records, wanted {count}: {got[-3:]}") from None
    finally:
        await consumer.close()
    return got


async def _behind(consumer: Any, partitions: list[TopicPartition]) -> bool:
    ends = await consumer.end_offsets(partitions)
    return any([await consumer.position(tp) < ends[tp] for tp in partitions])


class Rig:
    """Workers over one log. ``crash`` ends one without commit or farewell, as kill -9 would."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._tasks: dict[str, tuple[ConsumeLoop, asyncio.Task[None]]] = {}

    async def encoder(self, name: str = "encoder-0") -> None:
        worker = EncoderWorker(new_encoder(), self.log, SystemClock(), client_id=name)
        await self._start(name, worker, LoopSettings(service=name, topics=(CAPTURE_FRAMES,), group="encoder"))

    async def interaction(self, name: str = "interaction-0", model: Any = None, *, max_records: int = 500) -> None:
        worker = InteractionWorker(model or EchoModel(), self.log, SystemClock(), client_id=name)
        settings = LoopSettings(
            service=name, topics=(ENCODER_FRAMES, BACKGROUND_RESULTS), group="interaction", max_records=max_records
        )
        await self._start(name, worker, settings)

    async def _start(self, name: str, worker: Any, settings: LoopSettings) -> None:
        loop = ConsumeLoop(self.log, worker, settings, clock=SystemClock())
        task = asyncio.create_task(loop.run())
        self._tasks[name] = loop, task
        started = asyncio.create_task(loop.started.wait())
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    def loop(self, name: str) -> ConsumeLoop:
        return self._tasks[name][0]

    async def stop(self, name: str) -> None:
        loop, task = self._tasks.pop(name)
        loop.stop()
        await task

    async def crash(self, name: str) -> None:
        loop, task = self._tasks.pop(name)
        assert isinstance(self.log, MemoryLog)
        self.log.crash(loop._consumer)  # type: ignore[arg-type]
        task.cancel()
        with contextlib.suppress(BaseException):
            await task

    async def stop_all(self) -> None:
        for name in list(self._tasks):
            await self.stop(name)


@contextlib.asynccontextmanager
async def memory_rig() -> AsyncIterator[Rig]:
    log = MemoryLog(session_timeout_s=0.3)
    await log.create_topics(PARTITIONS)
    rig = Rig(log)
    try:
        yield rig
    finally:
        await rig.stop_all()
        await log.close()
