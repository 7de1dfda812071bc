"""When something counts as heard: by a voice's sound, or by the moment a client can show a written word."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.eval.heard import Stretch, from_audio, from_text, loud_stretches, merge, nominal
from infra.eval.recording import HeardWord, TickLog
from tests.behaviour import rig

RATE_HZ = 24_000


def tone(spans_ms: list[tuple[int, int]], length_ms: int, level: float = 0.1) -> np.ndarray:
    out = np.zeros(length_ms * RATE_HZ // 1000)
    for start, end in spans_ms:
        part = slice(start * RATE_HZ // 1000, end * RATE_HZ // 1000)
        out[part] = level * np.sqrt(2) * np.sin(np.arange(len(out[part])) * 0.1)
    return (out * 32767).astype(np.int16)


def spans(stretches: list[Stretch]) -> list[tuple[float, float]]:
    return [(s.start_ms, s.end_ms) for s in stretches]


def test_sound_is_found_to_20_ms() -> None:
    assert spans(loud_stretches(tone([(500, 900), (1500, 1600)], 2000), RATE_HZ)) == [(500, 900), (1500, 1600)]


def test_breaths_up_to_100_ms_are_no_gaps() -> None:
    assert spans(loud_stretches(tone([(500, 900), (1000, 1600)], 2000), RATE_HZ)) == [(500, 1600)]
    assert spans(loud_stretches(tone([(500, 900), (1020, 1600)], 2000), RATE_HZ)) == [(500, 900), (1020, 1600)]


def test_what_is_below_minus_50_dbfs_is_silence() -> None:
    assert loud_stretches(tone([(500, 900)], 1000, level=10 ** (-52 / 20)), RATE_HZ) == []
    assert loud_stretches(tone([(500, 900)], 1000, level=10 ** (-48 / 20)), RATE_HZ) != []
    assert loud_stretches(np.zeros(0, np.int16), RATE_HZ) == []


def test_written_words_count_from_when_they_can_be_shown() -> None:
    """Tick 3 is due at 800 and came at 1000; the one after it was there in time, but can't be shown before."""
    made = rig.recording({3: "late", 4: "next"}, 6, late_ms={3: 400})
    assert [(w.text, w.start_ms) for w in from_text(made).words] == [("late", 1200.0), ("next", 1200.0)]
    assert spans(list(nominal(made).segments)) == [(800.0, 1200.0)]


def test_where_a_player_says_when_it_began_that_counts() -> None:
    made = rig.recording({3: "word"}, 6)
    played = replace(made, ticks=[replace(t, played_ms=200.0 * (t.tick + 1) + 20) for t in made.ticks])
    assert from_text(played).words[0].start_ms == 820.0
    assert from_text(replace(played, start_offset_ms=50.0)).words[0].start_ms == 770.0


def test_several_words_of_a_tick_share_its_time() -> None:
    made = rig.recording({3: "four words a tick"}, 6)
    assert [w.start_ms for w in from_text(made).words] == [800.0, 850.0, 900.0, 950.0]


def test_a_voice_is_judged_by_its_sound() -> None:
    made = rig.recording({3: "written"}, 6)
    made = replace(made, heard=[HeardWord(text="heard", start_ms=900.0, end_ms=1100.0)], start_offset_ms=100.0)
    speech = from_audio(made, [Stretch(900.0, 1100.0)])
    assert [(w.text, w.start_ms) for w in speech.words] == [("heard", 800.0)]
    assert spans(list(speech.segments)) == [(800.0, 1000.0)]
    with pytest.raises(ValueError, match="recognised"):
        from_audio(replace(made, heard=None), [])


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3)), max_size=20), st.floats(0, 600))
def test_merging_keeps_what_was_covered(drawn: list[tuple[float, float]], gap_ms: float) -> None:
    stretches = [Stretch(start, start + length) for start, length in drawn]
    merged = merge(stretches, gap_ms)
    assert merge(merged, gap_ms) == merged
    assert all(b.start_ms - a.end_ms > gap_ms for a, b in pairwise(merged))
    assert all(any(m.start_ms <= s.start_ms and s.end_ms <= m.end_ms for m in merged) for s in stretches)


def test_ticks_in_any_order_are_the_same_speech() -> None:
    made = rig.recording({3: "a", 4: "b", 9: "c"}, 12)
    assert from_text(replace(made, ticks=list[TickLog](reversed(made.ticks)))) == from_text(made)
