"""From a tick's logits to what nano says and does."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from schemas.records import Floor, Manner
from services.interaction.nano.config import (
    COPY,
    EVENTS,
    FLOORS,
    NONE,
    RECALL,
    TASKS,
    NanoConfig,
)
from services.interaction.nano.decision import Decider
from services.interaction.nano.model import (
    NOTHING_YET,
    NanoModel,
)
from services.interaction.nano.registers import MAX_DOUBT, Tokens, doubted, moved
from services.interaction.nano.wording import by_kind, kinds_of_words
from services.interaction.protocol import Voice
from tests.model.nano_sessions import SMALL, frames, model, network


def test_saying_something_takes_the_floor_and_copying_needs_a_word():
    nano = model()
    item = frames("a", 1)[0]
    waiting = dataclasses.replace(item, pending_left=2, pending_word="two")
    nothing = dataclasses.replace(item, pending_left=0, pending_word="", delegated=False)
    copied = nano.decider.decide(waiting, NOTHING_YET, [0, 0, COPY, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert (copied.say_pending, copied.floor, copied.text) == (True, Floor.TAKE, "")
    refused = nano.decider.decide(nothing, NOTHING_YET, [0, 0, COPY, 0, 2, 0, 0, 0, 0, 0, 0, 0])
    assert (refused.say_pending, refused.cancel, refused.tokens[2]) == (False, False, NONE)
    spoken = nano.decider.decide(nothing, NOTHING_YET, [0, 0, 6, 9, 1, 0, 0, 0, 0, 0, 0, 0], ["h0", "unheard-of"])
    assert (spoken.text, spoken.floor, spoken.user_text, spoken.delegate) == ("t0", Floor.TAKE, " h0 unheard-of", True)
    assert Tokens(*spoken.tokens).heard == SMALL.heard_words.index("h0"), "the next tick is told, by its first word"
    strange = nano.decider.decide(nothing, NOTHING_YET, [0, 0, 6, 9, 1, 0, 0, 0, 0, 0, 0, 0], ["unheard-of"])
    assert Tokens(*strange.tokens).heard == len(SMALL.heard_words), "one more than the last"
    assert nano.decider.decide(nothing, Tokens(*spoken.tokens), [0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]).text == " t1"
    waiting_for_its_voice = Tokens(*spoken.tokens)._replace(text=NONE)
    assert nano.decider.decide(nothing, waiting_for_its_voice, [0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]).text == " t1"
    begins = nano.decider.decide(nothing, NOTHING_YET, [0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert begins.text == "t1"
    sign = nano.decider.decide(nothing, NOTHING_YET, [2, 0, 6, 0, 0, 0, 0, 4, 0, 0, 0, 0])
    assert (sign.floor, sign.manner) == (Floor.BACKCHANNEL, Manner.BACKCHANNEL)
    silent = nano.decider.decide(nothing, NOTHING_YET, [2, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])
    assert silent.floor is Floor.HOLD, "nothing was said"


def test_whether_to_speak_is_decided_before_what_to_say():
    config = dataclasses.replace(SMALL, signs=(SMALL.text_words[3],))
    kinds = kinds_of_words(config)
    logits = torch.full((3, len(SMALL.text_words)), -9.0)
    logits[0, [NONE, 4, 5]] = torch.tensor([0.4, 0.3, 0.31]).log()  # an answer is due, but which?
    logits[1, [NONE, 4, 5]] = torch.tensor([0.6, 0.3, 0.1]).log()
    logits[2, [3, 4, 5]] = torch.tensor([0.5, 0.3, 0.1]).log()  # a sign
    assert by_kind(logits, kinds).tolist() == [5, NONE, 3]
    assert kinds_of_words(SMALL) == [], "models of before take the most likely word"
    with pytest.raises(ValueError, match=r"no words of .*: hm"):
        kinds_of_words(dataclasses.replace(SMALL, signs=("hm",)))
    config = dataclasses.replace(config, kinds={"fruit": ("h1", "h2")}, spanish={"h1": "t1"})
    assert NanoConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_a_model_may_have_to_be_surer_that_it_is_interrupted():
    for lean in (-50.0, 50.0):
        nano = NanoModel(network(dataclasses.replace(SMALL, yield_logit=lean)))
        nano.open("a", 0)
        speaking = dataclasses.replace(frames("a", 1)[0], voice=Voice.BUSY)
        assert (nano.step([speaking])[0].floor is Floor.YIELD) == (lean > 0)


def yielded(config: NanoConfig, likely: list[float], voice: Voice = Voice.BUSY) -> list[bool]:
    """In which ticks a model yields that thinks it so likely."""
    decider, tokens, out = Decider(config, ()), Tokens(), []
    for share in likely:
        logits = [math.log(x) for x in (1e-9, 1.0 - share, 1e-9, share)]
        floor, doubt = decider.floor(voice, tokens, logits)
        tokens = tokens._replace(doubt=doubt)
        out.append(FLOORS[floor] == "yield")
    return out


def test_what_speaks_for_yielding_adds_up_while_its_voice_is_heard():
    patient = dataclasses.replace(SMALL, yield_at=0.8, yield_keep=0.75)
    assert yielded(SMALL, [0.4, 0.4, 0.4, 0.4, 0.6]) == [False, False, False, False, True], "without: one tick decides"
    assert yielded(patient, [0.4, 0.4, 0.4]) == [False, False, True]
    assert yielded(patient, [0.6, 0.001, 0.001, 0.001, 0.4]) == [False] * 5, "it is forgotten"
    assert yielded(patient, [0.1] * 40) == [False] * 40
    assert yielded(patient, [0.9, 0.4, 0.4, 0.4]) == [True, False, False, True], "a yield settles it"
    assert yielded(patient, [0.4] * 5, Voice.SILENT) == [False] * 5, "there is nothing to stop"
    assert yielded(patient, [0.6], Voice.SILENT) == [True]
    eager = dataclasses.replace(patient, yield_logit=2.0)
    assert yielded(eager, [0.4]) == [True], "the logit of a heard voice is leant"
    assert yielded(eager, [0.4], Voice.SILENT) == [False]


def test_doubt_is_a_register_and_part_of_the_models_name():
    likely = NanoModel(network(dataclasses.replace(SMALL, yield_logit=2.0, yield_at=15.0, yield_keep=1.0)))
    assert likely.name == NanoModel(network(SMALL)).name + "~y2~d15.1"
    likely.open("a", 0)
    speaking = [dataclasses.replace(item, voice=Voice.BUSY) for item in frames("a", 4)]
    doubts = [Tokens(*likely.step([item])[0].tokens).doubt for item in speaking]
    assert doubts == sorted(doubts) and 0 < doubts[0] < doubts[-1]
    assert doubted(MAX_DOUBT, 1.0, 1.0) == MAX_DOUBT
    with pytest.raises(ValueError, match="not this model's tokens"):
        likely.decider.check(tuple(Tokens(doubt=MAX_DOUBT + 1)))


@pytest.mark.parametrize(("at", "keep"), [(-0.5, 0.6), (20.0, 0.6), (1.0, -0.1), (1.0, 1.5)])
def test_sums_that_cannot_be_reached_or_forgotten_are_refused(at, keep):
    with pytest.raises(ValueError, match="can't yield"):
        NanoModel(network(dataclasses.replace(SMALL, yield_at=at, yield_keep=keep)))


def test_a_client_is_told_what_the_model_keeps_in_mind():
    nano, item = model(), frames("a", 1)[0]
    timer = TASKS.index("timer 5")
    order = nano.decider.decide(item, NOTHING_YET, [1, 2, 6, 0, 0, 1 + timer, 7, 0, 0, 0, 0, 0])
    assert order.ui == {"standing_task": "timer 5", "word": "t1"}
    after = nano.decider.decide(item, Tokens(*order.tokens), [0, 0, NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert after.ui == {}, "nothing has changed"
    done = nano.decider.decide(item, Tokens(*after.tokens), [1, 0, RECALL, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert done.ui == {"standing_task": "none", "word": ""}


def test_the_word_of_the_standing_task_is_said_by_pointing_at_it():
    nano = model()
    item = dataclasses.replace(frames("a", 1)[0], pending_left=0, pending_word="", delegated=False)
    standing = moved(Tokens(), 0, 0, NONE, 0, 1 + TASKS.index("timer 3"), 8)
    said = nano.decider.decide(item, standing, [0, 0, RECALL, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert (said.text, said.floor) == ("t2", Floor.TAKE)
    assert Tokens(*said.tokens).task == 0, "a timer is done when its word is said"
    assert nano.decider.decide(item, Tokens(), [0, 0, RECALL, 0, 0, 0, 0, 0, 0, 0, 0, 0]).text == "", "nothing stands"


def test_one_question_is_not_given_to_the_background_twice():
    nano, item = model(), frames("a", 1)[0]
    delegates = [0, 0, 0, 0, EVENTS.index("delegate"), 0, 0, 0, 0, NONE, 0, 0]
    first = nano.decider.decide(item, NOTHING_YET, delegates)
    again = nano.decider.decide(item, Tokens(*first.tokens), delegates)
    still = nano.decider.decide(item, Tokens(*again.tokens), delegates)
    done = nano.decider.decide(item, Tokens(*still.tokens), [0] * 12)
    another = nano.decider.decide(item, Tokens(*done.tokens), delegates)
    assert [o.delegate for o in (first, again, still, done, another)] == [True, False, False, False, True]
