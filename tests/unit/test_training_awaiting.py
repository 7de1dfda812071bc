"""What standing orders wait for: when their words are due, which word is meant, when a count is over."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from schemas.records import Manner
from services.interaction.nano.config import NONE, RECALL, TASKS, USERS_WORD
from tests.unit.scripts import (
    HEARD,
    HEARD_IDS,
    NEWER,
    POINTING,
    SAID,
    a_sentence,
    a_turn,
    an_order,
    an_order_to_hear,
    as_told,
    judged,
    tokens_after,
)
from training.errands import answered, corrected
from training.mishearing import overhear
from training.oracle import fed_back
from training.phrases import TRAINING
from training.script import TICK, Due, Script, UserTurn


def test_cues_are_answered_by_what_stands():
    assert answered("cue fruit", "now", "plum") == "now"
    assert answered("cue fruit", "now", "seven") == ""
    assert answered("over 5", "stop", "six") == "stop"
    assert answered("over 5", "stop", "five") == ""
    assert answered("spanish numbers", "", "three") == "tres"
    assert answered("spanish colours", "", "three") == ""
    assert answered("spanish colours", "", "green") == "verde"


def test_a_word_that_is_awaited_is_answered_when_the_transcript_has_been_read():
    order = an_order_to_hear("seven")
    told = a_sentence("we saw seven ducks", 20, [(22 + 2 * n) * TICK for n in range(4)])
    script = as_told(order, told)
    assert [(due.tick, due.word, due.manner) for due in script.dues] == [(30, order.phrase.word, Manner.WARNING)]
    targets, words = judged(script.turns, dues=script.dues, ticks=90)
    assert words == {10: "okay", 30: order.phrase.word}
    known = order.trigger_tick
    assert known > 10 and script.told[known - 1] == "seven"
    assert HEARD[targets.heard[28]] == HEARD[targets.trigger[known]] == "seven", "the search is a tick behind the head"
    tokens = tokens_after(targets)
    assert [HEARD[t.trigger] for t in (tokens[known - 1], tokens[known], tokens[40])] == ["<none>", "seven", "seven"]
    assert targets.trigger.astype(bool).sum() == 1
    assert np.flatnonzero(targets.trigger_counts).tolist() == list(range(10, known + 1)), "until it is known"
    assert (fed_back(targets, targets.heard, POINTING)[known + 1 :, -1] == HEARD_IDS["seven"]).all()


def test_which_word_is_awaited_is_said_when_it_was_told_and_not_before_the_answer():
    for faults in (0.0, 1000.0):
        script = Script(60, np.zeros(60 * TICK, np.float32), [an_order_to_hear("seven")])
        overhear(random.Random(2), script, faults)
        due = script.turns[0].trigger_tick
        assert due == -1 if faults else due > 10
        targets, _ = judged(script.turns)
        assert [HEARD[t] for t in targets.trigger if t] == ["seven"]
        assert targets.trigger_counts.any() == (not faults), "nobody knows what was not told"
    orders_for_it = [p for p in TRAINING if p.trigger == "seven" and p.task == "hear"]
    early = next(p.text for p in orders_for_it if p.words[-1] != "seven" and len(p.words) > 6)
    order = a_turn(early, 2, 30, word_ends=[4 * TICK] * len(early.split()))
    script = Script(60, np.zeros(60 * TICK, np.float32), [order])
    overhear(random.Random(2), script, 0.0)
    assert script.turns[0].trigger_tick == 30


def test_a_word_is_awaited_until_something_else_is_asked_for():
    order = an_order_to_hear("seven")
    again = a_sentence("seven", 40, [42 * TICK])
    assert len(as_told(order, again).dues) == 1
    assert as_told(order, a_turn("stop it", 20, 24), again).dues == []
    assert as_told(order, a_turn(an_order("timer 3").text, 20, 30), again).dues == []
    assert as_told(order, dataclasses.replace(again, kind="typed")).dues == [], "it is not said"


def test_where_it_is_not_known_when_the_awaited_word_is_said_nothing_is_learned_about_it():
    script = as_told(an_order_to_hear("seven"), a_sentence("we saw seven ducks", 20, None))
    assert (script.dues, script.unsure) == ([], [(20, 28)])
    targets, _ = judged(script.turns, unsure=script.unsure)
    assert not targets.speak_counts[20:28].any()
    assert targets.speak_counts[28:].all()


def _saying(faults: float, seed: int = 2):
    """An order to say a word of the user's, after two seconds, of eight ticks; and what the oracle makes of it."""
    phrase = next(p for p in TRAINING if p.text in NEWER and p.task == "timer 2" and p.words[-1] == p.word)
    order = a_turn(phrase.text, 2, 10, word_ends=[2 * TICK + (n + 1) * TICK for n in range(len(phrase.words))])
    script = Script(60, np.zeros(60 * TICK, np.float32), [order])
    overhear(random.Random(seed), script, faults)
    script.dues = [Due(19, phrase.word, "timer 2")]
    targets, words = judged(script.turns, dues=script.dues)
    return order, script, targets, words


