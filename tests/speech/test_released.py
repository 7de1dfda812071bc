"""The released voice: it loads, its voices speak the same words at one level, its card tells of its weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from services.interaction.speech.speaker import Speaker
from tests.speech.voices import CLICK, lone_step, samples, say, ticks
from training.speech.delivery import TEXTS, by_manner
from training.speech.saying import say as say_text

RELEASED = Path("models/speech")
pytestmark = pytest.mark.model


def dbfs(values: np.ndarray) -> float:
    """Level of what is within 26 dB of the loudest 12.5 ms."""
    rms = np.sqrt(np.mean((values / 32767.0).reshape(-1, 300) ** 2, axis=1))
    return float(20 * np.log10(np.sqrt(np.mean(rms[rms > 0.05 * rms.max()] ** 2))))


@pytest.fixture(scope="module")
def voice():
    return Speaker.load(RELEASED)


def test_every_voice_says_every_word_at_one_level(voice):
    assert len(voice.voices) >= 4
    text = "Hello, it is half past 9 and I can hear you."
    levels = []
    for name in voice.voices:
        out = say(voice, ticks(text, length=60), name)
        assert [w.text for o in out for w in o.words if w.end_ms is not None] == text.split()
        values = samples(out).astype(float)
        assert np.abs(values).max() < 32_000
        seconds = np.count_nonzero(np.abs(values) > 300) / 24_000
        assert 1.0 < seconds < 6.0
        levels.append(dbfs(values))
    assert max(levels) - min(levels) < 3.0
    assert min(levels) > -27.0 and max(levels) < -19.0


def test_no_cut_clicks(voice):
    """Wherever it is cut: the tick before, the one that is cut, silence. A vowel cut off without a fade does."""
    text = "Hello, it is 5:30 in Paris. What would you like, Mr. Smith?"
    cut_off = []
    for name in voice.voices:
        plain = say(voice, ticks(text), name)
        for cut in range(1, 18):
            out = say(voice, ticks(text, cut=cut), name)
            heard = np.concatenate([samples(out[cut - 1 : cut]), samples(out[cut : cut + 1]), np.zeros(48, np.int16)])
            assert lone_step(heard) < CLICK, (name, cut)
            abrupt = samples(plain[cut : cut + 1]).astype(int)
            if np.abs(abrupt).max(initial=0) > 3000:
                abrupt[np.abs(abrupt).argmax() + 1 :] = 0
                cut_off.append(lone_step(np.append(abrupt, 0)) > CLICK)
    assert np.mean(cut_off) > 0.5


def test_card_and_figures_are_of_these_weights(voice):
    evaluation = json.loads((RELEASED / "evaluation.json").read_text())
    assert evaluation["model"] == voice.name
    assert voice.config.version in (RELEASED / "MODEL_CARD.md").read_text()


def test_manners_differ_as_they_are_meant_to(voice):
    made = by_manner(lambda text, name, manner: say_text(voice, text, name, manner=manner), voice.voices, TEXTS[:3])
    plain = made["statement"]
    assert made["question"]["end_semitones"] > plain["end_semitones"] + 3.0
    assert made["list"]["end_semitones"] > plain["end_semitones"] + 2.0
    assert made["list"]["seconds"] > 1.05 * plain["seconds"]
    assert made["question"]["f0_hz"] > 1.03 * made["list"]["f0_hz"]
    assert made["correction"]["range_semitones"] > plain["range_semitones"] + 0.5
    assert made["correction"]["seconds"] > 1.05 * plain["seconds"]
    assert made["warning"]["above_statement_semitones"] > 1.5
    assert made["warning"]["seconds"] < 0.95 * plain["seconds"]
    assert made["warning"]["level_dbfs"] > plain["level_dbfs"] + 2.0
    assert made["backchannel"]["above_statement_semitones"] < -1.0
    assert made["backchannel"]["range_semitones"] < 0.8 * plain["range_semitones"]
    assert made["backchannel"]["level_dbfs"] < plain["level_dbfs"] - 3.0


def test_silence_stays_silent_and_sounds_end_quietly(voice):
    out = say(voice, ticks("good night", length=30))
    last = max(t for t, o in enumerate(out) if o.audio is not None)
    tail = samples(out[last : last + 1])[-600:]
    assert np.abs(tail).max() < 330  # -40 dBFS
