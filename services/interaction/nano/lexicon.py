"""The user's words from what nano hears: a lexicon as a tree of phones, a bigram, and a Viterbi search.

Every tick brings the probabilities of eight phones (25 ms each) and of words. The phones know any word, the words' head
knows what nano is often told: a word that both make likely wins. A token stands at a node of the tree, with the words
that led there; one step of 25 ms moves all of them. What the best token says of a while ago is written down and never
taken back. The search is a function of the ticks since the user last was silent (or since a fixed tick, if he never
is), so that a restore finds it again: see ``Search``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

WORDS, TABLES = "lexicon.txt", "lexicon.safetensors"
PAUSE = 0
ROOT = 0
STEPS = 8  # phones a tick
IMPOSSIBLE = np.float32(-1e30)
NOWHERE = -1
ENDS = 11.0  # nats behind the best word's end within which others are looked at
KEPT = 200_000  # pairs of words whose likelihood is remembered
GRID_TICKS = 28
"""A search that has met no silence for so long begins anew at the next multiple of it."""
LEFT = 3
"""So many words that are left when the speech ends are written down later, one a tick."""
REACH_TICKS = 2 * GRID_TICKS + 1 + LEFT
"""So many former ticks decide what a search is: a tick's phones are searched in the next one."""
Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Weights:
    """What the search weighs, all in nats. ``sound`` scales the phones' logarithms against the words', ``prior`` how
    much of a phone's frequency is taken from them; ``stay``, ``move`` and ``rest`` are for a step in a phone, into the
    next, and in silence; ``word`` is for each word, ``head`` scales what the words' head says of it, which never gives
    less than ``least``."""

    sound: float = 0.5
    prior: float = 0.5
    stay: float = -0.7
    move: float = -0.7
    rest: float = -0.2
    word: float = 2.5
    head: float = 1.2
    least: float = 0.01
    beam: float = 12.0  # behind the best token, where others are dropped
    soon: int = 4  # steps after a word's end before which it is not written down
    margin: float = 3.0  # nats by which all that knows of it is ahead of all that does not: then it is, after that
    lag: int = 16  # and so many steps after its end it is anyway


