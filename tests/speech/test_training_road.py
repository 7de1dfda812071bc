"""``make train STAGE=speech ARGS=--tiny``: takes, three networks, export, loading, a word spoken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import load_file

from services.interaction.speech.speaker import Speaker
from tests.speech.voices import samples, say, ticks
from training.speech.data import LEVEL, level, read
from training.speech.head import horizons
from training.speech.teacher import VOICES
from training.speech.tiny import STEPS, tiny_run
from training.voices import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech")
    tiny_run(path)
    return path


def test_the_road_ends_in_a_voice_that_can_be_loaded_and_speaks(folder):
    names = {p.name for p in (folder / "model").iterdir()}
    assert names == {"speech.safetensors", "config.json", "lexicon.tsv.xz"}
    out = say(Speaker.load(folder / "model"), ticks("hello how can i help", length=60))
    assert [w.text for o in out for w in o.words if w.end_ms is not None] == "hello how can i help".split()
    assert np.abs(samples(out)).max() > 0
    assert int(load_file(folder / "head.safetensors")["step"]) == STEPS


def test_weights_of_another_version_are_refused(folder, tmp_path):
    for path in (folder / "model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"version": "0123456789ab"}))
    with pytest.raises(ValueError, match="names 0123456789ab"):
        Speaker.load(tmp_path)


def test_it_goes_on_from_what_is_there(folder):
    before = load_file(folder / "head.safetensors")
    tiny_run(folder)
    after = load_file(folder / "head.safetensors")
    assert all((before[name] == after[name]).all() for name in before)


def test_examples_are_whole_and_of_equal_level(folder):
    examples = read(folder / "shards")
    for one in examples:
        assert one.durations.sum() == len(one.features) == len(one.audio) // 300
        assert len(one.durations) == len(one.symbols)
        assert level(one.audio) == pytest.approx(LEVEL, rel=0.02)
    assert {one.voice for one in examples} == set(VOICES)


def test_the_teacher_never_lends_a_held_out_voice():
    assert not {v.voice for v in load() if v.held_out} & set(VOICES)


def test_horizons_hide_whole_words_never_parts():
    symbols = "^hˈW ˈɑɹ ju?$"  # words begin at 0, 4, 8; the end at 11
    rng = np.random.default_rng(0)
    seen = {tuple(horizons(symbols, rng)) for _ in range(400)}
    assert len(seen) > 10
    for row in seen:
        assert len({row[i] for i in range(4)}) == len({row[i] for i in range(4, 8)}) == 1
        assert row[0] in (4, 8, 13) and row[4] in (8, 11, 13) and row[11] == 13
