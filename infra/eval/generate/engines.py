"""The voices of the evaluation, and the noises that people make. Development tools: playing a scenario needs none.

Kokoro comes with the extra ``voices``, flite from Debian. Piper is under the GPL: it is only ever run as a program of
its own, named by ``PIPER`` (a command) and ``PIPER_VOICE`` (its .onnx file).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from infra.eval.clips import Take, quantised
from infra.eval.scenario import RATE_HZ, Word
from training.kokoro import Kokoro
from training.synth import flite
from training.voices import Voice

LOUDNESS_DBFS = -23.0  # RMS of what is loud in a take
PEAK = 0.7
_BLOCK = RATE_HZ // 100
Samples = npt.NDArray[np.float64]


class NoEngine(RuntimeError):
    """The program that this voice needs is not on this machine."""


def synthesise(voice: str, text: str) -> Take:
    """One take: trimmed, brought to the common loudness, quantised.

    Raises:
        NoEngine: its engine is missing.
        KeyError: no engine of that name.
    """
    engine, _, name = voice.partition(":")
    samples, ends = _ENGINES[engine](name, text)
    samples, ends = _trimmed(samples, ends)
    words = _words(text, ends) if ends else []
    return Take(voice=voice, text=text, pcm=quantised(_levelled(samples)), words=words)


def _kokoro(voice: str, text: str) -> tuple[Samples, list[int]]:
    samples, ends, _ = _kokoro_voice(voice).speak(text)
    return np.asarray(soxr.resample(samples, Kokoro.rate_hz, RATE_HZ), dtype=np.float64), ends


@lru_cache(maxsize=8)
def _kokoro_voice(voice: str) -> Kokoro:
    return Kokoro(voice, packaged=True)


def _flite(voice: str, text: str) -> tuple[Samples, list[int]]:
    with tempfile.TemporaryDirectory() as scratch:
        spoken = flite(Voice(f"flite:{voice}", held_out=True), text, Path(scratch))
    return spoken.pcm.astype(np.float64) / 32768.0, spoken.word_ends or []


def _piper(_voice: str, text: str) -> tuple[Samples, list[int]]:
    command, model = os.environ.get("PIPER", "piper"), os.environ.get("PIPER_VOICE", "")
    if not model:
        raise NoEngine("PIPER_VOICE names no .onnx file of a Piper voice")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.wav"
        call = [*shlex.split(command), "-m", model, "-f", str(out)]
        try:
            subprocess.run(call, input=text.encode(), check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoEngine(f"{command}: {error}") from None
        samples, rate_hz = soundfile.read(out, dtype="float64")
    return np.asarray(soxr.resample(samples, rate_hz, RATE_HZ), dtype=np.float64), []


def _trimmed(samples: Samples, ends: list[int]) -> tuple[Samples, list[int]]:
    """Without the silence at both ends (36 dB below the loudest 10 ms)."""
    blocks = np.abs(samples[: len(samples) // _BLOCK * _BLOCK]).reshape(-1, _BLOCK).max(axis=1)
    loud = np.flatnonzero(blocks > blocks.max() / 64)
    first, last = int(loud[0]) * _BLOCK, int(loud[-1] + 1) * _BLOCK
    return samples[first:last], [min(max(end - first, 0), last - first) for end in ends]


def _levelled(samples: Samples) -> Samples:
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    levels = np.sqrt(np.mean(blocks**2, axis=1))
    loud = levels[levels > levels.max() / 10]
    gain = 10 ** (LOUDNESS_DBFS / 20) / float(np.sqrt(np.mean(loud**2)))
    return samples * min(gain, PEAK / float(np.abs(samples).max()))


def _words(text: str, ends: list[int]) -> list[Word]:
    starts = [0, *ends[:-1]]
    return [
        Word(text=word, start_sample=start, end_sample=end)
        for word, start, end in zip(text.split(), starts, ends, strict=True)
    ]


# --- noises that people make; ``text`` says which: "cough 1", "throat 2", "sniff 3"


def _noise(_kind: str, text: str) -> tuple[Samples, list[int]]:
    kind = text.split()[0]
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))
    return _TICS[kind](rng), []


def _bursts(rng: np.random.Generator, lengths_s: list[float], gaps_s: list[float], band_hz: tuple[float, float],
            attack_s: float) -> Samples:  # fmt: skip
    """Bursts of noise in a band, each with a fast attack and a slow decay."""
    parts: list[Samples] = []
    for number, length_s in enumerate(lengths_s):
        length = round(length_s * RATE_HZ)
        t = np.arange(length) / RATE_HZ
        envelope = np.minimum(1.0, t / attack_s) * np.exp(-3.5 * t / length_s)
        parts.append(_band(rng.standard_normal(length), *band_hz) * envelope * rng.uniform(0.7, 1.0))
        if number < len(gaps_s):
            parts.append(np.zeros(round(gaps_s[number] * RATE_HZ)))
    return np.concatenate(parts)


def _band(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    shape = 1 / (1 + (low_hz / np.maximum(hz, 1.0)) ** 4) / (1 + (hz / high_hz) ** 4)
    return np.asarray(np.fft.irfft(spectrum * shape, len(samples)), dtype=np.float64)


def _cough(rng: np.random.Generator) -> Samples:
    count = int(rng.integers(1, 4))
    lengths = [float(rng.uniform(0.16, 0.30)) for _ in range(count)]
    gaps = [float(rng.uniform(0.08, 0.2)) for _ in range(count - 1)]
    return _bursts(rng, lengths, gaps, (float(rng.uniform(250, 450)), float(rng.uniform(2200, 3800))), 0.008)


def _throat(rng: np.random.Generator) -> Samples:
    """Clearing one's throat: rough pulses of 30 to 60 a second under a band of noise."""
    length = round(float(rng.uniform(0.4, 0.7)) * RATE_HZ)
    t = np.arange(length) / RATE_HZ
    rate = float(rng.uniform(30, 60))
    pulses = (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * rate * t + 2 * np.sin(2 * np.pi * 4 * t)))) ** 2
    envelope = np.sin(np.pi * np.minimum(1.0, t / t[-1])) ** 0.7
    rough = _band(rng.standard_normal(length), 150, float(rng.uniform(900, 1600))) * pulses * envelope
    return np.asarray(rough, dtype=np.float64)


def _sniff(rng: np.random.Generator) -> Samples:
    length = round(float(rng.uniform(0.25, 0.5)) * RATE_HZ)
    rise = (np.arange(length) / length) ** 1.5 * np.minimum(1.0, (length - np.arange(length)) / 400)
    return np.asarray(_band(rng.standard_normal(length), 1200, float(rng.uniform(4500, 7000))) * rise, dtype=np.float64)


_TICS: dict[str, Callable[[np.random.Generator], Samples]] = {"cough": _cough, "throat": _throat, "sniff": _sniff}
_ENGINES: dict[str, Callable[[str, str], tuple[Samples, list[int]]]] = {
    "kokoro": _kokoro,
    "flite": _flite,
    "piper": _piper,
    "noise": _noise,
}
