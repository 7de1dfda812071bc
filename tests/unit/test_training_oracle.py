"""The oracle's rules, on hand-made scripts: when to speak, hold, yield, delegate, weave and drop."""

from __future__ import annotations

import numpy as np

from services.interaction.nano.config import COPY, NONE
from services.interaction.protocol import Voice
from training.data import vocabularies
from training.mouth import Mouth, word_ms
from training.oracle import CANCEL, DELEGATE, DROP, ENDED, SPEAKING, TAKE, YIELD, Oracle, fed_back
from training.phrases import BY_TEXT
from training.scenes import TICK, Script, UserTurn

SAID, HEARD = vocabularies()
SAID_IDS = {word: n for n, word in enumerate(SAID)}
HEARD_IDS = {word: n for n, word in enumerate(HEARD) if n}


def _turn(text: str, start: int, stop: int, kind: str = "plain", **more) -> UserTurn:
    phrase = None if kind == "backchannel" else BY_TEXT[text]
    pieces = more.pop("pieces", [(start * TICK, stop * TICK)])
    return UserTurn(kind, text, phrase, start * TICK, stop * TICK, pieces, more.pop("word_ends", None), **more)


def _run(turns: list[UserTurn], results=(), ticks: int = 60, mouth: Mouth | None = None):
    audio = np.zeros(ticks * TICK, np.float32)
    script = Script(ticks, audio, turns, results=list(results), mouth=mouth or Mouth())
    targets = Oracle(script, SAID_IDS, HEARD_IDS).run()
    words = {t: SAID[w] for t, w in enumerate(targets.text) if w != NONE}
    return targets, words


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
    fed = fed_back(targets, max_since=15)
    assert (fed[1:, 2] == targets.text[:-1]).all()
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
