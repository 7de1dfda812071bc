"""Conversations made by the real workers with the released weights over a log in memory, for replays to repeat."""

from __future__ import annotations

import wave
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import soxr

from infra.replay.find import read_session
from infra.replay.importing import append
from infra.replay.recorded import SESSION_TOPICS, Recorded
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.ticks import FRAME_MS, INPUT_SAMPLES
from schemas.topics import (
    BACKGROUND_RESULTS,
    BACKGROUND_TASKS,
    CAPTURE_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
)
from services.encoder.model import FrameEncoder
from services.interaction.echo import EchoModel
from services.interaction.nano.model import NanoModel
from shared.log.memory import MemoryLog
from tests.pipeline.rig import PARTITIONS, START_MS, Rig, capture_frame, memory_rig, publish, read_all
from tests.pipeline.test_interaction_worker import Delegating, result

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "models" / "nano"
DEMO = ROOT / "tests" / "fixtures" / "demo.wav"
TOPICS = (SESSION_CONTROL, CAPTURE_FRAMES, BACKGROUND_TASKS, BACKGROUND_RESULTS, INTERACTION_TURNS)
TICKS = 190
ECHOED_TICKS = 24
CONFIG = r.SessionConfig(seed=3, instructions="be brief")
ANSWER = "it is a quarter past nine in the evening"


@cache
def demo_samples() -> np.ndarray:
    """The demo's recording, int16 at 16 kHz."""
    with wave.open(str(DEMO)) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        rate = file.getframerate()
    mono = values.mean(axis=1).astype(np.float32)
    return np.asarray(soxr.resample(mono, rate, 16_000)).astype(np.int16)


def capture_frames(
    session: str, ticks: int, *, noise: int = 0, begin_s: float = 0.0, config: r.SessionConfig | None = None
) -> list[r.CaptureFrame]:
    """``ticks`` frames of the demo's recording, looped, with ``noise`` (amplitude) drawn from the session's name."""
    samples = np.roll(demo_samples(), -int(begin_s * 16_000))
    rng = np.random.default_rng([*session.encode()])
    frames = []
    for tick in range(ticks):
        at = (np.arange(INPUT_SAMPLES) + tick * INPUT_SAMPLES) % len(samples)
        pcm = samples[at].astype(np.int32)
        if noise:
            pcm = pcm + rng.integers(-noise, noise + 1, INPUT_SAMPLES)
        events = [r.ClientEvent(name="session.started", data=_data(config))] if config and tick == 0 else []
        frames.append(
            r.CaptureFrame(
                session_id=session,
                timestamp_ms=START_MS + FRAME_MS * tick,
                tick=tick,
                audio=np.clip(pcm, -32768, 32767).astype("<i2").tobytes(),
                events=events,
                text="what is the capital of france" if tick == 30 else "",
                gap_ms=40 if tick % 37 == 36 else 0,
                final=tick == ticks - 1,
            )
        )
    return frames


