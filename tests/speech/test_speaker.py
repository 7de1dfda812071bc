"""The voice, tick by tick: bits that depend on nothing but a session's own words, pace, cuts, words' times."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
import pytest

from schemas.records import Manner
from services.interaction.protocol import SayInput
from services.interaction.speech.config import DELAY_FRAMES, TICK_FRAMES
from services.interaction.speech.g2p import SYMBOLS
from services.interaction.speech.line import (
    CLOSING_FRAMES,
    FADE_FRAMES,
    FRAME_MS,
    QUEUE_WORDS,
    QUICK_FRAMES,
    Cut,
    Line,
    _Sentence,
    _Span,
)
from tests.speech.voices import SMALL, phonemisers, samples, say, speaker, ticks

TEXT = "Hello, it is 5:30 in Paris. What would you like, Mr. Smith?"


@pytest.fixture(scope="module")
def voice():
    return speaker()


def test_bits_do_not_depend_on_who_else_speaks(voice):
    scripts = {
        f"s{n}": ticks(text, every=1 + n % 2, cut=cut, session=f"s{n}", manners=list(Manner)[n:])
        for n, (text, cut) in enumerate(
            [(TEXT, None), ("yes", None), ("one two three four five six", 5), ("", None), (TEXT, 9), ("okay", 2)]
        )
    }
    names = [*SMALL.voices, *SMALL.voices]
    alone = [say(voice, items, name) for items, name in zip(scripts.values(), names, strict=True)]
    for session, name in zip(scripts, names, strict=True):
        voice.open(session, name)
    together = [voice.step([items[t] for items in scripts.values()]) for t in range(40)]
    for place, session in enumerate(scripts):
        assert [row[place] for row in together] == alone[place]
        voice.close(session)


def test_it_is_silent_before_words_and_after_them_and_every_word_sounds_once_in_order(voice):
    out = say(voice, ticks(TEXT, length=80))
    assert out[0].left_ms > 0 and not out[0].words  # the first word waits a tick for the second
    assert out[1].words
    assert out[-1].audio is None and out[-1].left_ms == 0
    assert all(o.audio is None or len(o.audio) == 9600 for o in out)
    spans = []
    for tick, output in enumerate(out):
        for word in output.words:
            if word.begin_ms >= 0:
                spans.append([word.text, tick * 200 + word.begin_ms, None])
            if word.end_ms is not None:
                assert spans[-1][0] == word.text
                spans[-1][2] = tick * 200 + word.end_ms
    assert [span[0] for span in spans] == TEXT.split()
    assert all(end > begin for _, begin, end in spans)
    assert all(later[1] >= former[2] for former, later in itertools.pairwise(spans))


def test_a_sign_of_listening_sounds_in_its_own_tick(voice):
    voice.open("sign", "default")
    first = voice.step([SayInput("sign", "right", manner=Manner.BACKCHANNEL)])[0]
    voice.close("sign")
    assert first.audio is not None


def test_left_to_say_is_nothing_only_when_nothing_is(voice):
    out = say(voice, ticks("let me check that for you", length=60))
    last = max(t for t, o in enumerate(out) if o.audio is not None)
    assert all(o.left_ms > 0 for o in out[:last])
    assert all(o.left_ms == 0 for o in out[last + 1 :])


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_ends_within_the_tick_and_forgets_what_waited(voice, cut):
    plain, out = say(voice, ticks(TEXT)), say(voice, ticks(TEXT, cut=cut))
    assert out[:cut] == plain[:cut]
    heard, whole = samples(out[cut : cut + 1]).astype(int), samples(plain[cut : cut + 1]).astype(int)
    assert heard[-1] == 0
    assert abs(heard[0] - whole[0]) <= 1  # no step at the border
    assert all(word.end_ms is not None for word in out[cut].words)
    told = [w.text for o in out[: cut + 1] for w in o.words if w.end_ms is not None and not w.cut]
    assert told == TEXT.split()[: len(told)]
    assert {w.text for o in out[cut + 1 :] for w in o.words}.isdisjoint({w.text for o in out[:cut] for w in o.words})


def cut_line(*words: tuple[int, int, int]) -> Line:
    """A line in its second tick whose words lie so: frames of onset, begin and end after the tick's first sound, each
    one symbol of space and as many of one frame each as it takes."""
    line = Line(phonemisers()["us"])
    first = TICK_FRAMES - DELAY_FRAMES
    line.tick, line.sentence = 1, _Sentence()
    for number, (onset, begin, end) in enumerate(words):
        line.spans.append(_Span(f"w{number}", first + onset, first + begin, first + end))
    drawn = [max(0, end - max(DELAY_FRAMES, begin)) for _, begin, end in words]
    line.sentence.counts.extend([2] * (sum(drawn) // 2 + 8))
    return line


@pytest.mark.parametrize(
    ("words", "cut", "told"),
    [
        ([], Cut(0, QUICK_FRAMES, 0), []),
        ([(0, 4, 20)], Cut(0, QUICK_FRAMES, 0), []),  # nothing begins
        ([(-2, 3, 30)], Cut(0, QUICK_FRAMES, 0), []),  # it is about to, and would not end
        ([(-2, 3, 9), (9, 11, 15)], Cut(5, 9, 9), ["w0"]),  # it is about to, and ends
        ([(-9, -7, 1), (1, 3, 9)], Cut(0, 1, 1), ["w0"]),  # the end of a word
        ([(-9, -7, 10), (10, 12, 15)], Cut(6, 10, 10), ["w0"]),  # more of it
        ([(-9, -7, 30), (30, 32, 40)], Cut(12, 16, 16), ["w0"]),  # its end does not lie in the tick: hurried
        ([(-30, -28, 60)], Cut(12, 16, 16), ["w0"]),  # most of it
        ([(-9, -7, 90)], Cut(0, FADE_FRAMES, FADE_FRAMES), ["w0 cut"]),  # too little of it
    ],
)
def test_a_cut_lets_a_word_end_that_can_and_begins_none(words, cut, told):
    line = cut_line(*words)
    assert line.break_off() == cut
    line.deal()
    assert [w.text + " cut" * w.cut for w in line.end_tick(cut=True)] == told
    assert line.idle


def test_a_hurried_word_keeps_every_symbol_and_ends_in_the_tick():
    line = cut_line((-9, -7, 32))
    line.sentence.counts, line.sentence.used = deque([9, 4, 1, 6, 12, 1, 2, 5]), 4
    line.break_off()
    hurried = list(line.sentence.counts)
    assert len(hurried) == 6 and hurried[0] > 4 and min(hurried) >= 1
    assert sum(hurried) - 4 == TICK_FRAMES - DELAY_FRAMES


def test_after_a_cut_it_begins_anew_with_the_words_of_that_tick(voice):
    quiet = [SayInput("s")] * 12
    out = say(voice, [*ticks(TEXT, length=6), SayInput("s", " okay", cut=True), *quiet])
    assert out[7:] == say(voice, [SayInput("s", " okay", cut=True), *quiet])[1:]
    out = say(voice, [*ticks(TEXT, length=6), SayInput("s", " never mind", cut=True), *quiet])
    assert [w.text for o in out[7:] for w in o.words if w.end_ms is not None] == ["never", "mind"]
    again = say(voice, [SayInput("s", " never mind", cut=True), *quiet])
    assert out[7:] == again[1:]


@pytest.mark.parametrize("dies_at", [1, 3, 6, 11, 18])
def test_who_says_again_what_was_said_since_silence_goes_on_with_the_same_bytes(voice, dies_at):
    items = ticks(TEXT, length=30, manners=list(Manner))
    whole = say(voice, items, "bert")
    other = speaker()
    other.open("s", "bert")
    for item in items[:dies_at]:
        other.step([item])
    assert [other.step([item])[0] for item in items[dies_at:]] == whole[dies_at:]


def test_state_is_gone_with_the_last_sound_so_the_same_words_sound_the_same_again(voice):
    items = ticks("good morning", length=20)
    out = say(voice, items + items)
    assert out[:20] == out[20:]


def test_no_step_at_tick_borders_above_what_lies_between_them(voice):
    values = samples(say(voice, ticks(TEXT, length=60))).astype(float)
    steps = np.abs(np.diff(values))
    borders = steps[4799::4800]
    inside = np.delete(steps, slice(4799, None, 4800))
    audible = np.percentile(inside[inside > 0], 99.9)
    assert borders.max() <= audible


def test_the_queue_is_bounded_and_says_what_it_refused(voice):
    voice.open("s", "default")
    assert voice.step([SayInput("s", " word" * (QUEUE_WORDS + 5))])[0].refused == 5
    voice.close("s")


def test_voices_differ_and_unknown_ones_are_refused_by_name(voice):
    items = ticks("good morning", length=12)
    sounds = {samples(say(voice, items, name)).tobytes() for name in SMALL.voices}
    assert len(sounds) == 3
    assert samples(say(voice, items)).tobytes() == samples(say(voice, items, "anna")).tobytes()
    with pytest.raises(ValueError, match="voice 'zoe': there are anna, bert, carla"):
        voice.open("s", "zoe")


def test_each_manner_sounds_different_and_only_from_its_words_on(voice):
    sounds = [samples(say(voice, ticks("well good morning then", length=30, manners=[m]))) for m in Manner]
    assert len({sound.tobytes() for sound in sounds}) == len(Manner)
    mixed = [Manner.STATEMENT] * 8 + [Manner.WARNING] * 52
    text = "we are now at the very last words"
    plain, turned = (say(voice, ticks(text, every=4, length=60, manners=m)) for m in (mixed[:1], mixed))
    assert turned[:8] == plain[:8]
    assert turned[9:] != plain[9:]
    assert [w.text for o in turned for w in o.words if w.end_ms is not None] == text.split()


def lines_ticks(line, words, manner, last_sound=2):
    """Words tick by tick, then silence: the symbols that were encoded (of each piece), and when words ended, in ms.

    A symbol takes two frames, a piece's last one ``last_sound`` of them."""
    pieces, ended = [], {}
    for tick in itertools.count():
        line.hear(words[tick] if tick < len(words) else "", manner)
        while (piece := line.wants()) is not None:
            pieces.append(piece)
            line.give(piece, [2] * (len(piece.following) - 1) + [last_sound if piece.word else 2])
        line.deal()
        ended |= {w.text: tick * 200 + w.end_ms for w in line.end_tick() if w.end_ms is not None}
        line.report()
        if line.idle and tick >= len(words):
            return ["".join(SYMBOLS[i] for i in p.following[:, 0]) for p in pieces], ended


