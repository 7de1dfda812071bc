"""What nano says by pointing: a word of the user's, a measured time, the next number of a count, a word in Spanish; and
what it waits for."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from schemas.records import Floor
from services.interaction.nano.awaiting import STILL_TICKS, is_time, times_of_tasks
from services.interaction.nano.config import (
    COUNT_TO,
    KEEP,
    MEASURED,
    NEXT,
    NONE,
    NUMBERS,
    RECALL,
    SPECIAL_WORDS,
    TASKS,
    TRANSLATED,
    USERS,
    USERS_WORD,
)
from services.interaction.nano.model import NOTHING_YET, NanoModel
from services.interaction.nano.network import Decisions
from services.interaction.nano.registers import (
    FORGETTING_TICKS,
    MAX_LIKELY,
    SETTLING_TICKS,
    Pointed,
    Tokens,
    fed,
    measured,
    moved,
    score,
)
from services.interaction.protocol import StepInput, StepOutput, Voice
from tests.model.nano_sessions import SMALL, frames, lexicon, model, network

SPEAKS = dataclasses.replace(
    SMALL,
    text_words=(*SPECIAL_WORDS, "okay", *NUMBERS, "siete"),
    heard_words=("<none>", "seven", "h1", "h2", *(f"h{n}" for n in range(3, 20))),
    spanish={"seven": "siete", "h1": "nirgends"},
)
SPEAKING = USERS.index("speaking")
ITEM = dataclasses.replace(frames("a", 1)[0], pending_left=0, pending_word="", delegated=False, voice=Voice.SILENT)


def chosen(**decisions: int) -> list[int]:
    return [decisions.get(name, 0) for name in Decisions._fields]


def speaking() -> NanoModel:
    return NanoModel(network(SPEAKS), lexicon=lexicon())


def step(nano: NanoModel, before: Tokens, *written: str, item: StepInput = ITEM, **decisions: int) -> StepOutput:
    return nano.decider.decide(item, before, chosen(**decisions), written)


def after(nano: NanoModel, before: Tokens, *written: str, **decisions: int) -> Tokens:
    return Tokens(*step(nano, before, *written, **decisions).tokens)


def sets(task: str, **others: int) -> dict[str, int]:
    return {"task": 1 + TASKS.index(task), **others}


def test_the_likeliest_word_of_an_order_is_the_one_to_say():
    nano, tokens = model(), NOTHING_YET
    for word, likely in (("h3", 20), ("h25", 90), ("h4", 40), ("h5", 0)):
        tokens = after(nano, after(nano, tokens, word), note=likely)
    order = step(nano, tokens, **sets("every 2", word=USERS_WORD))
    assert order.ui == {"standing_task": "every 2", "word": "h25"}
    said = step(nano, Tokens(*order.tokens), text=RECALL)
    tokens = Tokens(*said.tokens)
    assert (said.text, said.say_pending, said.floor) == ("h25", False, Floor.TAKE)
    assert (tokens.text, tokens.last, tokens.age) == (RECALL, RECALL, 0)
    assert step(nano, tokens, text=8).text == " t2", "its own words as before"


def test_the_word_to_say_may_be_written_down_soon_after_the_order_is_understood_and_not_later():
    nano = model()
    order = after(nano, NOTHING_YET, "h25", **sets("every 2", word=USERS_WORD))
    assert order.noted == NONE and order.heard == len(SMALL.heard_words), "no head has this word, the lexicon has"
    assert step(nano, order, text=RECALL).text == "", "there is none to say"
    noted = step(nano, order, "h3", note=50)
    assert noted.ui == {"standing_task": "every 2", "word": "h25"}, "the word of the tick before, not of this one"
    tokens = Tokens(*noted.tokens)
    for _ in range(SETTLING_TICKS - 1):
        assert nano.lexicon.words[tokens.sayable - 1] == "h25"
        tokens = after(nano, tokens, "h4")
    assert tokens.sayable == NONE, "the order has its word"
    tokens = after(nano, tokens, note=MAX_LIKELY)
    assert nano.lexicon.words[tokens.sayable - 1] == "h4" and nano.lexicon.words[tokens.noted - 1] == "h25"
    called_off = after(nano, tokens, **sets("none"))
    assert called_off.noted == NONE


@pytest.mark.parametrize("silence", [FORGETTING_TICKS - 2, FORGETTING_TICKS + 1])
def test_what_was_said_before_a_long_silence_is_no_part_of_an_order_that_is_typed(silence):
    nano, tokens = model(), NOTHING_YET
    for word in ("h7", "h3"):
        tokens = after(nano, tokens, word, user=SPEAKING)
    tokens = after(nano, tokens, user=SPEAKING, listen=MAX_LIKELY, note=MAX_LIKELY)
    for _ in range(silence):
        tokens = after(nano, tokens)
    typed = step(nano, tokens, **sets("hear", word=USERS_WORD, trigger=5))
    forgotten = silence > FORGETTING_TICKS
    assert typed.ui["trigger"] == ("h4" if forgotten else "h3")
    assert (Tokens(*typed.tokens).noted == NONE) == forgotten


def test_an_order_that_has_just_been_set_may_be_corrected_and_keeps_its_time():
    nano = model()
    tokens = after(nano, NOTHING_YET, "h25", text=8, **sets("every 3", word=USERS_WORD))
    tokens = after(nano, tokens, "h7", note=90, listen=10)
    tokens = after(nano, tokens, listen=80)
    corrected = step(nano, tokens, **sets("hear", word=USERS_WORD))
    assert corrected.ui == {"standing_task": "hear", "word": "h25", "trigger": "h7"}
    tokens = Tokens(*corrected.tokens)
    assert (tokens.age, tokens.settling) == (3, 3), "it counts from the order"
    assert step(nano, tokens, **sets("hear", word=USERS_WORD)).ui == {}, "to think so once more changes nothing"
    called_off = after(nano, tokens, **sets("none"))
    assert (called_off.task, called_off.age, called_off.settling) == (0, 0, SETTLING_TICKS)
    for _ in range(SETTLING_TICKS):
        tokens = after(nano, tokens)
    another = after(nano, tokens, text=8, **sets("every 3", word=8))
    assert (another.age, another.settling, another.noted) == (0, 0, NONE), "by then it is another order"


def test_an_order_that_is_understood_late_counts_from_what_was_answered():
    nano = model()
    tokens = after(nano, NOTHING_YET, "h25", text=8)
    for _ in range(4):
        tokens = after(nano, tokens)
    tokens = after(nano, tokens, **sets("timer 3", word=8))
    assert (tokens.age, tokens.settling) == (5, 5)
    unanswered = after(nano, NOTHING_YET, **sets("timer 3", word=8))
    assert (unanswered.age, unanswered.settling) == (0, 0)


def test_what_was_likely_once_is_less_so_with_every_tick():
    nano = model()
    tokens = after(nano, after(nano, NOTHING_YET, "h25"), note=20, user=SPEAKING)
    for _ in range(10):
        tokens = after(nano, tokens, user=SPEAKING)
    assert tokens.say_score == 10
    assert after(nano, after(nano, tokens, "h3"), note=7).sayable == tokens.sayable
    assert nano.lexicon.words[after(nano, after(nano, tokens, "h3"), note=8).sayable - 1] == "h3"
    for _ in range(10):
        tokens = after(nano, tokens, user=SPEAKING)
    assert (tokens.sayable, tokens.say_score) == (NONE, 0)


def test_scores_are_whole_numbers_of_a_range():
    assert [score(logit) for logit in (-50.0, -8.0, 0.0, 0.13, 50.0)] == [0, 0, 64, 65, MAX_LIKELY]


def test_the_word_to_listen_for_is_the_likeliest_that_was_written_down():
    nano = model()
    tokens = after(nano, NOTHING_YET, "h3")
    tokens = after(nano, tokens, "h7", listen=30)
    order = step(nano, tokens, "h9", listen=70, **sets("hear", word=7, trigger=5))
    assert order.ui == {"standing_task": "hear", "word": "t1", "trigger": "h7"}, "that head is for typed orders"
    later = step(nano, Tokens(*order.tokens), listen=90)
    assert later.ui["trigger"] == "h9"
    typed = step(nano, NOTHING_YET, **sets("hear", word=7, trigger=5))
    assert typed.ui["trigger"] == "h4", "nothing was written down"


def test_a_word_that_no_head_knows_is_none_to_listen_for():
    nano = model()
    tokens = after(nano, after(nano, NOTHING_YET, "h25"), listen=MAX_LIKELY, **sets("hear", word=7))
    assert (tokens.awaitable, tokens.trigger) == (NONE, NONE)


@pytest.mark.parametrize("silence, seconds", [(5, 0), (6, 1), (11, 2), (16, 3), (17, 3), (20, 4), (51, 10), (120, 20)])
def test_the_users_silence_is_measured(silence, seconds):
    """In ticks, the one in which the user begins included: 16 are three seconds."""
    tokens = moved(moved(Tokens(), 0, 1, NONE, 0, KEEP, NONE), 0, 1, NONE, 0, KEEP, NONE)
    for _ in range(silence - 1):
        tokens = moved(tokens, 0, 0, NONE, 0, KEEP, NONE)
    for _ in range(2):
        tokens = moved(tokens, 0, 1, NONE, 0, KEEP, NONE)
    assert measured(tokens) == seconds
    said = step(speaking(), tokens, text=MEASURED)
    assert said.text.strip() == (NUMBERS[seconds - 1] if seconds else "")
    assert Tokens(*said.tokens).last == (SPEAKS.text_words.index(NUMBERS[seconds - 1]) if seconds else NONE)


def test_a_count_goes_on_over_other_words_and_begins_anew_with_its_order():
    nano = speaking()
    tokens = after(nano, NOTHING_YET, **sets("count"))
    told = []
    for text in (NEXT, NEXT, SPEAKS.text_words.index("okay"), NEXT, SPEAKS.text_words.index("six"), NEXT):
        output = step(nano, tokens, text=text)
        told.append(output.text.strip())
        tokens = Tokens(*output.tokens)
    assert told == ["one", "two", "okay", "three", "six", "seven"], "a number that is named counts, too"
    measured_now = step(nano, tokens._replace(lapse=11), text=MEASURED)
    assert (measured_now.text.strip(), Tokens(*measured_now.tokens).counted) == ("two", 7), "that is no count"
    assert step(nano, tokens, text=NEXT, **sets("count to")).text.strip() == "one"
    assert step(nano, tokens._replace(counted=len(NUMBERS)), text=NEXT).text == "", "it counts to twenty"


def test_a_busy_voice_counts_nothing():
    nano = speaking()
    tokens = after(nano, NOTHING_YET, **sets("tally"))
    busy = step(nano, tokens, item=dataclasses.replace(ITEM, voice=Voice.BUSY), text=NEXT)
    assert (busy.text, Tokens(*busy.tokens).counted) == ("", 0)


def test_a_count_without_a_task_is_one_until_nothing_is_said_for_a_while():
    nano = speaking()
    first = after(nano, NOTHING_YET, text=NEXT)
    assert step(nano, first, text=NEXT).text.strip() == "two"
    later = first
    for _ in range(8):
        later = after(nano, later)
    assert step(nano, later, text=NEXT).text.strip() == "one"


def test_a_word_is_said_in_spanish_by_pointing_at_it():
    nano = speaking()
    heard = after(nano, NOTHING_YET, "seven", **sets("spanish numbers"))
    said = step(nano, heard, text=TRANSLATED)
    assert said.text == "siete" and Tokens(*said.tokens).text == SPEAKS.text_words.index("siete")
    for word in ("h1", "h2", "unheard-of"):
        unknown = step(nano, after(nano, NOTHING_YET, word), text=TRANSLATED)
        assert (unknown.text, unknown.floor) == ("", Floor.HOLD), "none of its own words, or none that is known"


def test_a_model_without_numbers_or_spanish_says_none():
    for text in (MEASURED, NEXT, TRANSLATED):
        assert step(model(), Tokens(lapse=30, heard=3), text=text).text == ""


def ticks_of_time(task: str, *, age: int, last: int, word: int) -> bool:
    tokens = Tokens(task=TASKS.index(task), age=age, last=last, word=word)
    return bool(is_time(times_of_tasks(), torch.tensor([[fed(tokens)]])))


@pytest.mark.parametrize("word, said", [(8, 8), (USERS_WORD, RECALL)])
def test_it_is_time_when_the_seconds_of_an_order_have_passed(word, said):
    """An order's end lies some ticks before the first tick that is fed with it; what repeats runs from its word on."""
    okay = 7
    first = [age for age in range(60) if ticks_of_time("timer 3", age=age, last=okay, word=word)]
    assert first == list(range(12, 12 + STILL_TICKS))
    assert [age for age in range(60) if ticks_of_time("every 3", age=age, last=okay, word=word)] == first
    again = [age for age in range(60) if ticks_of_time("every 3", age=age, last=said, word=word)]
    assert again == list(range(14, 14 + STILL_TICKS))
    for task in ("none", "hear", "clock", "cue fruit", "over 3"):
        assert not any(ticks_of_time(task, age=age, last=okay, word=word) for age in range(60))


