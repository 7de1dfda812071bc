"""A scenario as what a client sends: the user's channel to the sample, and the camera's pictures.

Clips are added up at their places, each with its gain; the sum is rounded once. A noise is drawn from the scenario's
seed and its own id, so that the same scenario always sounds the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from infra.eval import video
from infra.eval.clips import Clips, Pcm, SpeechMissing
from infra.eval.scenario import RATE_HZ, Clip, Scenario, ms_to_sample

_NOISES = ("noise:white", "noise:pink", "noise:hum")
Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rendered:
    """``pcm``: 16 kHz mono, ``duration_ms`` long. ``pictures``: (ms, JPEG), in order."""

    pcm: Pcm
    pictures: list[tuple[int, bytes]]


def render(scenario: Scenario, speech: Clips) -> Rendered:
    """Raises ``SpeechMissing``: a clip is not there, or does not fit its place in the scenario."""
    mix = np.zeros(ms_to_sample(scenario.duration_ms), dtype=np.float64)
    for clip in scenario.clips:
        length = min(clip.end_sample, len(mix)) - clip.start_sample
        if length <= 0:
            continue
        mix[clip.start_sample : clip.start_sample + length] += _samples(scenario, clip, speech)[:length]
    pcm = np.clip(np.rint(mix), -32768, 32767).astype(np.int16)
    return Rendered(pcm, video.pictures(scenario))


def _samples(scenario: Scenario, clip: Clip, speech: Clips) -> Samples:
    """In units of PCM16, gain applied."""
    length = clip.end_sample - clip.start_sample
    if clip.voice in _NOISES:
        return noise(clip.voice.removeprefix("noise:"), length, clip.gain_db, f"{scenario.seed}/{clip.id}")
    pcm = speech.clip(clip)
    if len(pcm) != length:
        raise SpeechMissing(f"{scenario.id}: {clip.id} has room for {length} samples, its speech has {len(pcm)}")
    return pcm.astype(np.float64) * float(10 ** (clip.gain_db / 20))


def noise(kind: str, length: int, level_dbfs: float, seed: str) -> Samples:
    """White, pink (1/f) or hum (50 Hz and some harmonics), of this RMS, in units of PCM16."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little"))
    samples = rng.standard_normal(length)
    if kind == "pink":
        spectrum = np.fft.rfft(samples)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0))
        samples = np.fft.irfft(spectrum, length)
    elif kind == "hum":
        t = np.arange(length) / RATE_HZ
        samples = 0.1 * samples + sum(np.sin(2 * np.pi * 50 * n * t + n) / n for n in (1, 2, 3, 5))
    rms = float(np.sqrt(np.mean(samples**2))) or 1.0
    return np.asarray(samples * (32768 * 10 ** (level_dbfs / 20) / rms), dtype=np.float64)
