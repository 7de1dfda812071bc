"""Who announces a question is let come to it."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np

from schemas.records import Floor, UserActivity
from services.interaction.protocol import StepOutput
from tests.unit.scripts import a_sentence, a_turn, judged
from tests.unit.test_training_bank import FLITE, TEXTS, _spoken
from training.bank import Bank
from training.closed_loop import Played
from training.evaluate import Scores
from training.evaluate_skills import score_skills
from training.phrases import BACKCHANNELS, BY_TEXT
from training.scenes import Composer
from training.script import TICK, Recipe, Script
from training.skills.leads import leads
from training.targets import HOLD, YIELD


def _lead(start: int):
    made = a_sentence("my question is", start, None)
    made.kind = "leads"
    return made


def test_nothing_is_said_to_an_announcement_nor_in_the_pause_behind_it():
    targets, words = judged([_lead(5), a_turn("what is your name", 20, 27)])
    assert list(words) == [27, 28, 29, 30]
    assert (targets.floor[:27] == HOLD).all() and targets.speak_counts[:27].all()


def test_an_announcement_that_interrupts_is_yielded_to():
    targets, words = judged([a_turn("count to ten", 2, 6), _lead(12), a_turn("what is your name", 24, 30)])
    (yielded,) = np.flatnonzero(targets.floor == YIELD)
    assert 13 <= yielded <= 14
    assert [tick for tick in words if yielded <= tick < 30] == []


def test_announcements_are_no_phrases_and_some_are_held_out():
    told = set(leads(False)), set(leads(True))
    assert not told[0] & told[1] and min(map(len, told)) > 25
    assert not (told[0] | told[1]) & (BY_TEXT.keys() | set(BACKCHANNELS))


def test_a_question_follows_its_announcement_after_a_pause(tmp_path):
    _spoken(tmp_path, FLITE, [*TEXTS, *leads(False)[:5]])
    quiet = {"order": 0.0, "story": 0.0, "aside": 0.0, "overheard": 0.0, "interrupt": 0.0, "backchannel": 0.0}
    recipe = Recipe(lead=1.0, typed=0.0, cough=0.0, babble=0.0, video=0.0, shown=0.0, **quiet)
    composer, followed = Composer(Bank(held_out=False, folder=tmp_path), recipe, 60), 0
    for seed in range(8):
        turns = sorted(composer.compose(random.Random(seed)).turns, key=lambda turn: turn.start)
        for turn, following in pairwise(turns):
            assert (turn.kind == "leads") != (following.kind == "leads")
            if turn.kind == "leads":
                followed += 1
                assert recipe.pause_s[0] <= (following.start - turn.stop) / 16_000 <= recipe.pause_s[1] + 0.01
    assert followed > 5


def test_whoever_says_something_before_the_question_has_not_waited():
    turns = [_lead(5), a_turn("what is your name", 20, 27)]
    for spoken_at, waits in ((None, True), (8, False), (18, False), (27, True)):
        script = Script(40, np.zeros(40 * TICK, np.float32), turns)
        texts = ["hm" if tick == spoken_at else "" for tick in range(40)]
        said = [StepOutput(Floor.HOLD, UserActivity.SILENT, (), text=text) for text in texts]
        scores = Scores()
        score_skills(Played(script, said, left_ms=[0.0] * 40), scores)
        assert scores.cases["waits for an announced question"] == [waits]
