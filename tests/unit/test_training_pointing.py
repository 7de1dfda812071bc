"""What the oracle points at: the words of a count, of a measured silence, in Spanish; and what it is to listen for."""

from __future__ import annotations

import random

import numpy as np

from schemas.records import Manner
from services.interaction.nano.config import MEASURED, NEXT, NONE, TRANSLATED
from tests.unit.scripts import SAID_IDS, a_sentence, a_turn, an_order_to_hear, as_told, judged, tokens_after
from training.errands import await_triggers
from training.mishearing import overhear
from training.phrases import TRAINING
from training.script import TICK, Due, Script
from training.targets import TAKE


def text_of(task: str) -> str:
    return next(p.text for p in TRAINING if p.task == task)


def _said(targets) -> list[int]:
    return [word for word in targets.text.tolist() if word != NONE]


def test_a_tally_says_the_next_number_whenever_its_word_has_been_told():
    order = an_order_to_hear("seven", "tally")
    first = a_sentence("we saw seven and seven ducks", 20, [(22 + 2 * n) * TICK for n in range(6)])
    script = as_told(order, first, a_sentence("seven", 45, [47 * TICK]))
    assert [(due.word, due.manner) for due in script.dues] == [(word, Manner.LIST) for word in ("one", "two", "three")]
    targets, words = judged(script.turns, dues=script.dues, ticks=90)
    assert words == {10: "okay"} | {due.tick: due.word for due in script.dues}
    assert _said(targets) == [SAID_IDS["okay"], NEXT, NEXT, NEXT]
    assert targets.due_counts.sum() == 3
    assert np.flatnonzero(targets.listen).tolist() == [order.listen_tick] and not targets.note.any()


def test_a_tally_counts_what_was_told():
    numbers = set()
    for seed in range(12):
        said = [a_sentence("seven", at, [(at + 2) * TICK]) for at in (30, 50, 70)]
        script = Script(90, np.zeros(90 * TICK, np.float32), [an_order_to_hear("seven", "tally"), *said])
        await_triggers(script)
        overhear(random.Random(seed), script, 2.0)
        told = sum(word == "seven" and tick > 30 for tick, word in script.told.items())
        assert [due.word for due in script.dues] == ["one", "two", "three"][:told]
        numbers.add(told)
    assert {1, 2} <= numbers


def test_two_tallies_count_each_for_itself():
    again = an_order_to_hear("seven", "tally")
    again.start, again.stop = 40 * TICK, 48 * TICK
    again.pieces, again.word_ends = [(again.start, again.stop)], [end + 38 * TICK for end in again.word_ends]
    turns = (a_sentence("seven", 30, [32 * TICK]), again, a_sentence("seven", 60, [62 * TICK]))
    script = as_told(an_order_to_hear("seven", "tally"), *turns)
    assert [due.word for due in script.dues] == ["one", "one"]
    targets, _ = judged(script.turns, dues=script.dues, ticks=90)
    assert [t.counted for t in tokens_after(targets)][-1] == 1


def test_what_is_seen_is_counted_by_pointing_and_a_number_that_was_missed_is_said_by_name():
    order = a_turn(text_of("count"), 2, 8)
    dues = [Due(tick, word, "count") for tick, word in ((20, "one"), (26, "two"), (32, "four"), (38, "five"))]
    targets, words = judged([order], dues=dues)
    assert list(words.values()) == ["okay", "one", "two", "four", "five"]
    assert _said(targets)[1:] == [NEXT, NEXT, SAID_IDS["four"], NEXT]


def test_a_count_asked_for_while_something_stands_says_its_numbers_by_name():
    """For the register belongs to what stands."""
    targets, words = judged([a_turn(text_of("timer 9"), 2, 8), a_turn("count to three", 20, 24)])
    assert [words[tick] for tick in sorted(words)][-3:] == ["one", "two", "three"]
    assert _said(targets)[-3:] == [SAID_IDS[number] for number in ("one", "two", "three")]


def test_a_silence_is_said_as_it_was_measured():
    asked = a_turn("how long was i silent", 30, 36, lapse_s=4.1)
    targets, words = judged([a_turn("i need some quiet now", 3, 9), asked])
    assert [words[36], words[37]] == ["four", "seconds"]
    assert _said(targets)[-2:] == [MEASURED, SAID_IDS["seconds"]]
    assert targets.due_counts[36] and (targets.floor[36:38] == TAKE).all()
    unmeasured, _ = judged([a_turn("how long was i silent", 3, 9)])
    assert MEASURED not in _said(unmeasured), "nothing was"


def test_a_word_is_said_in_spanish_by_pointing_at_it_if_it_comes_at_once():
    order = a_turn(text_of("spanish numbers"), 2, 10)
    dues, told = [Due(30, "siete", order.phrase.task), Due(40, "tres", order.phrase.task)], {29: "seven", 38: "three"}
    targets, words = judged([order], dues=dues, told=told, ticks=60)
    assert [words[30], words[40]] == ["siete", "tres"]
    assert targets.text[30] == TRANSLATED and targets.text[40] == SAID_IDS["tres"], "by then another word was told last"
