"""What an order may be taken for until its words have been told, and what is learned then."""

from __future__ import annotations

import dataclasses

import numpy as np

from services.interaction.nano.config import KEEP, NONE, TASKS
from services.interaction.nano.registers import fed
from tests.unit.scripts import POINTING, a_turn, an_order, judged, tokens_after
from training.oracle import fed_back
from training.script import RECONSIDER_TICKS, Due

TIMER = 1 + TASKS.index("timer 3")
AGAIN = 10 + RECONSIDER_TICKS


def guessed(guess: str | None, *turns):
    return judged([dataclasses.replace(an_order("timer 3"), guess=guess), *turns])


def test_an_order_is_thought_over_when_its_words_have_been_told():
    order = an_order("timer 3")
    targets, words = judged([order], dues=[Due(25, order.phrase.word, "timer 3")])
    assert np.flatnonzero(targets.task).tolist() == [10, AGAIN]
    assert (targets.task[[10, AGAIN]] == TIMER).all() and targets.word[10] == targets.word[AGAIN] != NONE
    assert (targets.wanted()["task"] == targets.task).all()
    after = tokens_after(targets)
    assert after[AGAIN].task == TIMER - 1 and after[AGAIN].age == RECONSIDER_TICKS, "it changes nothing"
    assert words[25] == order.phrase.word and len(words) == 2, "and its word is said when it is due"


def test_what_is_fed_back_is_a_guess_and_what_is_learned_is_what_was_meant():
    for guess, stands in (("cue fruit", TASKS.index("cue fruit")), ("", 0)):
        targets, _ = guessed(guess)
        assert targets.task[10] == (1 + stands if guess else KEEP)
        assert targets.wanted()["task"][10] == targets.wanted()["task"][AGAIN] == TIMER
        after = tokens_after(targets)
        assert {tokens.task for tokens in after[10:AGAIN]} == {stands}
        assert (after[AGAIN].task, after[AGAIN].age) == (TIMER - 1, RECONSIDER_TICKS), "it is due as ever"
        heard = np.zeros(len(targets.task), np.int64)
        assert tuple(fed_back(targets, heard, POINTING)[AGAIN + 1]) == fed(after[AGAIN])


def test_who_says_something_else_meanwhile_is_to_be_thought_of():
    targets, _ = guessed("", a_turn("never mind", 11, 13))
    assert np.flatnonzero(targets.task).tolist() == [13] and targets.task[13] == 1, "it is called off"


def test_a_typed_order_is_read_at_once():
    typed = dataclasses.replace(an_order("timer 3"), kind="typed", pieces=[])
    targets, _ = judged([typed])
    assert np.flatnonzero(targets.task).tolist() == [2]
