"""The oracle's rules, on hand-made scripts: when to speak, hold, yield, delegate, weave and drop."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from schemas.records import Manner
from services.interaction.nano.config import COPY, KEEP, MANNERS, MAX_TICKS, NONE, RECALL, TASKS, USERS, USERS_WORD
from services.interaction.nano.pointing import Pointing
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
from training.data import vocabularies
from training.errands import answered, await_triggers, corrected
from training.mishearing import heard_ids, overhear
from training.mouth import Mouth, word_ms
from training.oracle import Oracle, fed_back, tokens_of
from training.phones import PAUSE, UNKNOWN
from training.phrases import BY_TEXT, TRAINING
from training.script import TICK, Due, Script, UserTurn
from training.skills.orders import newer_orders, orders
from training.skills.words import SPANISH
from training.targets import BACKCHANNEL, CANCEL, DELEGATE, DROP, ENDED, SPEAKING, TAKE, YIELD

SAID, HEARD = vocabularies()
NEWER = {order.text for order in newer_orders(orders())}
SAID_IDS = {word: n for n, word in enumerate(SAID)}
HEARD_IDS = {word: n for n, word in enumerate(HEARD) if n}
POINTING = Pointing(SAID, HEARD, SPANISH)


def _turn(text: str, start: int, stop: int, kind: str = "plain", **more) -> UserTurn:
    phrase = BY_TEXT.get(text)
    pieces = more.pop("pieces", [(start * TICK, stop * TICK)])
    return UserTurn(kind, text, phrase, start * TICK, stop * TICK, pieces, more.pop("word_ends", None), **more)


def _run(turns: list[UserTurn], results=(), ticks: int = 60, mouth: Mouth | None = None, **more):
    audio = np.zeros(ticks * TICK, np.float32)
    script = Script(ticks, audio, turns, results=list(results), mouth=mouth or Mouth(), **more)
    targets = Oracle(script, SAID_IDS, HEARD_IDS).run()
    tokens = tokens_of(targets, heard_ids(script, HEARD_IDS), POINTING)
    named = next((turn.phrase.word for turn in turns if turn.phrase is not None and turn.phrase.word), "")
    said = {t: SAID[after.text] for t, after in enumerate(tokens) if after.text != NONE}
    recalled = {t for t, w in enumerate(targets.text) if w == RECALL}
    return targets, {t: named if t in recalled else word for t, word in said.items()}


def _tokens(targets) -> list[Tokens]:
    """After each tick."""
    return tokens_of(targets, targets.heard, POINTING)


def test_a_turn_is_answered_word_by_word_from_its_end_on():
    targets, words = _run([_turn("what is your name", 5, 12)])
    assert words == {12: "my", 13: "name", 14: "is", 15: "nano"}
    assert targets.user[12] == ENDED
    assert (targets.user[5:12] == SPEAKING).all()
    assert (targets.floor[12:16] == TAKE).all()


def test_nothing_is_said_in_a_pause_inside_a_turn():
    pieces = [(5 * TICK, 8 * TICK), (14 * TICK, 18 * TICK)]
    _, words = _run([_turn("what is your name", 5, 18, "pause", pieces=pieces)])
    assert min(words) == 18


def test_counting_paces_itself_and_yields_to_an_interruption():
    targets, words = _run([_turn("count to ten", 2, 6), _turn("stop", 12, 14)])
    assert [words[t] for t in (6, 8, 10, 12)] == ["one", "two", "three", "four"]
    assert targets.floor[13] == YIELD
    assert words[14] == "okay"
    assert max(words) == 14


def test_a_backchannel_is_talked_through():
    _, alone = _run([_turn("count to ten", 2, 6)])
    _, words = _run([_turn("count to ten", 2, 6), _turn("mm-hm", 12, 14, "backchannel")])
    assert words == alone


def test_a_result_is_woven_in_when_it_has_come_and_the_user_is_silent():
    question = _turn("what is two plus two", 2, 8)
    targets, words = _run([question], [(["it", "is", "four"], 6, 0)])
    assert targets.event[8] == DELEGATE
    assert [words[t] for t in (8, 9, 10)] == ["let", "me", "check"]
    assert [t for t, w in words.items() if w == SAID[COPY]] == [14, 15, 16]
    assert targets.pending[9:14, 2].all()
    assert (targets.pending[14:17, 1] > 0).all()


def test_a_result_waits_for_the_user_and_goes_on_after_an_answer():
    turns = [_turn("what is two plus two", 2, 8), _turn("what is your name", 13, 20)]
    _, words = _run(turns, [(["a", "b", "c"], 8, 0)])
    copies = [t for t, w in words.items() if w == SAID[COPY]]
    assert copies == [24, 25, 26]


def test_never_mind_cancels_a_running_task_and_drops_a_waiting_result():
    question, regret = _turn("what is two plus two", 2, 8), _turn("never mind", 14, 18)
    running, _ = _run([question, regret], [(["late"], 20, 0)])
    assert running.event[18] == CANCEL
    assert not running.pending[19:, 2].any()
    waiting, words = _run([question, regret], [([str(n) for n in range(30)], 4, 0)])
    assert waiting.event[18] == DROP
    assert max(t for t, w in words.items() if w == SAID[COPY]) < 18


def test_a_late_answer_leaves_the_ticks_before_it_out():
    targets, words = _run([_turn("what is your name", 5, 12, delay_ticks=2)])
    assert min(words) == 14
    assert targets.speak_counts.tolist().count(False) == 2
    assert not targets.speak_counts[12:14].any()


def test_heard_words_come_one_a_tick_after_their_ends_and_unknown_timing_does_not_count():
    ends = [n * 1600 + 6 * TICK for n in range(4)]  # faster than one word a tick
    targets, _ = _run([_turn("what is your name", 5, 12, word_ends=ends)])
    heard = {t: HEARD[w] for t, w in enumerate(targets.heard) if w}
    assert heard == {8: "what", 9: "is", 10: "your", 11: "name"}
    untimed, _ = _run([_turn("what is your name", 5, 12)])
    assert not untimed.heard.any()
    assert not untimed.heard_counts[5:18].any()


def test_what_is_fed_back_is_the_former_tick():
    targets, _ = _run([_turn("count to three", 2, 6)])
    fed = fed_back(targets, targets.heard, POINTING)
    assert {SAID[w] for w in targets.text} == {"<none>", "<next>"}
    assert [SAID[w] for w in fed[:, 2] if w] == ["one", "two", "three"], "what was meant"
    assert (fed[1:, 2] > 0).tolist() == (targets.text[:-1] > 0).tolist()
    assert fed[9, 4] == SAID_IDS["two"]
    assert fed[9:13, 5].tolist() == [0, 1, 0, 1]


def test_spoken_words_wait_until_the_voice_has_room_and_the_floor_is_kept_to_the_last_sound():
    mouth = Mouth(rate=1.0, ready_below_ms=400)
    targets, words = _run([_turn("what is your name", 5, 12)], mouth=mouth)
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
    targets, words = _run([_turn("what is your name", 5, 12), _turn("stop", 18, 20)], mouth=slow)
    assert max(tick for tick in words if tick < 19) == 15, "all is written long before it is said"
    assert targets.floor[19] == YIELD
    assert targets.pending[19, 4] != Voice.SILENT
    assert targets.pending[20, 4] == Voice.SILENT, "what was left is not said"


def test_a_story_that_interrupts_is_yielded_to_and_words_to_somebody_else_are_not():
    counting = _turn("count to ten", 2, 6)
    for kind, yielded in (("stories", True), ("asides", False), ("hesitations", False)):
        beside = dataclasses.replace(_turn("we had to laugh", 10, 16, kind), phrase=None)
        targets, words = _run([counting, beside])
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
    told = [_turn("we had to laugh", 3, 12, "stories"), _turn("then it rained", 15, 22, "stories")]
    told = [dataclasses.replace(turn, phrase=None) for turn in told]
    targets, words = _run(told, signs=[12, 22])
    assert words == {12: "mm-hm", 22: "uh-huh"}
    assert targets.floor[12] == targets.floor[22] == BACKCHANNEL
    assert MANNERS[targets.manner[12]] is Manner.BACKCHANNEL


def _order(task: str) -> UserTurn:
    text = next(p.text for p in TRAINING if p.task == task)
    return _turn(text, 2, 10)


def test_an_order_stands_until_it_is_done():
    order = _order("timer 3")
    word = order.phrase.word
    targets, words = _run([order], dues=[Due(23, word, "timer 3"), Due(33, word, "timer 3")])
    assert words == {10: "okay", 23: word}, "once is enough"
    assert targets.task[10] == 1 + TASKS.index("timer 3")
    assert SAID[targets.word[10]] == word
    tokens = _tokens(targets)
    assert [TASKS[t.task] for t in tokens[9:25]] == ["none"] + ["timer 3"] * 13 + ["none"] * 2
    assert tokens[22].age == 12


def test_an_order_that_was_called_off_is_silent():
    order = _order("every 2")
    dues = [Due(tick, order.phrase.word, "every 2") for tick in (19, 29, 39, 49)]
    targets, words = _run([order, _turn("stop it", 31, 35)], dues=dues)
    assert list(words.values()) == ["okay", order.phrase.word, order.phrase.word, "okay"]
    assert targets.task[35] == 1, "nothing stands any more"
    ages = [t.age for t in _tokens(targets)]
    assert ages[19] == ages[29] == 0, "a repeating task counts from when it last spoke"
    assert ages[28] == 9


def test_a_silence_is_measured_in_seconds():
    asked = _turn("how long was i silent", 30, 36, lapse_s=4.1)
    _, words = _run([_turn("i need some quiet now", 3, 9), asked])
    assert [words[36], words[37]] == ["four", "seconds"]


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


def test_cues_are_answered_by_what_stands():
    assert answered("cue fruit", "now", "plum") == "now"
    assert answered("cue fruit", "now", "seven") == ""
    assert answered("over 5", "stop", "six") == "stop"
    assert answered("over 5", "stop", "five") == ""
    assert answered("spanish numbers", "", "three") == "tres"
    assert answered("spanish colours", "", "three") == ""
    assert answered("spanish colours", "", "green") == "verde"


def _sentence(text: str, start: int, ends: list[int] | None) -> UserTurn:
    words = len(text.split())
    return dataclasses.replace(_turn(text, start, start + 2 * words, "carriers", word_ends=ends), phrase=None)


def _heard(order: UserTurn, *turns: UserTurn, ticks: int = 90) -> Script:
    script = Script(ticks, np.zeros(ticks * TICK, np.float32), [order, *turns])
    await_triggers(script)
    overhear(random.Random(0), script, 0.0)
    return script


def _hearing(trigger: str, task: str = "hear") -> UserTurn:
    """An order of eight ticks."""
    said = (p.text for p in TRAINING if p.trigger == trigger and p.task == task)
    text = min(said, key=lambda text: len(text.partition(trigger)[2]))
    count = len(text.split())
    return _turn(text, 2, 10, word_ends=[2 * TICK + (n + 1) * 8 * TICK // count for n in range(count)])


def test_a_word_that_is_awaited_is_answered_when_the_transcript_has_been_read():
    order = _hearing("seven")
    told = _sentence("we saw seven ducks", 20, [(22 + 2 * n) * TICK for n in range(4)])
    script = _heard(order, told)
    assert [(due.tick, due.word, due.manner) for due in script.dues] == [(30, order.phrase.word, Manner.WARNING)]
    targets, words = _run(script.turns, dues=script.dues, ticks=90)
    assert words == {10: "okay", 30: order.phrase.word}
    known = order.trigger_tick
    assert known > 10 and script.told[known - 1] == "seven"
    assert HEARD[targets.heard[28]] == HEARD[targets.trigger[known]] == "seven", "the search is a tick behind the head"
    tokens = _tokens(targets)
    assert [HEARD[t.trigger] for t in (tokens[known - 1], tokens[known], tokens[40])] == ["<none>", "seven", "seven"]
    assert targets.trigger.astype(bool).sum() == 1
    assert np.flatnonzero(targets.trigger_counts).tolist() == list(range(10, known + 1)), "until it is known"
    assert (fed_back(targets, targets.heard, POINTING)[known + 1 :, -1] == HEARD_IDS["seven"]).all()


def test_which_word_is_awaited_is_said_when_it_was_told_and_not_before_the_answer():
    for faults in (0.0, 1000.0):
        script = Script(60, np.zeros(60 * TICK, np.float32), [_hearing("seven")])
        overhear(random.Random(2), script, faults)
        due = script.turns[0].trigger_tick
        assert due == -1 if faults else due > 10
        targets, _ = _run(script.turns)
        assert [HEARD[t] for t in targets.trigger if t] == ["seven"]
        assert targets.trigger_counts.any() == (not faults), "nobody knows what was not told"
    orders_for_it = [p for p in TRAINING if p.trigger == "seven" and p.task == "hear"]
    early = next(p.text for p in orders_for_it if p.words[-1] != "seven" and len(p.words) > 6)
    order = _turn(early, 2, 30, word_ends=[4 * TICK] * len(early.split()))
    script = Script(60, np.zeros(60 * TICK, np.float32), [order])
    overhear(random.Random(2), script, 0.0)
    assert script.turns[0].trigger_tick == 30


def test_a_word_is_awaited_until_something_else_is_asked_for():
    order = _hearing("seven")
    again = _sentence("seven", 40, [42 * TICK])
    assert len(_heard(order, again).dues) == 1
    assert _heard(order, _turn("stop it", 20, 24), again).dues == []
    assert _heard(order, _turn(_order("timer 3").text, 20, 30), again).dues == []
    assert _heard(order, dataclasses.replace(again, kind="typed")).dues == [], "it is not said"


def test_where_it_is_not_known_when_the_awaited_word_is_said_nothing_is_learned_about_it():
    script = _heard(_hearing("seven"), _sentence("we saw seven ducks", 20, None))
    assert (script.dues, script.unsure) == ([], [(20, 28)])
    targets, _ = _run(script.turns, unsure=script.unsure)
    assert not targets.speak_counts[20:28].any()
    assert targets.speak_counts[28:].all()


def _saying(faults: float, seed: int = 2):
    """An order to say a word of the user's, after two seconds, of eight ticks; and what the oracle makes of it."""
    phrase = next(p for p in TRAINING if p.text in NEWER and p.task == "timer 2" and p.words[-1] == p.word)
    order = _turn(phrase.text, 2, 10, word_ends=[2 * TICK + (n + 1) * TICK for n in range(len(phrase.words))])
    script = Script(60, np.zeros(60 * TICK, np.float32), [order])
    overhear(random.Random(seed), script, faults)
    script.dues = [Due(19, phrase.word, "timer 2")]
    targets, words = _run(script.turns, dues=script.dues)
    return order, script, targets, words