def test_a_word_of_the_users_is_noted_when_it_was_written_down_and_recalled_when_it_is_due():
    order, script, targets, words = _saying(faults=0.0)
    word = order.phrase.word
    assert word not in SAID and script.told[order.note_tick - 1] == word
    assert np.flatnonzero(targets.note).tolist() == [order.note_tick]
    assert words == {10: "okay", 19: word}
    assert targets.word[10] == USERS_WORD
    assert targets.text[19] == RECALL and targets.due_counts[19] and targets.due_counts.sum() == 1
    tokens = tokens_after(targets)
    assert [t.text for t in tokens[18:20]] == [NONE, RECALL]
    assert [TASKS[t.task] for t in tokens[18:20]] == ["timer 2", "none"], "it is done"
    assert targets.speak_counts.all()


def test_a_word_that_was_not_written_down_is_nobodys_to_say():
    lost = [made for seed in range(9) if (made := _saying(1000.0, seed))[0].note_tick < 0]
    noted = [made for seed in range(30) if (made := _saying(3.0, seed))[0].note_tick >= 0]
    wrong = [made for made in noted if made[1].told[made[0].note_tick - 1] != made[0].phrase.word]
    assert lost and wrong
    for _, _, targets, words in lost:
        assert words == {10: "okay"} and not targets.speak_counts[19:].all() and not targets.note.any()
    for order, _, _, words in wrong:
        assert words == {10: "okay", 19: order.phrase.word}, "it says what it was told, whatever that is"


def _counting(to: str, start: int = 2, **more) -> UserTurn:
    """A request to count, of four ticks, whose words are known to end."""
    return a_turn(f"count to {to}", start, start + 4, word_ends=[(start + n) * TICK for n in (1, 2, 4)], **more)


def _counted(*turns: UserTurn, faults: float = 0.0):
    script = Script(70, np.zeros(70 * TICK, np.float32), list(turns))
    overhear(random.Random(2), script, faults)
    targets, words = judged(script.turns, ticks=70)
    return targets, words, tokens_after(targets)


def test_a_count_keeps_the_number_that_it_goes_to_until_it_has_rested():
    targets, words, tokens = _counted(turn := _counting("nine"))
    assert [TASKS[t.task] for t in tokens[5:8]] == ["none", "count to", "count to"]
    known = turn.trigger_tick
    assert known > 6, "it is told after the count has begun"
    assert [HEARD[t.trigger] for t in (tokens[known - 1], tokens[known], tokens[22])] == ["<none>", "nine", "nine"]
    last = max(words)
    assert words[last] == "nine"
    assert [t.task for t in tokens[last : last + 12]].index(0) == 8
    assert {(t.task, t.trigger) for t in tokens[last + 8 :]} == {(0, NONE)}
    targets, _, _ = _counted(_counting("nine"), faults=1000.0)
    assert not targets.trigger_counts.any(), "nobody knows what was not told"


def test_another_number_replaces_it_and_an_interruption_ends_it():
    _, words, tokens = _counted(_counting("ten"), _counting("three", 14))
    assert TASKS[tokens[13].task] == "count to" and tokens[15].task == 0, "it has been yielded to"
    assert [HEARD[t.trigger] for t in (tokens[13], tokens[25])] == ["ten", "three"]
    assert words[max(words)] == "three"


def test_a_count_leaves_a_standing_order_alone():
    order = an_order("timer 9")
    _, words, tokens = _counted(order, _counting("three", 16))
    assert "three" in words.values()
    assert TASKS[tokens[24].task] == "timer 9"


def test_a_count_is_corrected_where_it_goes_wrong():
    assert corrected("one two three five six".split()) == ["", "", "", "four", ""]
    assert corrected("one two two three".split()) == ["", "", "three", ""]
