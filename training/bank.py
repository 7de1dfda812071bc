"""The synthesised takes in memory, by text; the training bank cannot hold a held-out voice or phrasing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.phrases import BACKCHANNELS, BY_TEXT
from training.synth import CORPUS, Pcm, read_shard, shard_path
from training.voices import Voice, load

ENGINE_WEIGHT = {"kokoro": 0.55, "flite": 0.22, "espeak": 0.23}


@dataclass(frozen=True, slots=True)
class Utterance:
    """One take: int16 audio at 16 kHz, trimmed; word ends in samples where known."""

    text: str
    voice: Voice
    pcm: Pcm
    word_ends: list[int] | None


class Bank:
    """Takes of either the training half or the held-out half of the split."""

    def __init__(self, *, held_out: bool, folder: Path = CORPUS, held_out_texts: bool | None = None) -> None:
        """``held_out_texts`` (evaluation only) picks new phrasings, or training ones; None takes both.

        Raises ``FileNotFoundError`` when no voice of this half has been synthesised.
        """
        self.takes: dict[str, list[Utterance]] = {}
        self.voices: list[Voice] = []
        for voice in load():
            if voice.held_out != held_out or not shard_path(voice, folder).exists():
                continue
            self.voices.append(voice)
            pcm, takes = read_shard(voice, folder)
            for take in takes:
                if self._wanted(take.text, held_out, held_out_texts):
                    heard = Utterance(take.text, voice, pcm[take.start : take.stop], take.word_ends)
                    self.takes.setdefault(take.text, []).append(heard)
        if not self.voices:
            raise FileNotFoundError(f"no synthesised voices in {folder}: run python -m training.synth")

    @staticmethod
    def _wanted(text: str, held_out: bool, held_out_texts: bool | None) -> bool:
        if text in BACKCHANNELS:
            return True
        phrase = BY_TEXT[text]
        if not held_out:
            return not phrase.held_out
        return held_out_texts is None or phrase.held_out == held_out_texts

    def pick(self, rng: random.Random, text: str, timed: bool = False) -> Utterance:
        """A take of ``text``, engines weighted; ``timed`` prefers one with word ends."""
        takes = self.takes[text]
        if timed:
            takes = [t for t in takes if t.word_ends] or takes
        weights = [ENGINE_WEIGHT[t.voice.engine] / sum(u.voice.engine == t.voice.engine for u in takes) for t in takes]
        return rng.choices(takes, weights)[0]


def stretched(take: Utterance, factor: float) -> tuple[npt.NDArray[np.float32], list[int] | None]:
    """The take resampled to ``1 / factor`` of its length (speed and pitch together), as float32 in [-1, 1]."""
    length = int(len(take.pcm) / factor)
    at = np.arange(length, dtype=np.float32) * factor
    samples = np.interp(at, np.arange(len(take.pcm)), take.pcm).astype(np.float32) / 32768.0
    ends = None if take.word_ends is None else [min(length, int(e / factor)) for e in take.word_ends]
    return samples, ends
