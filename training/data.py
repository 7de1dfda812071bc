"""Batches of composed sessions as arrays, made in processes of their own."""

from __future__ import annotations

import multiprocessing as mp
import os
import random
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import numpy.typing as npt

from services.encoder import dmel
from services.encoder.model import text_buckets
from services.encoder.video import pair_patches
from services.interaction.nano.config import COLOURS, NUMBERS, PERIODS_TICKS, SPECIAL_WORDS
from services.interaction.nano.pointing import Pointing
from training.bank import Bank
from training.mishearing import heard_ids
from training.oracle import Oracle, fed_back
from training.phrases import TRAINING
from training.scenes import Composer
from training.script import Recipe, Script
from training.skills.words import CATEGORIES, LISTENING, SIGNALS, SPANISH, TIMED_WORDS, heard_words
from training.targets import Targets

WAIT_S, WAITS = 10, 30
ECHO_STEPS = 30  # batches between two hearings of one
Floats = npt.NDArray[np.float32]


def vocabularies() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its own words (after the special ones) and heard words (after none), in a fixed order."""
    said = {w for p in TRAINING for w in p.reply} | {"zero", "start", "stop", "seconds"}
    said |= {*COLOURS, *NUMBERS, *SPANISH.values(), *LISTENING, *TIMED_WORDS, *SIGNALS, *CATEGORIES}
    return (*SPECIAL_WORDS, *sorted(said)), ("<none>", *heard_words())


@dataclass(slots=True)
class Batch:
    """``N`` sessions of ``T`` ticks. Pictures and texts are sparse: a row of (session, tick) beside each."""

    codes: npt.NDArray[np.uint8]  # [N, T, 4, 8, 80]
    targets: dict[str, npt.NDArray[Any]]
    fed: npt.NDArray[np.int64]  # [N, T, 16]
    pending: npt.NDArray[np.int64]  # [N, T, 5]
    time: Floats  # [N, T, 8]
    patches: npt.NDArray[np.uint8]  # [V * 6, 2, 40, 40, 3]
    patches_at: npt.NDArray[np.int64]  # [V, 2]
    words: npt.NDArray[np.int64]  # concatenated buckets
    words_from: npt.NDArray[np.int64]  # [X]
    words_at: npt.NDArray[np.int64]  # [X, 2]


def time_features(first_tick: int, ticks: int) -> Floats:
    """Sine and cosine of each period's phase, ``[ticks, 2 * periods]``."""
    at = np.arange(first_tick, first_tick + ticks)
    phases = [2 * np.pi * (at % period) / period for period in PERIODS_TICKS]
    return np.stack([f(p) for p in phases for f in (np.sin, np.cos)], axis=1).astype(np.float32)


def pcm_of(script: Script) -> npt.NDArray[np.int16]:
    return np.asarray(np.clip(np.round(script.audio * 32767), -32768, 32767), dtype=np.int16)


def session_codes(script: Script) -> npt.NDArray[np.uint8]:
    """dMel codes ``[ticks, 4, 8, 80]``, by the service's own streaming code."""
    return dmel.encode_session(pcm_of(script)).reshape(script.ticks, dmel.TOKENS, dmel.WINDOWS, dmel.BANDS)


def shown(script: Script) -> list[tuple[int, npt.NDArray[np.uint8]]]:
    """Per picture its tick and its patches, paired with the picture before."""
    images = [image for _, image, _ in script.pictures]
    befores = [images[0], *images[:-1]] if images else []
    ticks = [tick for tick, _, _ in script.pictures]
    return [(t, pair_patches(b, i)) for t, b, i in zip(ticks, befores, images, strict=True)]