def test_a_word_of_the_users_is_noted_when_it_was_written_down_and_recalled_when_it_is_due():
    order, script, targets, words = _saying(faults=0.0)
    word = order.phrase.word
    assert word not in SAID and script.told[order.note_tick - 1] == word
    assert np.flatnonzero(targets.note).tolist() == [order.note_tick]
    assert words == {10: "okay", 19: word}
    assert targets.word[10] == USERS_WORD
    assert targets.text[19] == RECALL and targets.due_counts[19] and targets.due_counts.sum() == 1
    tokens = _tokens(targets)
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
    return _turn(f"count to {to}", start, start + 4, word_ends=[(start + n) * TICK for n in (1, 2, 4)], **more)


def _counted(*turns: UserTurn, faults: float = 0.0):
    script = Script(70, np.zeros(70 * TICK, np.float32), list(turns))
    overhear(random.Random(2), script, faults)
    targets, words = _run(script.turns, ticks=70)
    return targets, words, _tokens(targets)


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
    order = _order("timer 9")
    _, words, tokens = _counted(order, _counting("three", 16))
    assert "three" in words.values()
    assert TASKS[tokens[24].task] == "timer 9"


def test_a_count_is_corrected_where_it_goes_wrong():
    assert corrected("one two three five six".split()) == ["", "", "", "four", ""]
    assert corrected("one two two three".split()) == ["", "", "three", ""]


