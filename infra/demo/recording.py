"""A recording as the stream wants it: PCM16, mono, at a rate that is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from schemas.client import MAX_RATE_HZ, MIN_RATE_HZ
from schemas.ticks import FRAME_MS, SAMPLE_BYTES

MAX_SECONDS = 3600


class Unreadable(ValueError):
    """The file can't be played; the message says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """PCM16 little endian, mono."""

    path: Path
    rate_hz: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_BYTES / self.rate_hz

    @property
    def frame_bytes(self) -> int:
        return self.rate_hz * FRAME_MS // 1000 * SAMPLE_BYTES

    def frame(self, tick: int) -> bytes:
        """The 200 ms that a tick covers; empty beyond the end."""
        return self.pcm[tick * self.frame_bytes : (tick + 1) * self.frame_bytes]


def load(path: Path) -> Recording:
    """Read a WAV (FLAC, Ogg, …) file of any rate; channels are averaged.

    Raises:
        Unreadable: no such file, no audio that libsndfile knows, empty, or longer than an hour.
    """
    if not path.is_file():
        raise Unreadable(f"{path}: no such file")
    try:
        info = soundfile.info(path)
        if info.frames > MAX_SECONDS * info.samplerate:
            raise Unreadable(f"{path}: {info.duration / 60:.0f} minutes; at most {MAX_SECONDS // 60} are played")
        values, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise Unreadable(f"{path}: not readable as audio ({error})") from None
    mono = values.mean(axis=1)
    if not len(mono):
        raise Unreadable(f"{path}: there is no audio in it")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        served_hz = MAX_RATE_HZ if rate_hz > MAX_RATE_HZ else 16_000
        mono, rate_hz = soxr.resample(mono, rate_hz, served_hz), served_hz
    return Recording(path, rate_hz, _pcm16(mono))


def _pcm16(values: npt.NDArray[np.float32]) -> bytes:
    return np.clip(np.rint(values * 32767), -32768, 32767).astype("<i2").tobytes()
