"""What a client heard of the model, in scenario time: stretches of sound (or of written words) and the words in them.

One place decides when something counts as heard: a model's sound where ``model.wav``, which is what a player played, is
louder than -50 dBFS; the words of a model without a voice from when the client could show them, each tick's for 200 ms.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from infra.eval.recording import AUDIBLE_DBFS, MERGE_GAP_MS, Recording, TickLog, speaking_ticks
from schemas.ticks import FRAME_MS

_FRAME_S = 0.02
_BREATH_MS = 100.0


@dataclass(frozen=True, slots=True)
class Said:
    """One word of the model, in ms of scenario time."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of the model's speech, in ms of scenario time."""

    start_ms: float
    end_ms: float

    @property
    def length_ms(self) -> float:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Speech:
    """The model's speech. ``segments`` are ``stretches`` with gaps up to 500 ms closed: a breath is no end."""

    stretches: tuple[Stretch, ...]
    segments: tuple[Stretch, ...]
    words: tuple[Said, ...]
    voiced: bool

    def words_in(self, from_ms: float, to_ms: float) -> list[Said]:
        """The words that begin in ``[from_ms, to_ms)``."""
        return [word for word in self.words if from_ms <= word.start_ms < to_ms]

    def at(self, ms: float) -> Stretch | None:
        """The segment that covers this moment."""
        return next((s for s in self.segments if s.start_ms <= ms < s.end_ms), None)

    def starts_in(self, from_ms: float, to_ms: float) -> list[Stretch]:
        """The segments that begin in ``[from_ms, to_ms)``."""
        return [s for s in self.segments if from_ms <= s.start_ms < to_ms]


def from_text(recording: Recording) -> Speech:
    """What the model wrote, as the client got it; for a voiceless model that is its speech."""
    words, stretches = _written(recording)
    return _speech(stretches, words, voiced=False)


def nominal(recording: Recording) -> Speech:
    """The same by ticks alone, as if every turn had come at its tick's end: what the model decided, without delays."""
    ticks = [k for k, speaks in enumerate(speaking_ticks(recording)) if speaks]
    due = [(k + 1) * float(FRAME_MS) - recording.start_offset_ms for k in ticks]
    return _speech([Stretch(at, at + FRAME_MS) for at in due], [], voiced=recording.speaks)


def from_audio(recording: Recording, stretches: list[Stretch]) -> Speech:
    """What was heard in ``model.wav``: its sound (``audible``) and the words that the recogniser found in it.

    Raises ``ValueError`` when the recogniser has not been there yet (``recording.heard`` is None)."""
    if recording.heard is None:
        raise ValueError(f"{recording.scenario}: model.wav has not been recognised")
    offset = recording.start_offset_ms
    words = [Said(word.text, word.start_ms - offset, word.end_ms - offset) for word in recording.heard]
    shifted = [Stretch(s.start_ms - offset, s.end_ms - offset) for s in stretches]
    return _speech(shifted, words, voiced=True)


def audible_with_text(recording: Recording, stretches: list[Stretch]) -> Speech:
    """The sound of ``model.wav`` with the words that the model wrote: the cross-check on the recogniser."""
    offset = recording.start_offset_ms
    return _speech(
        [Stretch(s.start_ms - offset, s.end_ms - offset) for s in stretches], _written(recording)[0], voiced=True
    )


def audible(path: Path) -> list[Stretch]:
    """Where a 16-bit mono WAV file is audible, in ms from its begin: 20 ms frames above -50 dBFS, breaths up to 100 ms
    closed. Raises ``wave.Error`` or ``OSError``."""
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2 or file.getnchannels() != 1:
            raise wave.Error(f"{path}: not 16-bit mono")
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return loud_stretches(samples, rate_hz)


def loud_stretches(samples: npt.NDArray[np.int16], rate_hz: int) -> list[Stretch]:
    """``samples`` is PCM16; see ``audible``."""
    size = int(rate_hz * _FRAME_S)
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64) / 32768.0
    loud = np.sqrt(np.mean(frames**2, axis=1)) > 10 ** (AUDIBLE_DBFS / 20) if len(frames) else np.zeros(0, bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8)))
    step = _FRAME_S * 1000
    return merge([Stretch(float(a * step), float(b * step)) for a, b in edges.reshape(-1, 2)], _BREATH_MS)


def merge(stretches: list[Stretch], gap_ms: float = MERGE_GAP_MS) -> list[Stretch]:
    """Close gaps up to ``gap_ms``; the result is in order."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: s.start_ms):
        if merged and stretch.start_ms - merged[-1].end_ms <= gap_ms:
            last = merged.pop()
            merged.append(Stretch(last.start_ms, max(last.end_ms, stretch.end_ms)))
        else:
            merged.append(stretch)
    return merged


def heard_from_ms(tick: TickLog) -> float:
    """When the client began to play or show what this tick carries, in ms from the begin of tick 0.

    Where no player said so: at the tick's end, or on arrival when that was later.
    """
    return tick.played_ms if tick.played_ms >= 0 else max(float((tick.tick + 1) * FRAME_MS), tick.arrived_ms)


def _written(recording: Recording) -> tuple[list[Said], list[Stretch]]:
    words: list[Said] = []
    stretches: list[Stretch] = []
    latest = 0.0
    for tick in sorted(recording.ticks, key=lambda tick: tick.tick):
        latest = max(latest, heard_from_ms(tick))  # what comes late holds up what comes after it
        texts = tick.text.split()
        if not texts:
            continue
        start, each = latest - recording.start_offset_ms, FRAME_MS / len(texts)
        stretches.append(Stretch(start, start + FRAME_MS))
        words += [Said(text, start + i * each, start + (i + 1) * each) for i, text in enumerate(texts)]
    return words, stretches


def _speech(stretches: list[Stretch], words: list[Said], *, voiced: bool) -> Speech:
    return Speech(tuple(merge(stretches, 0.0)), tuple(merge(stretches)), tuple(words), voiced)
