"""The synthesised takes in memory, by text; the training bank cannot hold a held-out voice or phrasing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.phones import Phone
from training.phrases import BACKCHANNELS, BY_TEXT, FREE, FREE_HELD_OUT, KIND_OF_FREE
from training.skills.triggers import triggers
from training.synth import CORPUS, Pcm, open_path, read_shard, shard_path
from training.voices import Voice, load

ENGINE_WEIGHT = {"kokoro": 0.34, "own": 0.34, "flite": 0.26, "espeak": 0.06}
TELLING = ("stories", "carriers")
_TRIGGERS = frozenset(triggers(False)) | frozenset(triggers(True))
HUMAN_LIKE = "kokoro"
HUMAN_SHARE = 0.35  # of texts that are drawn among those that this engine says: it is slow, and says few
LEAST_SAID = 500  # texts: of a voice that says fewer, the same ones would come again and again
SAME_VOICE = 0.75  # of what is said in a session is said by its user's voice, where that says it


@dataclass(frozen=True, slots=True)
class Utterance:
    """One take: int16 audio at 16 kHz, trimmed; word ends in samples where known."""

    text: str
    voice: Voice
    pcm: Pcm
    word_ends: list[int] | None
    phones: list[Phone] | None = None


class Stretched(NamedTuple):
    """A take as it is laid down: float32 in [-1, 1], places moved with it."""

    samples: npt.NDArray[np.float32]
    word_ends: list[int] | None
    phones: list[Phone] | None


class Bank:
    """Takes of either the training half or the held-out half of the split."""

    def __init__(self, *, held_out: bool, folder: Path = CORPUS, held_out_texts: bool | None = None) -> None:
        """``held_out_texts`` (evaluation only) picks new phrasings, or training ones; None takes both.

        Raises ``FileNotFoundError`` when no voice of this half has been synthesised.
        """
        self.takes: dict[str, list[Utterance]] = {}
        self.free: dict[str, dict[str, list[Utterance]]] = {kind: {} for kind in FREE[False]}  # by kind and voice
        self.voices: list[Voice] = []
        self._saying: dict[str, dict[str, list[Utterance]]] = {}  # by word and voice, timed pieces of free speech
        self._exact: dict[str, list[Utterance]] = {}  # by voice, those whose phones are known
        self._said: dict[str, set[str]] = {}  # by voice, the texts of ``takes``
        for voice in load():
            if voice.held_out != held_out or not shard_path(voice, folder).exists():
                continue
            self.voices.append(voice)
            self._read(voice, folder, held_out_texts)
        self._human = {
            text for text, takes in self.takes.items() if any(take.voice.engine == HUMAN_LIKE for take in takes)
        }
        if not self.voices:
            raise FileNotFoundError(f"no synthesised voices in {folder}: run python -m training.synth")

    def _read(self, voice: Voice, folder: Path, held_out_texts: bool | None) -> None:
        for path in (shard_path(voice, folder), open_path(voice, folder)):
            if not path.exists():
                continue
            pcm, takes = read_shard(path)
            for take in takes:
                heard = Utterance(take.text, voice, pcm[take.start : take.stop], take.word_ends, take.phones)
                kind = KIND_OF_FREE.get(take.text)
                if kind is None and path == open_path(voice, folder):
                    kind = "stories"
                if kind is None and self._wanted(take.text, voice.held_out, held_out_texts):
                    self.takes.setdefault(take.text, []).append(heard)
                    self._said.setdefault(voice.name, set()).add(take.text)
                elif kind is not None and (voice.held_out or take.text not in FREE_HELD_OUT):
                    self.free[kind].setdefault(voice.name, []).append(heard)
                    self._index(kind, heard)
                else:
                    continue
                if heard.phones:
                    self._exact.setdefault(voice.name, []).append(heard)

    def _index(self, kind: str, heard: Utterance) -> None:
        if kind in TELLING and heard.word_ends is not None:
            for word in _TRIGGERS.intersection(heard.text.split()):
                self._saying.setdefault(word, {}).setdefault(heard.voice.name, []).append(heard)

    @staticmethod
    def _wanted(text: str, held_out: bool, held_out_texts: bool | None) -> bool:
        if text in BACKCHANNELS:
            return True
        phrase = BY_TEXT.get(text)
        if phrase is None:
            return False  # of an older list of phrases
        if not held_out:
            return not phrase.held_out
        return held_out_texts is None or phrase.held_out == held_out_texts

    def exact(self, rng: random.Random) -> list[Utterance]:
        """All takes of one voice of which the phones' times are known, engines weighted; none when nobody has any."""
        if not self._exact:
            return []
        return _by_voice(rng, self._exact)

    def user(self, rng: random.Random) -> str:
        """The name of the voice that a session is mostly spoken in, engines weighted."""
        return _drawn(rng, self._said)

    def stranger(self, rng: random.Random, voice: str) -> Utterance | None:
        """Whatever somebody says who does not have this voice; None when nobody else is there."""
        others = [name for name in self._said if name != voice]
        if not others:
            return None
        name = _drawn(rng, others)
        text = rng.choice(sorted(self._said[name]))
        return rng.choice([take for take in self.takes[text] if take.voice.name == name])

    def any_take(self, rng: random.Random) -> Utterance:
        """Whatever somebody says."""
        return rng.choice(self.takes[rng.choice(list(self.takes))])

    def told(
        self, rng: random.Random, kind: str, count: int, timed: bool = False, voice: str = ""
    ) -> list[Utterance]:
        """Up to ``count`` pieces of free speech by one voice, mostly this one, else engines weighted; none when nobody
        has any."""
        voices = {
            name: takes
            for name, takes in self.free[kind].items()
            if len(takes) >= count and not (timed and takes[0].word_ends is None and takes[-1].word_ends is None)
        }
        if not voices:
            return []
        mine = voice in voices and rng.random() < SAME_VOICE
        return rng.sample(voices[voice] if mine else _by_voice(rng, voices), count)

    def says(self, word: str) -> bool:
        """Whether anybody tells something in which this trigger is said at a known time."""
        return word in self._saying

    def telling(self, rng: random.Random, word: str, count: int, others: int) -> list[Utterance]:
        """Up to ``count`` such pieces by one voice, engines weighted, and up to ``others`` timed ones of its without
        the word, mixed. Raises ``KeyError`` unless ``says(word)``."""
        takes = _by_voice(rng, self._saying[word])
        name = takes[0].voice.name
        told = [take for kind in TELLING for take in self.free[kind].get(name, []) if take.word_ends is not None]
        without = [take for take in rng.sample(told, min(len(told), 2 * others)) if word not in take.text.split()]
        drawn = [*rng.sample(takes, min(count, len(takes))), *without[:others]]
        return rng.sample(drawn, len(drawn))

    def preferred(self, rng: random.Random, texts: list[str], voice: str = "") -> str:
        """One of ``texts``: mostly of those that this voice says, if it says many, else those that the slow engine says
        more often than their number would have it."""
        said = self._said.get(voice, set())
        if len(said) >= LEAST_SAID and rng.random() < SAME_VOICE and (mine := [t for t in texts if t in said]):
            return rng.choice(mine)
        if rng.random() < HUMAN_SHARE:
            human = [t for t in texts if t in self._human]
            return rng.choice(human or texts)
        return rng.choice(texts)

    def pick(self, rng: random.Random, text: str, timed: bool = False, voice: str = "") -> Utterance:
        """A take of ``text``, mostly by this voice where it has one, else engines weighted; ``timed`` prefers one with
        word ends."""
        takes = self.takes[text]
        mine = [take for take in takes if take.voice.name == voice]
        if mine and rng.random() < SAME_VOICE:
            takes = mine
        if timed:
            takes = [t for t in takes if t.word_ends] or takes
        weights = [ENGINE_WEIGHT[t.voice.engine] / sum(u.voice.engine == t.voice.engine for u in takes) for t in takes]
        return rng.choices(takes, weights)[0]


def _by_voice(rng: random.Random, voices: dict[str, list[Utterance]]) -> list[Utterance]:
    """All of one voice, engines weighted."""
    return voices[_drawn(rng, voices)]


def _drawn(rng: random.Random, voices: Collection[str]) -> str:
    """One of these names, engines weighted."""
    engines = Counter(name.split(":")[0] for name in voices)
    weights = [ENGINE_WEIGHT[name.split(":")[0]] / engines[name.split(":")[0]] for name in voices]
    return rng.choices(list(voices), weights)[0]


def stretched(take: Utterance, factor: float) -> Stretched:
    """The take resampled to ``1 / factor`` of its length (speed and pitch together)."""
    length = int(len(take.pcm) / factor)
    at = np.arange(length, dtype=np.float32) * factor
    samples = np.interp(at, np.arange(len(take.pcm)), take.pcm).astype(np.float32) / 32768.0
    ends = None if take.word_ends is None else [min(length, int(e / factor)) for e in take.word_ends]
    phones = None if take.phones is None else [(p, min(length, int(e / factor))) for p, e in take.phones]
    return Stretched(samples, ends, phones)
