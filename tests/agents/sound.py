"""Synthetic user audio to the millisecond: bursts like syllables over a quiet room."""

from __future__ import annotations

import numpy as np

from infra.eval.agents.protocol import AgentSession, Reply
from schemas import records as r
from schemas.ticks import FRAME_MS, INPUT_SAMPLES

START_MS = 1_700_000_000_000


def room(duration_ms: int, *, level: float = 8.0) -> np.ndarray:
    """A quiet room: white noise of this amplitude (int16 scale)."""
    return np.random.default_rng(1).normal(0.0, level, duration_ms * 16)


def speech_like(duration_ms: int, *, level: float = 4000.0) -> np.ndarray:
    """Harmonics of 140 Hz in five syllables a second, never silent for longer than 60 ms."""
    t = np.arange(duration_ms * 16) / 16_000
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 5 * t + 1.0)
    return level * voice * syllables


def scene(duration_ms: int, *parts: tuple[int, int], level: float = 4000.0, noise: float = 8.0) -> list[bytes]:
    """Frames of a scene with speech at ``(from_ms, to_ms)``."""
    pcm = room(duration_ms, level=noise)
    for begin, end in parts:
        pcm[begin * 16 : end * 16] += speech_like(end - begin, level=level)
    raw = np.clip(pcm, -32768, 32767).astype("<i2")
    return [raw[i : i + INPUT_SAMPLES].tobytes() for i in range(0, len(raw), INPUT_SAMPLES)]


def frame(tick: int, audio: bytes, *, session: str = "s", final: bool = False) -> r.CaptureFrame:
    return r.CaptureFrame(
        session_id=session, timestamp_ms=START_MS + tick * FRAME_MS, tick=tick, audio=audio, final=final
    )


def play(session: AgentSession, frames: list[bytes]) -> list[Reply]:
    return [session.step(frame(tick, audio)) for tick, audio in enumerate(frames)]
