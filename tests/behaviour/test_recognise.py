"""Whisper base on speech whose words and times are known. Needs flite and the extra ``eval``."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from infra.eval.heard import Stretch
from infra.eval.meaning import plain
from infra.eval.recognise import LONGEST_MS, Recogniser, Voice, grouped, islands, load, pieces

RATE_HZ = 24_000


def test_a_word_begins_at_its_first_piece() -> None:
    """Frames of 20 ms; the second word is made of two pieces; the last ends where the transcript does."""
    words = grouped(["ĠIt", "Ġis", "n", "Ġgreen", "."], {0: 0, 1: 10, 2: 15, 3: 30, 4: 45, 5: 50}, 1200.0)
    assert [(w.text, w.start_ms, w.end_ms) for w in words] == [
        ("It", 0.0, 200.0),
        ("isn", 200.0, 600.0),
        ("green.", 600.0, 1000.0),
    ]


def test_long_speech_is_cut_at_its_longest_late_breath() -> None:
    stretches = [Stretch(0, 4000), Stretch(4400, 7000), Stretch(7100, 9000), Stretch(9300, 20_000)]
    assert pieces(stretches) == [Stretch(0, 9150), Stretch(9150, 20_000)]
    assert pieces([Stretch(0, 30_000)]) == [Stretch(0, LONGEST_MS), Stretch(13_000, 26_000), Stretch(26_000, 30_000)]
    assert pieces([Stretch(0, 1000), Stretch(2000, 3000)]) == [Stretch(0, 1000), Stretch(2000, 3000)]


def test_sound_is_cut_at_its_own_begin() -> None:
    """0.5 s of silence inside belong to it, more do not; so the same sound is the same wherever it lies."""
    sound = np.zeros(4 * RATE_HZ, np.int16)
    sound[1001:1500] = sound[13_000:20_000] = sound[50_000:60_001] = 7
    assert islands(sound, RATE_HZ) == [(1001, 20_000), (50_000, 60_001)]
    assert islands(np.zeros(100, np.int16), RATE_HZ) == []


@pytest.fixture(scope="module")
def voice() -> Voice:
    return load()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Three phrases a second apart, and where each lies."""
    from infra.eval.agents.speech import synthesise

    folder = tmp_path_factory.mktemp("speech")
    sound, places = [np.zeros(RATE_HZ, np.int16)], []
    for text in ("one two three four five", "the ball is red", "let me look that up for you"):
        begin_ms = sum(map(len, sound)) * 1000 / RATE_HZ
        speech = synthesise(text, folder)
        sound += [speech.pcm, np.zeros(RATE_HZ, np.int16)]
        places.append((text, begin_ms, begin_ms + speech.duration_ms))
    return np.concatenate(sound), places


def test_words_and_times_are_found(
    voice: Voice, spoken: tuple[np.ndarray, list[tuple[str, float, float]]], tmp_path: Path
) -> None:
    assert voice.name == "Whisper base"
    pcm, places = spoken
    words = Recogniser(tmp_path, lambda: voice).words(pcm, RATE_HZ)
    for text, begin_ms, end_ms in places:
        inside = [w for w in words if begin_ms - 50 <= w.start_ms <= end_ms]
        assert plain(" ".join(w.text for w in inside)) == plain(text)
        assert abs(inside[0].start_ms - begin_ms) < 200
        assert all(a.start_ms <= b.start_ms for a, b in pairwise(inside))


def test_silence_has_no_words_and_needs_no_model(tmp_path: Path) -> None:
    def never() -> Voice:
        raise AssertionError("loaded")

    assert Recogniser(tmp_path, never).words(np.zeros(RATE_HZ * 2, np.int16), RATE_HZ) == []


def test_what_was_recognised_is_kept(
    voice: Voice, spoken: tuple[np.ndarray, list[tuple[str, float, float]]], tmp_path: Path
) -> None:
    pcm, _ = spoken
    first = Recogniser(tmp_path, lambda: voice).words(pcm, RATE_HZ)
    deaf = Recogniser(tmp_path, lambda: Voice(voice.name, None, voice.prompt, voice.begin_ids, voice.digits))
    assert deaf.words(pcm, RATE_HZ) == first
    later = deaf.words(np.concatenate([np.zeros(333, np.int16), pcm]), RATE_HZ)  # the same words elsewhere
    assert [w.text for w in later] == [w.text for w in first]
    assert later[0].start_ms == pytest.approx(first[0].start_ms + 333 * 1000 / RATE_HZ, abs=0.2)
