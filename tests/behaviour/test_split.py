"""What is evaluated with was never trained on: no voice, no phrasing, no picture."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from infra.eval import video
from infra.eval.generate.__main__ import FOLDER, SUITES
from infra.eval.scenario import load_suite
from services.encoder.video import decode
from training import phrases, voices
from training.shapes import SHAPE_COLOURS, picture
from training.sight import KINDS, draw_show

EVALUATION = voices.evaluation()
SCENARIOS = [scenario for name in SUITES for scenario in load_suite(FOLDER / f"{name}.json").scenarios]


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def test_the_split_file_names_what_the_scenarios_use() -> None:
    clips = [clip for scenario in SCENARIOS for clip in scenario.clips]
    assert {c.voice for c in clips if not c.voice.startswith("noise:")} == set(EVALUATION.voices)
    assert {c.take or c.text for c in clips if c.text and not c.voice.startswith("noise:")} == set(EVALUATION.phrasings)
    shown = {event.kind for scenario in SCENARIOS for event in scenario.video}
    assert shown == {name.split()[0] for name in EVALUATION.videos}


def test_no_training_voice_is_heard() -> None:
    trained = {(v.engine, v.voice) for v in voices.load() if not v.held_out}
    assert not trained & {(voices.Voice(v, True).engine, voices.Voice(v, True).voice) for v in EVALUATION.voices}


def test_no_phrasing_of_training_or_of_its_held_out_half_is_said() -> None:
    known = {plain(text) for text in phrases.BY_TEXT} | {plain(text) for text in phrases.BACKCHANNELS}
    known |= {plain(text) for text in phrases.KIND_OF_FREE}
    said = {plain(text) for text in EVALUATION.phrasings}
    assert not known & said
    pieces = {plain(c.text) for s in SCENARIOS for c in s.clips if c.take}
    assert not known & pieces, "half a turn is no phrase of training's either"


def test_no_picture_of_the_scenarios_is_drawn_in_training() -> None:
    """Colours are ordinary words that both know; the drawings differ. As the encoder sees them, the nearest picture of
    training is far from each of the scenarios', and much further than their own neighbours in time are."""
    rng = random.Random(0)
    drawn = [
        picture_
        for number in range(60)
        for _, picture_ in draw_show(rng, 60, KINDS[number % len(KINDS)], 5).pictures(rng)[:: 15]
    ]
    drawn += [picture(rng, colour, (40, 60, 25, number % 2)) for number, colour in enumerate(SHAPE_COLOURS)]
    trained = np.stack(drawn).astype(np.float32)
    for scenario in [s for s in SCENARIOS if s.video][::6]:
        jpegs = [jpeg for _, jpeg in video.pictures(scenario)]
        seen, then = (decode(jpegs[place]).astype(np.float32) for place in (len(jpegs) // 2, len(jpegs) // 2 + 1))
        nearest = np.abs(trained - seen).mean(axis=(1, 2, 3)).min()
        assert nearest > 10, f"{scenario.id} is nearly a picture of training"
        assert nearest > 3 * np.abs(then - seen).mean()


def test_training_refuses_what_is_evaluated_with(monkeypatch: pytest.MonkeyPatch) -> None:
    phrases.check_split(phrases.PHRASES)
    said = EVALUATION.phrasings[0]
    spoiled = phrases.Phrase(said.upper() + "!", "greet", ("hi",), held_out=False)
    with pytest.raises(ValueError, match="is evaluated with"):
        phrases.check_split((*phrases.PHRASES, spoiled))
    with pytest.raises(ValueError, match="is evaluated with"):
        voices.check_split([voices.Voice("kokoro:af_bella:150", False)])
