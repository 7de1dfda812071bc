"""The oracle's rules, on hand-made scripts: when to speak, hold, yield, delegate, weave and drop."""

from __future__ import annotations

import dataclasses

import numpy as np

from schemas.records import Manner
from services.interaction.nano.config import COPY, KEEP, MANNERS, MAX_TICKS, NONE, TASKS, USERS
from services.interaction.nano.registers import (
    HEARD_PLACE,
    TASK_PLACE,
    TRIGGER_PLACE,
    Tokens,
    fed,
    moved,
    table_sizes,
)
from services.interaction.protocol import Voice
from tests.unit.scripts import (
    HEARD,
    POINTING,
    SAID,
    SAID_IDS,
    a_turn,
    an_order,
    judged,
    tokens_after,
)
from training.mouth import Mouth, word_ms
from training.oracle import fed_back
from training.phones import PAUSE, UNKNOWN
from training.script import TICK, Due
from training.targets import BACKCHANNEL, CANCEL, DELEGATE, DROP, ENDED, SPEAKING, TAKE, YIELD


def test_a_turn_is_answered_word_by_word_from_its_end_on():
    targets, words = judged([a_turn("what is your name", 5, 12)])
    assert words == {12: "my", 13: "name", 14: "is", 15: "nano"}
    assert targets.user[12] == ENDED
    assert (targets.user[5:12] == SPEAKING).all()
    assert (targets.floor[12:16] == TAKE).all()


def test_nothing_is_said_in_a_pause_inside_a_turn():
    pieces = [(5 * TICK, 8 * TICK), (14 * TICK, 18 * TICK)]
    _, words = judged([a_turn("what is your name", 5, 18, "pause", pieces=pieces)])
    assert min(words) == 18


def test_counting_paces_itself_and_yields_to_an_interruption():
    targets, words = judged([a_turn("count to ten", 2, 6), a_turn("stop", 12, 14)])
    assert [words[t] for t in (6, 8, 10, 12)] == ["one", "two", "three", "four"]
    assert targets.floor[13] == YIELD
    assert words[14] == "okay"
    assert max(words) == 14


def test_a_backchannel_is_talked_through():
    _, alone = judged([a_turn("count to ten", 2, 6)])
    _, words = judged([a_turn("count to ten", 2, 6), a_turn("mm-hm", 12, 14, "backchannel")])
    assert words == alone


def test_a_result_is_woven_in_when_it_has_come_and_the_user_is_silent():
    question = a_turn("what is two plus two", 2, 8)
    targets, words = judged([question], [(["it", "is", "four"], 6, 0)])
    assert targets.event[8] == DELEGATE
    assert [words[t] for t in (8, 9, 10)] == ["let", "me", "check"]
    assert [t for t, w in words.items() if w == SAID[COPY]] == [14, 15, 16]
    assert targets.pending[9:14, 2].all()
    assert (targets.pending[14:17, 1] > 0).all()


def test_a_result_waits_for_the_user_and_goes_on_after_an_answer():
    turns = [a_turn("what is two plus two", 2, 8), a_turn("what is your name", 13, 20)]
    _, words = judged(turns, [(["a", "b", "c"], 8, 0)])
    copies = [t for t, w in words.items() if w == SAID[COPY]]
    assert copies == [24, 25, 26]


def test_never_mind_cancels_a_running_task_and_drops_a_waiting_result():
    question, regret = a_turn("what is two plus two", 2, 8), a_turn("never mind", 14, 18)
    running, _ = judged([question, regret], [(["late"], 20, 0)])
    assert running.event[18] == CANCEL
    assert not running.pending[19:, 2].any()
    waiting, words = judged([question, regret], [([str(n) for n in range(30)], 4, 0)])
    assert waiting.event[18] == DROP
    assert max(t for t, w in words.items() if w == SAID[COPY]) < 18


def test_a_late_answer_is_overdue_in_the_ticks_before_it():
    targets, words = judged([a_turn("please explain photosynthesis", 5, 12, delay_ticks=2)], results=[(["w1"], 30, 1)])
    assert min(words) == 14 and targets.speak_counts.all()
    assert np.flatnonzero(targets.overdue != UNKNOWN).tolist() == [12, 13]
    wanted = targets.wanted()
    for name, right in (("floor", TAKE), ("text", SAID_IDS[words[14]]), ("event", DELEGATE)):
        assert wanted[name][11:15].tolist() == [0, right, right, right], name
        assert getattr(targets, name)[11:15].tolist() == [0, 0, 0, right], "what is fed back is what it did"
    never, _ = judged([a_turn("what is your name", 5, 12, delay_ticks=50)])
    assert (never.overdue == UNKNOWN).all(), "it is not answered in this session"


def test_heard_words_come_one_a_tick_after_their_ends_and_unknown_timing_does_not_count():
    ends = [n * 1600 + 6 * TICK for n in range(4)]  # faster than one word a tick
    targets, _ = judged([a_turn("what is your name", 5, 12, word_ends=ends)])
    heard = {t: HEARD[w] for t, w in enumerate(targets.heard) if w}
    assert heard == {8: "what", 9: "is", 10: "your", 11: "name"}
    untimed, _ = judged([a_turn("what is your name", 5, 12)])
    assert not untimed.heard.any()
    assert not untimed.heard_counts[5:18].any()


