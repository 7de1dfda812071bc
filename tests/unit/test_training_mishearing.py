"""What nano is told of the user's words while it learns: in order, late, and as faulty as promised."""

from __future__ import annotations

import random

import numpy as np

from schemas.records import Manner
from services.interaction.nano.config import NONE
from training.data import vocabularies
from training.mishearing import FAULTLESS, heard_ids, misheard, overhear
from training.script import TICK, Awaited, Script, UserTurn, written

IDS = {word: n for n, word in enumerate(vocabularies()[1]) if n}
SAID = "when we came home the old house was empty and all the lights were on"


def _script(text: str = SAID) -> Script:
    ends = [(3 + 2 * n) * TICK for n in range(len(text.split()))]
    turn = UserTurn("stories", text, None, 2 * TICK, ends[-1], [(2 * TICK, ends[-1])], ends)
    return Script(60, np.zeros(60 * TICK, np.float32), [turn])


def _told(seed: int, text: str = SAID, share: float = 1.0, awaited: int | None = None) -> Script:
    script = _script(text)
    if awaited is not None:
        script.awaited = [Awaited(script.turns[0], awaited, "now", "hear", Manner.WARNING)]
    overhear(random.Random(seed), script, share)
    return script


def _drawn(count: int, text: str = SAID) -> list[np.ndarray]:
    return [heard_ids(_told(n, text), IDS) for n in range(count)]


def test_words_come_in_order_and_no_earlier_than_they_can_be_written():
    script = _script()
    earliest = {word: tick for _, word, tick in written(script.turns)}
    faultless = 0
    for row in _drawn(300):
        ticks = np.flatnonzero(row != NONE)
        words = [next(word for word, n in IDS.items() if n == row[tick]) for tick in ticks]
        if words == SAID.split():
            faultless += 1
            once = [(tick, word) for tick, word in zip(ticks, words, strict=True) if words.count(word) == 1]
            assert all(tick >= earliest[word] for tick, word in once)
    assert faultless > 300 * FAULTLESS


def test_about_a_quarter_of_the_words_is_wrong_or_missing():
    right = [np.isin([IDS[word] for word in SAID.split()], row).mean() for row in _drawn(300)]
    assert 0.65 < np.mean(right) < 0.9
    assert min(right) < 0.5 and max(right) == 1.0


def test_a_word_that_the_transcript_does_not_know_is_told_as_such():
    row = max(_drawn(20, "zyzzyva"), key=lambda row: row.max())
    assert row.max() == 1 + max(IDS.values())


def test_a_word_is_mistaken_for_one_that_looks_like_it():
    rng = random.Random(1)
    taken = {misheard(rng, "house") for _ in range(200)}
    assert "house" not in taken
    assert all(word.startswith("ho") or word.endswith("se") for word in taken)


def test_what_waits_for_a_word_is_due_when_the_word_is_told_and_unknown_when_it_is_not():
    place = SAID.split().index("house")
    due = unsure = 0
    for seed in range(200):
        script = _told(seed, awaited=place)
        if script.dues:
            due += 1
            assert script.told[script.dues[0].tick - 1] == "house"
            assert (script.dues[0].word, script.unsure) == ("now", [])
        else:
            unsure += 1
            ((first, end),) = script.unsure
            assert first < end
            assert "house" not in [script.told.get(tick) for tick in range(first, end)]
    assert due > 2 * unsure > 0


def test_without_faults_all_is_told_a_tick_behind_the_head():
    script = _told(5, share=0.0)
    assert script.told == {tick + 1: word for _, word, tick in written(script.turns)}