def test_registers_out_of_their_range_are_refused():
    nano, tokens = model(), Tokens()
    nano.decider.check(tokens)
    words = 1 + len(nano.lexicon.words)
    for name, beyond in (
        ("noted", words),
        ("sayable", words),
        ("awaitable", len(SMALL.heard_words)),
        ("say_score", MAX_LIKELY + 1),
        ("await_score", MAX_LIKELY + 1),
        ("settling", SETTLING_TICKS + 1),
        ("counted", len(NUMBERS) + 1),
    ):
        nano.decider.check(tokens._replace(**{name: beyond - 1}))
        with pytest.raises(ValueError, match="not this model's tokens"):
            nano.decider.check(tokens._replace(**{name: beyond}))


def test_heads_tell_how_likely_a_word_is():
    """The scores of a step are those of its logits."""
    for lean in (-50.0, 50.0):
        net = network()
        for head in (net.notes, net.listens):
            head.weight.data.zero_()
        nano = NanoModel(net, lexicon=lexicon())
        nano.open("a", 0)
        nano._sessions["a"].fed = Tokens(written=7, heard=3, say_score=3, sayable=2)
        forward = nano._forward

        def leaning(batch, sessions, lean=lean, forward=forward):
            decisions, phones = forward(batch, sessions)
            moves = torch.tensor([0.0, lean])
            return decisions._replace(note=decisions.note + moves, listen=decisions.listen + moves), phones

        nano._forward = leaning
        tokens = Tokens(*nano.step(frames("a", 1))[0].tokens)
        assert (tokens.sayable, tokens.awaitable) == ((7, 3) if lean > 0 else (2, NONE))


def test_the_registers_of_a_count_to_a_number():
    tokens = moved(Tokens(), 1, 0, 9, 0, 1 + COUNT_TO, NONE, pointed=Pointed(number=1))
    assert (tokens.counted, tokens.settling) == (1, 0)