def test_what_is_fed_back_is_the_former_tick():
    targets, _ = judged([a_turn("count to three", 2, 6)])
    fed = fed_back(targets, targets.heard, POINTING)
    assert {SAID[w] for w in targets.text} == {"<none>", "<next>"}
    assert [SAID[w] for w in fed[:, 2] if w] == ["one", "two", "three"], "what was meant"
    assert (fed[1:, 2] > 0).tolist() == (targets.text[:-1] > 0).tolist()
    assert fed[9, 4] == SAID_IDS["two"]
    assert fed[9:13, 5].tolist() == [0, 1, 0, 1]


def test_spoken_words_wait_until_the_voice_has_room_and_the_floor_is_kept_to_the_last_sound():
    mouth = Mouth(rate=1.0, ready_below_ms=400)
    targets, words = judged([a_turn("what is your name", 5, 12)], mouth=mouth)
    assert list(words.values()) == ["my", "name", "is", "nano"]
    assert 12 in words, "the first word is said at the turn's end, as ever"
    voice = targets.pending[:, 4]
    assert all(voice[tick] != Voice.BUSY for tick in words), "no word while there is enough to say"
    spoken_ticks = -(-sum(word_ms(word) for word in words.values()) // 200)
    last = 12 + int(spoken_ticks) - 1
    assert (targets.floor[12 : last + 1] == TAKE).all()
    assert voice[last] != Voice.SILENT
    assert voice[last + 1] == Voice.SILENT
    assert (targets.floor[last + 1 :] != TAKE).all()


def test_an_interruption_is_yielded_to_while_the_last_word_is_still_heard():
    slow = Mouth(rate=3.0, ready_below_ms=5_000)
    targets, words = judged([a_turn("what is your name", 5, 12), a_turn("stop", 18, 20)], mouth=slow)
    assert max(tick for tick in words if tick < 19) == 15, "all is written long before it is said"
    assert targets.floor[19] == YIELD
    assert targets.pending[19, 4] != Voice.SILENT
    assert targets.pending[20, 4] == Voice.SILENT, "what was left is not said"


def test_a_story_that_interrupts_is_yielded_to_and_words_to_somebody_else_are_not():
    counting = a_turn("count to ten", 2, 6)
    for kind, yielded in (("stories", True), ("asides", False), ("hesitations", False)):
        beside = dataclasses.replace(a_turn("we had to laugh", 10, 16, kind), phrase=None)
        targets, words = judged([counting, beside])
        assert (targets.floor[11] == YIELD) == yielded
        assert ("ten" in words.values()) == (not yielded)


def test_a_mouth_takes_its_time():
    mouth = Mouth(rate=1.0, lag_ticks=1, ready_below_ms=300)
    states = []
    mouth.say("nano")  # 340 ms
    for _ in range(4):
        states.append(mouth.state)
        mouth.tick()
    assert states == [Voice.BUSY, Voice.BUSY, Voice.READY, Voice.SILENT]
    mouth.say("nano")
    mouth.stop()
    assert mouth.state is Voice.SILENT


def test_a_story_gets_a_sign_of_listening_at_the_end_of_each_sentence_and_they_take_turns():
    told = [a_turn("we had to laugh", 3, 12, "stories"), a_turn("then it rained", 15, 22, "stories")]
    told = [dataclasses.replace(turn, phrase=None) for turn in told]
    targets, words = judged(told, signs=[12, 22])
    assert words == {12: "mm-hm", 22: "uh-huh"}
    assert targets.floor[12] == targets.floor[22] == BACKCHANNEL
    assert MANNERS[targets.manner[12]] is Manner.BACKCHANNEL


def test_an_order_stands_until_it_is_done():
    order = an_order("timer 3")
    word = order.phrase.word
    targets, words = judged([order], dues=[Due(23, word, "timer 3"), Due(33, word, "timer 3")])
    assert words == {10: "okay", 23: word}, "once is enough"
    assert targets.task[10] == 1 + TASKS.index("timer 3")
    assert SAID[targets.word[10]] == word
    tokens = tokens_after(targets)
    assert [TASKS[t.task] for t in tokens[9:25]] == ["none"] + ["timer 3"] * 13 + ["none"] * 2
    assert tokens[22].age == 12


def test_an_order_that_was_called_off_is_silent():
    order = an_order("every 2")
    dues = [Due(tick, order.phrase.word, "every 2") for tick in (19, 29, 39, 49)]
    targets, words = judged([order, a_turn("stop it", 31, 35)], dues=dues)
    assert list(words.values()) == ["okay", order.phrase.word, order.phrase.word, "okay"]
    assert targets.task[35] == 1, "nothing stands any more"
    ages = [t.age for t in tokens_after(targets)]
    assert ages[19] == ages[29] == 0, "a repeating task counts from when it last spoke"
    assert ages[28] == 9


def test_registers_measure_silence_and_ignore_a_single_tick_of_noise():
    silent, speaking = USERS.index("silent"), USERS.index("speaking")
    tokens = Tokens()
    for user in [speaking] * 3 + [silent] * 12 + [speaking] + [silent] * 3 + [speaking] * 2:
        tokens = moved(tokens, 0, user, NONE, 0, KEEP, NONE)
    assert (tokens.quiet, tokens.lapse) == (0, 17)
    assert all(value < size for value, size in zip(fed(tokens), (*table_sizes(40, 4, 3, 4), 41, 40), strict=True))


def test_what_is_fed_stands_where_the_network_looks_for_it():
    tokens = Tokens(task=7, heard=8, trigger=9)
    assert [fed(tokens)[place] for place in (TASK_PLACE, HEARD_PLACE, TRIGGER_PLACE)] == [7, 8, 9]


def test_registers_stay_within_their_tables_for_ever():
    tokens = Tokens()
    for _ in range(400):
        tokens = moved(tokens, 0, 0, NONE, 0, KEEP, NONE)
    assert tokens.quiet == MAX_TICKS
    assert all(value < size for value, size in zip(fed(tokens), (*table_sizes(40, 4, 3, 4), 41, 40), strict=True))


def test_half_an_audio_token_names_the_phone_of_a_tick_ago():
    phones = [(3, 10 * TICK + 1600), (5, 12 * TICK)]
    targets, _ = judged([a_turn("what is your name", 10, 12, phones=phones)])
    named = {at: int(p) for at, p in enumerate(targets.phones) if p != PAUSE}
    assert set(named.values()) == {3, 5}
    assert [named[at] for at in (88, 91, 92, 103)] == [3, 3, 5, 5]
    assert min(named) == 88, "all else is a pause, whatever sounds"


def test_half_an_audio_token_of_an_engine_that_names_no_phones_is_not_known():
    targets, _ = judged([a_turn("what is your name", 10, 12)])
    assert (targets.phones[88:103] == UNKNOWN).all()
    assert (targets.phones[:80] == PAUSE).all() and (targets.phones[120:] == PAUSE).all()


def test_patience_delays_a_yield_and_leaves_open_what_comes_before():
    """Who can't tell yet whether it is interrupted may wait: both are right."""
    counting = a_turn("count to ten", 2, 6)
    told = dataclasses.replace(a_turn("we had to laugh", 10, 16, "stories"), phrase=None, patience_ticks=2)
    targets, words = judged([counting, told])
    assert targets.floor[11:14].tolist() == [TAKE, TAKE, YIELD]
    assert not targets.speak_counts[11:13].any()
    assert targets.speak_counts[:11].all() and targets.speak_counts[13:].all()
    assert max(words) < 13
    quiet, _ = judged([told])
    assert quiet.speak_counts.all(), "nobody was interrupted"
    stubborn = dataclasses.replace(told, patience_ticks=11)
    assert judged([counting, stubborn])[0].floor[15:17].tolist() == [TAKE, YIELD], "while it is spoken to"


def test_who_goes_on_for_too_long_is_to_learn_that_a_yield_is_overdue():
    """One tick of yielding against all those of going on through words to others would be a prior against stopping."""
    counting = a_turn("count to ten", 2, 6)
    told = dataclasses.replace(a_turn("we had to laugh", 10, 20, "stories"), phrase=None, patience_ticks=8)
    targets, words = judged([counting, told])
    assert targets.floor[10:20].tolist() == [TAKE] * 9 + [YIELD], "what is fed back is what it did"
    assert targets.speak_counts[11:20].tolist() == [False] * 4 + [True] * 5
    assert set(words) & set(range(15, 19)), "it did say something there"
    wanted = targets.wanted()
    assert wanted["floor"][15:20].tolist() == [YIELD] * 5 and not wanted["text"][15:20].any()
    assert (wanted["floor"][:15] == targets.floor[:15]).all() and (wanted["text"][:15] == targets.text[:15]).all()
    aside = dataclasses.replace(told, kind="asides")
    assert (judged([counting, aside])[0].overdue == UNKNOWN).all(), "nobody wants it to stop"


def test_an_interruption_is_yielded_to_before_it_is_answered_and_never_afterwards():
    """A short one's patience must not end in the middle of the answer: that would be to interrupt oneself."""
    counting = a_turn("count to ten", 2, 6)
    for patience in range(6):
        targets, words = judged([counting, a_turn("what is your name", 12, 14, patience_ticks=patience)])
        assert np.flatnonzero(targets.floor == YIELD).tolist() == [13]
        assert [words[tick] for tick in range(14, 18)] == ["my", "name", "is", "nano"]
        at_once = a_turn("stop", 12, 13, patience_ticks=patience)
        targets, words = judged([counting, dataclasses.replace(at_once, stop=12 * TICK + 2 * TICK // 5)])
        assert not (targets.floor == YIELD).any() and words[max(words)] == "okay", "it is answered at once"