class Lexicon:
    """Words, the tree of their phones, and how likely they follow each other. Tables are as ``training.dictionary``
    makes them: ``phone`` and ``parent`` ``[N]`` by node, breadth first, and ``ahead [N]``, the best logarithm of a word
    below it; ``end_node`` and ``end_word`` for each pronunciation; ``unigram [V]``; and by former word (the last row is
    a beginning) from ``first [V + 2]`` on the words ``next`` with their logarithms ``likely``, and ``otherwise
    [V + 1]``, what is added to the unigram for any other; ``usual [41]`` are the phones' frequencies."""

    def __init__(
        self,
        words: tuple[str, ...],
        tables: Mapping[str, npt.NDArray[Any]],
        heard: Sequence[str],
        weights: Weights | None = None,
    ) -> None:
        """``heard`` are the words of the head, its first one none."""
        self.words, self.weights = words, (weights := weights or Weights())
        places = {word: place for place, word in enumerate(heard) if place}
        self.at_head = [places.get(word, NOWHERE) for word in words]
        self.version = _version(words, tables, weights)
        self.beginning = len(words)
        self.phone: Ids = tables["phone"].astype(np.int64)
        parent: Ids = tables["parent"].astype(np.int64)
        ahead: Floats = tables["ahead"].astype(np.float32)
        self.ahead: list[float] = ahead.tolist()
        self.entered: Floats = np.asarray(ahead - ahead[parent] + np.float32(weights.move), dtype=np.float32)
        self.children: Ids = np.bincount(parent[1:], minlength=len(parent))
        self.eldest: Ids = 1 + np.cumsum(self.children) - self.children
        self.ends: dict[int, list[int]] = {}
        for node, word in zip(tables["end_node"].tolist(), tables["end_word"].tolist(), strict=True):
            self.ends.setdefault(node, []).append(word)
        self.last = np.zeros(len(parent), dtype=bool)
        self.last[list(self.ends)] = True
        self._unigram: list[float] = tables["unigram"].astype(np.float64).tolist()
        self._first: list[int] = tables["first"].tolist()
        self._next: Ids = tables["next"].astype(np.int64)
        self._likely: Floats = tables["likely"].astype(np.float32)
        self._otherwise: list[float] = tables["otherwise"].astype(np.float64).tolist()
        self.usual: Floats = np.asarray(weights.prior * np.log(tables["usual"]), dtype=np.float32)
        self._known: dict[tuple[int, int], float] = {}

    @classmethod
    def load(cls, folder: Path, heard: Sequence[str]) -> Lexicon:
        """Raises ``FileNotFoundError`` when the folder has none."""
        return cls(tuple((folder / WORDS).read_text().split()), load_file(folder / TABLES), heard)

    @property
    def session_bytes(self) -> int:
        """What a search takes."""
        return len(self.phone) * 12

    @staticmethod
    def save(folder: Path, words: tuple[str, ...], tables: dict[str, npt.NDArray[Any]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_text("\n".join(words) + "\n")
        save_file(tables, folder / TABLES)
        (folder / TABLES).chmod(0o644)

    def follows(self, before: int, word: int) -> float:
        """The logarithm of a word's probability after another one."""
        key = (before, word)
        found = self._known.get(key)
        if found is None:
            first, end = self._first[before], self._first[before + 1]
            place = first + int(np.searchsorted(self._next[first:end], word))
            there = place < end and self._next[place] == word
            found = float(self._likely[place]) if there else self._otherwise[before] + self._unigram[word]
            if len(self._known) == KEPT:
                self._known.clear()
            self._known[key] = found
        return found


def _version(words: tuple[str, ...], tables: Mapping[str, npt.NDArray[Any]], weights: Weights) -> str:
    """A name for exactly this search, e.g. ``3fa2c1d0``: another one would write other words."""
    digest = hashlib.sha256(f"{weights} {words}".encode())
    for name in sorted(tables):
        digest.update(name.encode() + np.ascontiguousarray(tables[name]).tobytes())
    return digest.hexdigest()[:8]


class Search:
    """One session's. It begins anew at every tick of silence, and, where the user never is silent, at multiples of
    ``GRID_TICKS``: so ``REACH_TICKS`` ticks make it what it is, whatever was before. It is a tick behind, for the head
    tells of a word when the word's phones have been told."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._silent_at = -1  # the last silent tick
        self._former: tuple[Floats, Floats] | None = None
        self._head: Floats = np.zeros(0, dtype=np.float32)  # how likely each word is about now
        self._scores: Floats = np.full(len(lexicon.phone), IMPOSSIBLE, dtype=np.float32)
        self._pasts: Ids = np.zeros(len(lexicon.phone), dtype=np.int64)
        self._active: Ids = np.zeros(0, dtype=np.int64)  # nodes with a token
        self._left: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._idle = True
        self._scores[self._active] = IMPOSSIBLE
        self._active = self._active[:0]
        self._root, self._root_past = np.float32(0.0), 0
        self._rest, self._rest_past = np.float32(0.0), 0
        self._history: list[tuple[int, int, int]] = [(-1, self._lexicon.beginning, 0)]  # before, word, step
        self._step, self._written = 0, 0

    def hear(self, tick: int, phones: Floats, words: Floats) -> list[str]:
        """A tick's logarithms of the phones' probabilities ``[8, 41]`` and the head's probabilities of words; what is
        written down now: a word, or several when more are left at an end than can wait."""
        former, self._former = self._former, (phones, words)
        if former is None:
            return []
        likely, before = former
        if (likely.argmax(axis=1) == PAUSE).all():
            self._silent_at = tick
            return self._told(self._end())
        ended: list[str] = []
        if tick % GRID_TICKS == 0 and tick - self._silent_at >= GRID_TICKS:
            ended = self._end()
        self._idle = False
        self._head = words + before
        weights = self._lexicon.weights
        sound = np.float32(weights.sound) * (likely - self._lexicon.usual)
        for row in sound:
            self._move(row)
        return self._told(ended) or self._settled(most=1)

    def _told(self, ended: list[str]) -> list[str]:
        """What is written down in this tick of what was left at an end, which is this one if there are words."""
        if not ended:
            told, self._left = self._left[:1], self._left[1:]
            return told
        now = max(1, len(ended) - LEFT)
        told, self._left = [*self._left, *ended[:now]], ended[now:]
        return told

    def _end(self) -> list[str]:
        """All that is not written down yet, and a new beginning."""
        if self._idle:
            return []
        left = self._settled(most=len(self._history), ended=True)
        self._begin()
        return left

    def _move(self, sound: Floats) -> None:
        """One step of 25 ms. A node has one parent, so that it is entered from one place only."""
        lexicon, scores, pasts, active = self._lexicon, self._scores, self._pasts, self._active
        weights = lexicon.weights
        scores[ROOT], pasts[ROOT] = self._root, self._root_past
        leaving = np.append(active, ROOT)
        counts = lexicon.children[leaving]
        entered = np.arange(counts.sum()) + np.repeat(lexicon.eldest[leaving] - np.cumsum(counts) + counts, counts)
        came = np.repeat(scores[leaving], counts) + lexicon.entered[entered]
        past = np.repeat(pasts[leaving], counts)
        scores[active] += np.float32(weights.stay)
        before = scores[entered]
        better = came > before
        scores[entered[better]], pasts[entered[better]] = came[better], past[better]
        scores[ROOT] = IMPOSSIBLE
        active = np.concatenate([active, entered[better & (before == IMPOSSIBLE)]])
        resting, pausing = self._rest + np.float32(weights.rest), self._root + np.float32(weights.move)
        if pausing > resting:
            self._rest_past = self._root_past
        rest = max(resting, pausing) + sound[PAUSE]
        now = scores[active] + sound[lexicon.phone[active]]
        best = max(now.max(initial=IMPOSSIBLE), rest)
        kept = now > best - np.float32(weights.beam)
        scores[active[~kept]] = IMPOSSIBLE
        self._active = active[kept]
        scores[self._active] = now[kept] - best
        self._rest = np.float32(rest - best)
        self._step += 1
        self._end_words()

    def _end_words(self) -> None:
        """The best word that ends here, or the silence, is what a next word may begin behind."""
        lexicon = self._lexicon
        root, root_past, word = float(self._rest), self._rest_past, -1
        ending = self._active[lexicon.last[self._active]]
        scores = self._scores[ending]
        if len(ending):
            likely = scores > scores.max() - np.float32(ENDS)
            for node, score, past in zip(
                ending[likely].tolist(), scores[likely].tolist(), self._pasts[ending[likely]].tolist(), strict=True
            ):
                before = self._history[past][1]
                for candidate in lexicon.ends[node]:
                    gained = score + lexicon.follows(before, candidate) - lexicon.ahead[node] + self._bonus(candidate)
                    if gained > root:
                        root, root_past, word = gained, past, candidate
        if word >= 0:
            self._history.append((root_past, word, self._step))
            root_past = len(self._history) - 1
        self._root, self._root_past = np.float32(root), root_past

    def _bonus(self, word: int) -> float:
        """What a word gains for being one, and by the head."""
        weights, place = self._lexicon.weights, self._lexicon.at_head[word]
        heard = min(float(self._head[place]), 1.0) if place != NOWHERE else 0.0
        return weights.word + weights.head * math.log(weights.least + heard)

    def _settled(self, most: int, ended: bool = False) -> list[str]:
        """The best token's words that are not written yet and are settled, all of them where the speech has ended;
        tokens that know better are dropped."""
        choices = [(float(self._rest), self._rest_past), (float(self._root), self._root_past)]
        if not ended and len(self._active):
            best = int(self._active[self._scores[self._active].argmax()])
            choices.append((float(self._scores[best]), int(self._pasts[best])))
        past = max(choices)[1]
        chain = []
        while past > self._written:
            chain.append(past)
            past = self._history[past][0]
        told: list[str] = []
        for place in reversed(chain):
            if len(told) == most or not (ended or self._is_settled(place)):
                break
            told.append(self._lexicon.words[self._history[place][1]])
            self._written = place
        if told and not ended:
            self._forget()
        return told

    def _is_settled(self, place: int) -> bool:
        """Whether a word of the best token's ended long enough ago, or so clearly that no other token matters."""
        weights, age = self._lexicon.weights, self._step - self._history[place][2]
        if age < weights.soon:
            return False
        if age >= weights.lag:
            return True
        known = self._knowing(place)
        others = self._active[~known[self._pasts[self._active]]]
        rival = float(self._scores[others].max(initial=IMPOSSIBLE))
        if not known[self._rest_past]:
            rival = max(rival, float(self._rest))
        if not known[self._root_past]:
            rival = max(rival, float(self._root))
        return rival < -weights.margin

    def _knowing(self, place: int) -> npt.NDArray[np.bool_]:
        """Which pasts hold the word at ``place``."""
        knowing = np.zeros(len(self._history), dtype=bool)
        knowing[place] = True
        for later in range(place + 1, len(self._history)):
            knowing[later] = knowing[self._history[later][0]]
        return knowing

    def _forget(self) -> None:
        """Drop the tokens whose past does not hold what was written down."""
        kept = self._knowing(self._written)
        known = kept[self._pasts[self._active]]
        self._scores[self._active[~known]] = IMPOSSIBLE
        self._active = self._active[known]
        if not kept[self._rest_past]:
            self._rest, self._rest_past = IMPOSSIBLE, self._written
        if not kept[self._root_past]:
            self._root, self._root_past = self._rest, self._rest_past
