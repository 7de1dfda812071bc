"""What a composer lays down: guesses at orders, late answers, and who wants nano to stop."""

from __future__ import annotations

import random

import numpy as np

from services.interaction.nano.config import TASKS
from tests.unit.scripts import a_turn, an_order
from tests.unit.test_training_bank import FLITE, TEXTS, _spoken
from training.bank import Bank
from training.phrases import BY_TEXT
from training.scenes import HALTS, Composer, _guess, _hurry
from training.script import TICK, Recipe, Script


def test_a_composer_misjudges_some_orders_and_nothing_else():
    rng = random.Random(1)
    phrase = an_order("timer 3").phrase
    drawn = [_guess(rng, phrase, 0.5) for _ in range(400)]
    assert 0.4 < sum(guess is None for guess in drawn) / 400 < 0.6
    assert 0.15 < drawn.count("") / 400 < 0.35
    others = set(drawn) - {None, ""}
    assert "timer 3" not in others and "none" not in others and others <= set(TASKS) and len(others) > 20
    assert {_guess(rng, a_turn("stop", 1, 2).phrase, 0.5) for _ in range(50)} == {None}


def test_an_answer_is_late_only_where_nothing_else_is_said_meanwhile():
    first = a_turn("what is your name", 5, 10, delay_ticks=6)
    second, third = a_turn("what is two plus two", 17, 22, delay_ticks=2), a_turn("mm-hm", 30, 31, "backchannel")
    _hurry(Script(60, np.zeros(60 * TICK, np.float32), [third, first, second]))
    assert (first.delay_ticks, second.delay_ticks) == (0, 2)


def test_some_of_those_who_interrupt_only_want_it_to_stop(tmp_path):
    _spoken(tmp_path, FLITE, [*TEXTS, "stop", "count to ten"])
    quiet = {"order": 0.0, "story": 0.0, "aside": 0.0, "overheard": 0.0, "backchannel": 0.0, "lead": 0.0, "typed": 0.0}
    recipe = Recipe(interrupt=1.0, halt=1.0, cough=0.0, babble=0.0, video=0.0, shown=0.0, kinds={"count": 1.0}, **quiet)
    composer = Composer(Bank(held_out=False, folder=tmp_path), recipe, 60)
    intents = [BY_TEXT[t.text].intent for n in range(4) for t in composer.compose(random.Random(n)).turns]
    halts = [n for n, intent in enumerate(intents) if intent in HALTS]
    assert len(halts) > 3 and all(intents[n - 1].startswith("count_") for n in halts if intents[n - 1] not in HALTS)
