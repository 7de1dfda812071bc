"""A log in memory, workers that can be crashed, and readers that wait for records instead of sleeping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS, TOPICS, Topic
from services.encoder.app import new_loop as encoder_loop
from services.encoder.model import EncoderNet, FrameEncoder
from services.encoder.worker import EncoderWorker
from services.interaction.app import new_loop
from services.interaction.echo import EchoModel
from services.interaction.worker import InteractionWorker
from shared.clock import SystemClock
from shared.fencing import TurnFence
from shared.log.api import Log, TopicPartition
from shared.log.lease_keeper import LeaseKeeper, LeaseSettings
from shared.log.loop import ConsumeLoop
from shared.log.memory import MemoryLog
from shared.metrics import Health
from shared.service import follow, leave
from tests.pipeline.freezing import FreezableLog

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
                    values = [codec.decode(TOPICS[topic.name], record.value) for record in records]
                    got += [value for value in values if not isinstance(value, r.TurnsClaimed)]
    except TimeoutError:
        last = [(record.key, type(record).__name__) for record in got[-3:]]
        raise AssertionError(f"{topic.name}: {len(got)} records, wanted {count}; the last: {last}") from None
    finally:
        await consumer.close()
    return got


Counting = dict[tuple[str, int], r.InteractionTurn]


async def turns_that_count(log: Log, count: int, *, timeout_s: float = 30.0) -> Counting:
    """Turns by session and tick, the first of each that is not behind a newer claim, once there are ``count``."""
    topic = INTERACTION_TURNS.name
    partitions = [TopicPartition(topic, p) for p in range(await log.partitions(topic))]
    consumer = await log.consumer(client_id="test-reader")
    consumer.assign(dict.fromkeys(partitions, 0))
    fence = TurnFence()
    counting: Counting = {}
    try:
        async with asyncio.timeout(timeout_s):
            while len(counting) < count or await _behind(consumer, partitions):
                for source, records in (await consumer.get_batch(timeout_ms=100, max_records=5000)).items():
                    for record in records:
                        value = codec.decode(INTERACTION_TURNS, record.value)
                        if isinstance(value, r.TurnsClaimed):
                            fence.claimed(value)
                        elif fence.admits(source.partition, value):
                            counting.setdefault((value.session_id, value.tick), value)
    except TimeoutError:
        raise AssertionError(f"{len(counting)} ticks have a turn that counts, wanted {count}") from None
    finally:
        await consumer.close()
    return counting


async def _behind(consumer: Any, partitions: list[TopicPartition]) -> bool:
    ends = await consumer.end_offsets(partitions)
    return any([await consumer.position(tp) < ends[tp] for tp in partitions])


@dataclass
class Process:
    """A worker as one process has it: its view of the log, its loop and its leases."""

    log: FreezableLog
    worker: Any
    loop: ConsumeLoop
    keeper: LeaseKeeper
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        left = asyncio.Event()
        try:
            await follow(self.loop, left, Health(), self.keeper.run(left), leave(self.keeper, self.stop, left))
        finally:
            await self.worker.close()


class Rig:
    """Workers over one log.

    ``crash`` ends one without commit or farewell, as kill -9 would; ``freeze`` and ``thaw`` are SIGSTOP and SIGCONT.
    """

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.processes: dict[str, Process] = {}

    async def encoder(
        self, name: str = "encoder-0", *, standby: bool = False, weights: FrameEncoder | None = None
    ) -> None:
        log = FreezableLog(self.log)
        worker = EncoderWorker(weights or new_encoder(), log, SystemClock(), client_id=name)
        loop = encoder_loop(log, worker, SystemClock(), name=name)
        leases = self._leases("encoder", name, standby=standby)
        keeper = LeaseKeeper(log, SystemClock(), worker, CAPTURE_FRAMES, leases)
        await self._start(name, Process(log, worker, loop, keeper))

    async def interaction(
        self,
        name: str = "interaction-0",
        model: Any = None,
        *,
        max_records: int = 500,
        standby: bool = False,
        voice: Any = None,
    ) -> None:
        """Start a worker and wait until it has what it is due: partitions of its own, or warmth in others'."""
        log, clock = FreezableLog(self.log), SystemClock()
        worker = InteractionWorker(model or EchoModel(), log, clock, client_id=name, voice=voice, warm_after_s=0.05)
        loop = new_loop(log, worker, clock, name=name, max_records=max_records)
        leases = self._leases("interaction", name, standby=standby)
        keeper = LeaseKeeper(log, clock, worker.partitions, ENCODER_FRAMES, leases)
        await self._start(name, Process(log, worker, loop, keeper))

    @staticmethod
    def _leases(service: str, name: str, *, standby: bool) -> LeaseSettings:
        """Short ones: a test that kills somebody waits for them to lapse."""
        return LeaseSettings(
            service, name, standby=standby, beat_s=0.02, idle_beat_s=0.05, lease_ms=300, calm_s=0.1, lonely_s=0.5
        )

    async def _start(self, name: str, process: Process) -> None:
        self.processes[name] = process
        task = process.task = asyncio.create_task(process.run())
        started = asyncio.create_task(process.keeper.settled.wait())
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    def loop(self, name: str) -> ConsumeLoop:
        return self.processes[name].loop

    def freeze(self, name: str) -> None:
        self.processes[name].log.freeze()

    def thaw(self, name: str) -> None:
        self.processes[name].log.thaw()

    async def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.log.thaw()
        process.stop.set()
        assert process.task is not None
        await process.task

    async def crash(self, name: str) -> None:
        process = self.processes.pop(name)
        assert process.task is not None
        if process.loop._consumer is not None:
            self.log.crash(process.loop._consumer.inner)
        process.task.cancel()
        with contextlib.suppress(BaseException):
            await process.task

    async def stop_all(self) -> None:
        for process in self.processes.values():
            process.log.thaw()
            process.stop.set()
        for name in list(self.processes):
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