def test_half_an_audio_token_names_the_phone_of_a_tick_ago():
    phones = [(3, 10 * TICK + 1600), (5, 12 * TICK)]
    targets, _ = _run([_turn("what is your name", 10, 12, phones=phones)])
    named = {at: int(p) for at, p in enumerate(targets.phones) if p != PAUSE}
    assert set(named.values()) == {3, 5}
    assert [named[at] for at in (88, 91, 92, 103)] == [3, 3, 5, 5]
    assert min(named) == 88, "all else is a pause, whatever sounds"


def test_half_an_audio_token_of_an_engine_that_names_no_phones_is_not_known():
    targets, _ = _run([_turn("what is your name", 10, 12)])
    assert (targets.phones[88:103] == UNKNOWN).all()
    assert (targets.phones[:80] == PAUSE).all() and (targets.phones[120:] == PAUSE).all()


def test_patience_delays_a_yield_and_leaves_open_what_comes_before():
    """Who can't tell yet whether it is interrupted may wait: both are right."""
    counting = _turn("count to ten", 2, 6)
    told = dataclasses.replace(_turn("we had to laugh", 10, 16, "stories"), phrase=None, patience_ticks=2)
    targets, words = _run([counting, told])
    assert targets.floor[11:14].tolist() == [TAKE, TAKE, YIELD]
    assert not targets.speak_counts[11:13].any()
    assert targets.speak_counts[:11].all() and targets.speak_counts[13:].all()
    assert max(words) < 13
    quiet, _ = _run([told])
    assert quiet.speak_counts.all(), "nobody was interrupted"
    stubborn = dataclasses.replace(told, patience_ticks=11)
    assert _run([counting, stubborn])[0].floor[15:17].tolist() == [TAKE, YIELD], "while it is spoken to"


def test_an_interruption_is_yielded_to_before_it_is_answered_and_never_afterwards():
    """A short one's patience must not end in the middle of the answer: that would be to interrupt oneself."""
    counting = _turn("count to ten", 2, 6)
    for patience in range(6):
        targets, words = _run([counting, _turn("what is your name", 12, 14, patience_ticks=patience)])
        assert np.flatnonzero(targets.floor == YIELD).tolist() == [13]
        assert [words[tick] for tick in range(14, 18)] == ["my", "name", "is", "nano"]
        at_once = _turn("stop", 12, 13, patience_ticks=patience)
        targets, words = _run([counting, dataclasses.replace(at_once, stop=12 * TICK + 2 * TICK // 5)])
        assert not (targets.floor == YIELD).any() and words[max(words)] == "okay", "it is answered at once"