def test_a_question_whose_end_nobody_wrote_ends_with_its_mark():
    line = Line(phonemisers()["us"])
    symbols, _ = lines_ticks(line, ["is it late"], Manner.QUESTION)
    assert symbols[-1] == "?$"


def test_a_last_sound_is_drawn_out_only_until_the_next_word_comes():
    drawn, closing = 40, CLOSING_FRAMES * FRAME_MS
    together, ended = lines_ticks(Line(phonemisers()["us"]), ["check", "", " that"], Manner.STATEMENT, drawn)
    assert together == ["^", "ʧˈɛk", " ðæt", ".$"]  # one sentence
    alone, alone_ended = lines_ticks(Line(phonemisers()["us"]), ["check"], Manner.STATEMENT, drawn)
    assert alone == ["^", "ʧˈɛk", ".$"]
    gained = alone_ended["check"] - ended["check"]
    assert 200 < gained <= drawn * FRAME_MS - closing + 1  # what had been drawn out by then has been


def test_the_first_sound_begins_to_form_while_the_first_word_waits_for_the_second():
    line = Line(phonemisers()["us"])
    line.hear("let")
    begin = line.wants()
    assert begin.first and "".join(SYMBOLS[i] for i in begin.following[0]) == "^lˈɛt##"
    line.give(begin, [6])
    assert line.wants() is None
    assert (frames := line.deal()).begin == TICK_FRAMES - 6 and frames.spoken == TICK_FRAMES
    assert line.end_tick() == []
    line.hear(" me")
    word = line.wants()
    assert word.word == "let" and "".join(SYMBOLS[i] for i in word.following[-1]) == "t mˌi##"
    line.give(word, [2] * len(word.following))
    assert line.spans[0].begin == TICK_FRAMES
    line.deal()
    assert line.end_tick()[0].begin_ms == round(DELAY_FRAMES * FRAME_MS)


