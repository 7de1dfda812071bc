"""How the manners of a voice differ, measured on the same texts: F0, its range and end, duration, level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from services.interaction.speech.config import RATE_HZ
from training.speech.data import level

TRACK_HZ = 100  # of ``f0_track``
_END = 8  # of its values: the last 80 ms of pitch
_SLOPE = 25
_QUIET = 0.015  # of the highest sample: what is softer is silence; ends of sentences are soft
_SAME = 0.85  # of the highest peak of autocorrelation: so high a peak may be the period, too
Floats = npt.NDArray[np.float32]
Voice = Callable[[str, str, Manner], Floats]
"""Text, voice and manner to audio."""

TEXTS = (
    "several people visited the museum yesterday",
    "another package arrived early this morning",
    "everybody left the garden before dinner",
    "my neighbour bought a yellow aeroplane",
    "supper will probably start around seven",
    "their holiday finally begins next Monday",
    "nobody answered the telephone any longer",
    "the village market opens every Saturday",
)


def f0_track(audio: Floats) -> Floats:
    """F0 in Hz of each 10 ms by autocorrelation (60 to 400 Hz), 0 where it is not voiced."""
    size, hop, low, high = 960, 240, RATE_HZ // 400, RATE_HZ // 60
    count = max(0, (len(audio) - size) // hop)
    track = np.zeros(count, dtype=np.float32)
    loudest = float(np.abs(audio).max()) if len(audio) else 0.0
    for place in range(count):
        piece = audio[place * hop : place * hop + size]
        if np.sqrt(np.mean(piece**2)) < _QUIET * loudest:
            continue
        spectrum = np.fft.rfft(piece - piece.mean(), 2 * size)
        related = np.fft.irfft(np.abs(spectrum) ** 2)[: high + 1]
        related = related / np.maximum(related[0] * (1 - np.arange(high + 1) / size), 1e-9)
        inner = related[low + 1 : -1]
        peaks = low + 1 + np.flatnonzero((inner >= related[low:-2]) & (inner > related[low + 2 :]))
        good = peaks[related[peaks] > max(0.5, _SAME * related[low:].max())]
        if len(good):  # two periods are as alike as one: the shortest counts
            track[place] = RATE_HZ / good[0]
    return track


class Figures(NamedTuple):
    """Of one take. Semitones are above its median (``end``) or between percentiles 10 and 90 (``range``)."""

    f0_hz: float
    range_semitones: float
    end_semitones: float
    end_slope: float  # semitones a second, over the last quarter of a second of pitch
    seconds: float  # from the first pitch to the last
    level_dbfs: float


def figures(audio: Floats) -> Figures | None:
    """None when there is too little pitch to measure."""
    track = f0_track(audio)
    voiced = np.flatnonzero(track)
    if len(voiced) < 2 * _SLOPE:
        return None
    median = float(np.median(track[voiced]))
    tones = 12 * np.log2(track[voiced] / median)
    tones = np.clip(tones, -14.0, 14.0)  # an octave's error of the tracker weighs no more than that
    low, high = np.percentile(tones, [10, 90])
    last = voiced[-_SLOPE:]
    slope = np.polyfit(last / TRACK_HZ, tones[-_SLOPE:], 1)[0]
    return Figures(
        median,
        float(high - low),
        float(np.median(tones[-_END:])),
        float(slope),
        float(voiced[-1] - voiced[0]) / TRACK_HZ,
        20 * float(np.log10(max(level(audio), 1e-5))),
    )


def by_manner(say: Voice, voices: tuple[str, ...], texts: tuple[str, ...] = TEXTS) -> dict[str, dict[str, Any]]:
    """Means over all texts and voices, each text by every voice in every manner; F0 as a geometric mean, and beside it
    the semitones by which it lies above the statements'."""
    rows: dict[str, list[Figures]] = {}
    for manner in Manner:
        made = [figures(say(text, voice, manner)) for text in texts for voice in voices]
        rows[manner.value] = [one for one in made if one is not None]
    plain = _mean_log_hz(rows[Manner.STATEMENT.value])
    return {
        name: {
            field: round(float(np.mean([getattr(one, field) for one in taken])), 2)
            for field in Figures._fields
            if field != "f0_hz"
        }
        | {
            "f0_hz": round(float(np.exp(_mean_log_hz(taken))), 1),
            "above_statement_semitones": round(float(12 * (_mean_log_hz(taken) - plain) / np.log(2)), 2),
            "n": len(taken),
        }
        for name, taken in rows.items()
    }


def _mean_log_hz(taken: list[Figures]) -> float:
    return float(np.mean(np.log([one.f0_hz for one in taken])))