def _data(config: r.SessionConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def started(session: str, config: r.SessionConfig | None = None) -> r.SessionStarted:
    return r.SessionStarted(
        session_id=session, timestamp_ms=START_MS, capture_id="capture-0", config=config or r.SessionConfig()
    )


def ended(session: str, ticks: int) -> r.SessionEnded:
    return r.SessionEnded(session_id=session, timestamp_ms=START_MS + FRAME_MS * ticks, ticks=ticks, reason="bye")


def results_of(task: r.BackgroundTask) -> list[r.BackgroundResult]:
    at = {"session_id": task.session_id, "timestamp_ms": task.timestamp_ms + FRAME_MS, "task_id": task.task_id}
    return [
        r.BackgroundResult(**at, seq=0, kind=r.ResultKind.PROGRESS),
        r.BackgroundResult(**at, seq=1, kind=r.ResultKind.FINAL, text=ANSWER),
    ]


class Conversation:
    """Feeds sessions' frames tick by tick to workers, and answers what is delegated a few ticks later."""

    def __init__(self, rig: Rig, frames: dict[str, list[r.CaptureFrame]]) -> None:
        self.rig = rig
        self.frames = frames
        self.tick = 0
        self._answered: set[str] = set()

    async def begin(self, configs: dict[str, r.SessionConfig] | None = None) -> None:
        begun = [started(session, (configs or {}).get(session)) for session in self.frames]
        await append(self.rig.log, SESSION_CONTROL, begun, prefix="")

    async def until(self, tick: int, *, chunk: int = 6) -> None:
        """Send the frames before ``tick`` and wait for their turns."""
        while self.tick < tick:
            upto = min(tick, self.tick + chunk)
            await publish(
                self.rig.log, CAPTURE_FRAMES, [f for k in range(self.tick, upto) for f in self._at(k)]
            )
            self.tick = upto
            await self._turns()
            await self._answer()

    def _at(self, tick: int) -> list[r.CaptureFrame]:
        return [own[tick] for own in self.frames.values() if tick < len(own)]

    async def _turns(self) -> None:
        wanted = {(s, k) for s, own in self.frames.items() for k in range(min(self.tick, len(own)))}
        await read_all(
            self.rig.log,
            INTERACTION_TURNS,
            len(wanted),
            timeout_s=120,
            done=lambda got: wanted <= {(t.session_id, t.tick) for t in got},
        )

    async def _answer(self) -> None:
        for task in await read_all(self.rig.log, BACKGROUND_TASKS, 0):
            if isinstance(task, r.BackgroundTask) and task.task_id not in self._answered:
                self._answered.add(task.task_id)
                await publish(self.rig.log, BACKGROUND_RESULTS, results_of(task))

    async def end(self) -> None:
        await append(self.rig.log, SESSION_CONTROL, [ended(s, len(own)) for s, own in self.frames.items()], prefix="")


async def encoder(rig: Rig) -> None:
    await rig.encoder(weights=FrameEncoder.load(RELEASED))


def released(capacity: int = 4) -> NanoModel:
    return NanoModel.load(RELEASED, capacity=capacity)


async def log_of(recorded: Recorded, *, partitions: int = PARTITIONS) -> MemoryLog:
    """A log with a recording at its own offsets; between its records lies what nobody can read."""
    log = MemoryLog()
    await log.create_topics(partitions)
    producer = await log.producer("t")
    for topic in SESSION_TOPICS:
        at = 0
        for record in (one for one in recorded.records if one.topic == topic.name):
            partition = partition_of(recorded.session_id, partitions)
            while at < record.offset:
                await producer.send(topic.name, b"else:0", b"\xc1", partition=partition, timestamp_ms=START_MS)
                at += 1
            assert record.key is not None
            assert record.value is not None
            await producer.send(
                topic.name, record.key, record.value, partition=partition, timestamp_ms=record.timestamp_ms
            )
            at += 1
    return log


async def echoed(
    session: str = "s", config: r.SessionConfig | None = None, model: EchoModel | None = None
) -> Recorded:
    """A session of the untrained encoder and of echo, which delegates: all topics, no weights."""
    async with memory_rig() as rig:
        await rig.encoder()
        await rig.interaction("interaction-0", model or Delegating())
        await append(rig.log, SESSION_CONTROL, [started("before"), started(session, config)], prefix="")
        begin = [r.ClientEvent(name="session.started", data=msgspec.to_builtins(config))] if config else []
        last = ECHOED_TICKS - 1
        frames = [
            capture_frame(session, k, final=k == last, events=begin if k == 0 else []) for k in range(ECHOED_TICKS)
        ]
        for first in range(0, ECHOED_TICKS, 6):
            await publish(rig.log, CAPTURE_FRAMES, frames[first : first + 6])
            await read_all(rig.log, INTERACTION_TURNS, first + 6)
            if first == 6:
                await publish(rig.log, BACKGROUND_RESULTS, [result("else", r.ResultKind.FINAL, "no")])
                await publish(rig.log, BACKGROUND_RESULTS, [result(session, r.ResultKind.FINAL, "It is Paris")])
        await append(rig.log, SESSION_CONTROL, [ended(session, ECHOED_TICKS)], prefix="")
        return await read_session(rig.log, session)