def collate(scripts: list[Script], all_targets: list[Targets], rng: random.Random) -> Batch:
    """Arrays of a batch; every session starts at a random age, so that no phase of the clock is special."""
    patches, patches_at, words_from, words_at = [], [], [], []
    words: list[int] = []
    for number, script in enumerate(scripts):
        for tick, pair in shown(script):
            patches.append(pair)
            patches_at.append((number, tick))
        for turn in script.turns:
            if turn.kind == "typed" and turn.start // 3200 < script.ticks:
                words_from.append(len(words))
                words += text_buckets(turn.text)
                words_at.append((number, turn.start // 3200))
    wanted = [t.wanted() for t in all_targets]
    ids = {word: n for n, word in enumerate(("", *heard_words())) if n}
    pointing = Pointing(*vocabularies(), SPANISH)
    written = [heard_ids(script, ids) for script in scripts]
    ticks = scripts[0].ticks
    return Batch(
        codes=np.stack([session_codes(s) for s in scripts]),
        targets={name: np.stack([w[name] for w in wanted]) for name in wanted[0]},
        fed=np.stack([fed_back(t, heard, pointing) for t, heard in zip(all_targets, written, strict=True)]),
        pending=np.stack([t.pending for t in all_targets]),
        time=np.stack([time_features(rng.randrange(100_000), ticks) for _ in scripts]),
        patches=np.concatenate(patches) if patches else np.zeros((0, 2, 40, 40, 3), np.uint8),
        patches_at=np.array(patches_at, dtype=np.int64).reshape(-1, 2),
        words=np.array(words, dtype=np.int64),
        words_from=np.array(words_from, dtype=np.int64),
        words_at=np.array(words_at, dtype=np.int64).reshape(-1, 2),
    )


class Source:
    """Draws batches; batch ``n`` of a seed is the same whoever draws it."""

    def __init__(self, folder: Path, recipe: Recipe, sessions: int, ticks: int, seed: int) -> None:
        self._composer = Composer(Bank(held_out=False, folder=folder), recipe, ticks)
        said, heard = vocabularies()
        self._said = {word: n for n, word in enumerate(said)}
        self._heard = {word: n for n, word in enumerate(heard) if n}
        self._sessions, self._seed = sessions, seed

    def batch(self, number: int) -> Batch:
        rng = random.Random(f"{self._seed}/{number}")
        scripts = [self._composer.compose(rng) for _ in range(self._sessions)]
        targets = [Oracle(script, self._said, self._heard).run() for script in scripts]
        return collate(scripts, targets, rng)


def _produce(queue: Queue[Batch], first: int, step: int, *args: Any) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    source = Source(*args)
    number = first
    while True:
        queue.put(source.batch(number))
        number += step


def heard_at(step: int, uses: int) -> int:
    """Which batch is heard at ``step`` when each is heard ``uses`` times: once fresh, then again some hundred steps
    later, other codes hidden and moved (data echoing, Choi et al. 2019, arXiv 1907.05550)."""
    fresh, again = divmod(step, uses)
    return max(fresh - again * ECHO_STEPS, fresh // (again + 1))


class Loader:
    """What is heard at ``first``, ``first + 1`` … in order, drawn ahead by processes that take turns.

    Batch ``n`` is number ``place + n * stride`` of the seed's. Composing one costs as much as a step, so each may be
    heard ``uses`` times; the last ones are kept for that.
    """

    def __init__(
        self, first: int, *args: Any, place: int = 0, stride: int = 1, processes: int = 1, uses: int = 1
    ) -> None:
        self._step, self._uses = first, uses
        self._drawn = self._oldest()
        self._kept: dict[int, Batch] = {}
        first = place + self._drawn * stride
        context = mp.get_context("spawn")
        self._queues: list[Any] = [context.Queue(maxsize=4) for _ in range(processes)]
        self._processes = [
            context.Process(
                target=_produce, args=(queue, first + turn * stride, processes * stride, *args), daemon=True
            )
            for turn, queue in enumerate(self._queues)
        ]
        for process in self._processes:
            process.start()
        self._turn = 0

    def _oldest(self) -> int:
        """The first batch that this step, or one after it, needs."""
        return min(heard_at(self._step + later, self._uses) for later in range(2 * self._uses))

    def next(self) -> Batch:
        """Raises ``RuntimeError`` when the producer has died, ``queue.Empty`` when it needs more than five minutes."""
        wanted = heard_at(self._step, self._uses)
        while self._drawn <= wanted:
            self._kept[self._drawn] = self._draw()
            self._drawn += 1
        batch = self._kept[wanted]
        self._step += 1
        for number in range(min(self._kept), self._oldest()):
            del self._kept[number]
        return batch

    def _draw(self) -> Batch:
        place, self._turn = self._turn, (self._turn + 1) % len(self._queues)
        for _ in range(WAITS):
            with suppress(Empty):
                batch: Batch = self._queues[place].get(timeout=WAIT_S)
                return batch
            if not self._processes[place].is_alive():
                raise RuntimeError("the process that draws batches has ended: see its traceback above")
        raise Empty

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