def test_a_pause_that_a_mark_asks_for_is_kept():
    line = Line(phonemisers()["us"])
    lines_ticks(line, ["no,", "", " thanks"], Manner.STATEMENT, 20)
    symbols, ended = lines_ticks(line, ["no,", "", " thanks"], Manner.STATEMENT, 20)
    _, alone = lines_ticks(line, ["no,"], Manner.STATEMENT, 20)
    assert symbols[1].endswith(",") and ended["no,"] == alone["no,"]


def test_a_list_that_comes_every_other_tick_is_one_sentence_with_pauses():
    line = Line(phonemisers()["us"])
    symbols, ended = lines_ticks(line, ["one", "", " two", "", " three"], Manner.LIST)
    assert symbols == ["^", "wˈʌn,", " tˈu,", " θɹˈi,", ".$"]
    assert list(ended) == ["one", "two", "three"]
    apart = [later - former for former, later in itertools.pairwise(ended.values())]
    assert all(100 < ms < 450 for ms in apart)  # as they were written, but that the first waits for the second
    words, _ = lines_ticks(line, ["one", "", " two"], Manner.STATEMENT)
    assert words == ["^", "wˈʌn", ".$", "^", "tˈu", ".$"]  # what is no list has ended by then


def test_what_cannot_be_spoken_is_passed_over(voice):
    out = say(voice, ticks("\U0001f600 * — yes", length=20))
    assert [w.text for o in out for w in o.words if w.end_ms is not None][-1] == "yes"
    assert out[-1].left_ms == 0


def test_words_begin_with_their_sound_not_with_their_symbols(voice):
    out = say(voice, ticks("hello", length=10))
    first = next(word for o in out for word in o.words)
    assert first.begin_ms >= DELAY_FRAMES * 12.5
