"""What a transcript makes of the user's words while nano learns: mostly the words, maybe late, some of them wrong.

Served, the words come of the phones and a lexicon (``services.interaction.nano.lexicon``), and are fed to the layers
that understand. Taught with nothing but the right words, those would come to trust the wrong ones, too. So each
session has a quality of its own, from faultless to hardly usable.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from services.interaction.nano.config import NONE, NUMBERS, TALLY, TASKS
from training.script import TICK, Due, Script, UserTurn, written
from training.skills.words import heard_words

FAULTLESS = 0.15  # of the sessions
FAULTS = (1.3, 3.6)  # of the others: a beta distribution's, 27 % of the words on average
LOST = 0.4  # of the faults; the others are words that look alike
ADDED = 0.06  # words made up, in a tick of speech without one, for each fault of a word
LATE = ((0, 1, 2, 3), (0.17, 0.35, 0.45, 0.03))  # ticks behind what the network's own head aims at, and how often
UNSURE_TICKS = 5  # in which something may be said to a word that was not written down, or not
TALLY_TASK = TASKS[TALLY]
Ids = npt.NDArray[np.int64]


@cache
def _alike() -> dict[str, tuple[str, ...]]:
    """Words of the transcript by how they begin and by how they end."""
    found: dict[str, list[str]] = {}
    for word in heard_words():
        for key in _keys(word):
            found.setdefault(key, []).append(word)
    return {key: tuple(words) for key, words in found.items()}


def _keys(word: str) -> tuple[str, str]:
    return f"{word[:2]}-", f"-{word[-2:]}"


def misheard(rng: random.Random, word: str) -> str:
    """Another word that begins or ends like it, or any."""
    others = [w for key in _keys(word) for w in _alike().get(key, ()) if w != word]
    return rng.choice(others or heard_words())


def overhear(rng: random.Random, script: Script, share: float = 1.0) -> None:
    """Decide what is written down in which tick, and with that when what waits for a word is due: in the next tick,
    in which it is told. Where the word was not written down, nobody knows. ``share`` scales the faults."""
    faults = 0.0 if rng.random() < FAULTLESS else share * rng.betavariate(*FAULTS)
    said: Counter[int] = Counter()
    aimed: dict[tuple[int, int], int] = {}
    told: dict[tuple[int, int], int] = {}
    written_at: dict[tuple[int, int], int] = {}  # rightly or not
    free_from = 0
    for turn, word, tick in written(script.turns):
        place = (id(turn), said[id(turn)])
        said[id(turn)] += 1
        aimed[place] = tick
        drawn = rng.random()
        at = max(tick + (rng.choices(*LATE)[0] if share else 1), free_from)
        if drawn < LOST * faults or at >= script.ticks:
            continue
        script.told[at] = misheard(rng, word) if drawn < faults else word
        written_at[place] = at
        if drawn >= faults:
            told[place] = at
        free_from = at + 1
    for turn in script.turns:
        for tick in range(turn.start // TICK, min(turn.stop // TICK, script.ticks)):
            if turn.kind != "typed" and tick not in script.told and rng.random() < ADDED * faults:
                script.told[tick] = rng.choice(heard_words())
    for turn in script.turns:
        if turn.phrase is not None and (named := turn.phrase.trigger or turn.phrase.ends_with):
            turn.trigger_tick = _trigger_tick(turn, named, told)
            if (place := _said_at(turn, named)) in written_at:
                turn.listen_tick = written_at[place] + 1
        if turn.phrase is not None and (place := _said_at(turn, turn.phrase.word)) in written_at:
            turn.note_tick = written_at[place] + 1
    tallied: Counter[int] = Counter()
    for waits in sorted(script.awaited, key=lambda waits: (waits.turn.start, waits.index)):
        place = (id(waits.turn), waits.index)
        if place in told:
            word = waits.word
            if waits.task == TALLY_TASK:
                tallied[id(waits.order)] += 1
                word = NUMBERS[min(tallied[id(waits.order)], len(NUMBERS)) - 1]
            script.dues.append(Due(told[place] + 1, word, waits.task, waits.manner))
        else:
            script.unsure.append((aimed[place], aimed[place] + UNSURE_TICKS))


def _trigger_tick(turn: UserTurn, trigger: str, told: Mapping[tuple[int, int], int]) -> int:
    """The tick after the one in which the order's last mention of ``trigger`` was told, but none before the answer."""
    answer = turn.decision_tick + turn.delay_ticks
    if turn.kind == "typed":
        return answer
    place = _said_at(turn, trigger)
    return max(told[place] + 1, answer) if place in told else -1


def _said_at(turn: UserTurn, word: str) -> tuple[int, int]:
    """The place of the turn's last mention of a word; one that is nowhere for none, and for what is typed."""
    said = turn.text.split()
    if turn.kind == "typed" or word not in said:
        return (id(turn), -1)
    return (id(turn), len(said) - 1 - said[::-1].index(word))


def heard_ids(script: Script, ids: Mapping[str, int]) -> Ids:
    """The word that is written down in each tick, ``[T]``: its id, one more than the last for a word that has none."""
    out = np.full(script.ticks, NONE, dtype=np.int64)
    for tick, word in script.told.items():
        out[tick] = ids.get(word, 1 + max(ids.values()))
    return out
