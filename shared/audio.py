"""PCM16 audio as bytes: validation, streaming resampling to 16 kHz, levels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import soxr

from schemas.ticks import INPUT_RATE_HZ, SAMPLE_BYTES

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
SILENCE_DBFS = -96.0
_FULL_SCALE = 32768.0


class AudioError(ValueError):
    """Audio that cannot be taken, with a message fit for whoever sent it."""


def check_pcm16(pcm: bytes) -> None:
    """Raises ``AudioError`` when ``pcm`` does not hold whole 16-bit samples."""
    if len(pcm) % SAMPLE_BYTES:
        raise AudioError(f"{len(pcm)} bytes are not whole PCM16 samples (2 bytes each): the chunk was refused")


def check_rate(rate_hz: int) -> None:
    """Raises ``AudioError`` when no resampler is offered for this rate."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"sample rate {rate_hz} Hz is outside {MIN_RATE_HZ}..{MAX_RATE_HZ} Hz")


def samples(pcm: bytes) -> npt.NDArray[np.int16]:
    """A read-only view of PCM16 little endian bytes, ``[n]``."""
    return np.frombuffer(pcm, dtype="<i2")


def to_pcm16(values: npt.NDArray[np.float32]) -> bytes:
    """Floats on the int16 scale, ``[n]``, rounded and clipped to PCM16 little endian."""
    return np.clip(np.rint(values), -32768, 32767).astype("<i2").tobytes()


def level_dbfs(pcm: bytes) -> float:
    """Root mean square level against full scale, in dB; ``SILENCE_DBFS`` at the lowest and for no samples."""
    if not pcm:
        return SILENCE_DBFS
    values = samples(pcm).astype(np.float32)
    rms = math.sqrt(float(np.dot(values, values)) / len(values))
    return max(SILENCE_DBFS, 20.0 * math.log10(rms / _FULL_SCALE)) if rms > 0 else SILENCE_DBFS


def stretch(pcm: bytes, length: int) -> bytes:
    """``pcm`` linearly interpolated to ``length`` samples: for corrections of a few samples in thousands."""
    values = samples(pcm).astype(np.float32)
    at = np.linspace(0.0, len(values) - 1, length, dtype=np.float64)
    return to_pcm16(np.interp(at, np.arange(len(values)), values).astype(np.float32))


class Resampler:
    """Streaming PCM16 to 16 kHz from one rate; how the input is cut into chunks changes no output sample.

    The variable-rate engine is used at a fixed ratio for its short filters: it holds back 7 to 35 ms of audio
    where the fixed-rate one holds back up to 115 ms, at more than 100 dB of signal to noise either way.
    """

    def __init__(self, rate_hz: int) -> None:
        """Raises ``AudioError`` for a rate outside 8 to 48 kHz."""
        check_rate(rate_hz)
        self.rate_hz = rate_hz
        self._stream = (
            None
            if rate_hz == INPUT_RATE_HZ
            else soxr.ResampleStream(rate_hz, INPUT_RATE_HZ, 1, dtype="float32", quality="HQ", vr=True)
        )

    def push(self, pcm: bytes) -> bytes:
        """Resample a chunk of whole samples; what the filter still holds comes with a later call.

        Raises:
            AudioError: an odd number of bytes; nothing was taken.
        """
        check_pcm16(pcm)
        if self._stream is None:
            return pcm
        return to_pcm16(self._stream.resample_chunk(samples(pcm).astype(np.float32)))

    def flush(self) -> bytes:
        """The samples that the filter still held; the stream is over."""
        if self._stream is None:
            return b""
        return to_pcm16(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
