"""The committed scenarios: well-formed, enough of them, and what the generator makes of the committed speech."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import jsonschema
import msgspec
import numpy as np
import pytest

from infra.eval import runner
from infra.eval.clips import Clips, SpeechMissing, digest
from infra.eval.generate.__main__ import (
    FOLDER,
    SCHEMA,
    SUITES,
    Studio,
    generate,
    schema_file,
    split_section,
    suite_file,
)
from infra.eval.render import render
from infra.eval.scenario import BadScenario, Role, Scenario, Suite, Want, load_suite
from infra.eval.scripted_llm import Script
from training.voices import SPLIT_PATH

SUITE_FILES = {name: load_suite(FOLDER / f"{name}.json") for name in SUITES}
EVERYTHING = [scenario for suite in SUITE_FILES.values() for scenario in suite.scenarios]
BY_ID = {scenario.id: scenario for scenario in EVERYTHING}


@pytest.fixture(scope="module")
def speech() -> Clips:
    return Clips()


def test_the_committed_files_are_what_the_generator_makes(speech: Clips) -> None:
    made = generate(Studio(speech, speak=False))
    for suite in made:
        current = (FOLDER / f"{suite.name}.json").read_bytes()
        assert suite_file(suite) == current, f"{suite.name}: run python -m infra.eval.generate"
    assert json.loads(SPLIT_PATH.read_text())["evaluation"] == split_section(made)
    used = {(clip.voice, clip.take or clip.text) for s in EVERYTHING for clip in s.clips if clip.text}
    assert set(speech.names) == used, "no take is there for nothing"


def test_every_clip_is_the_one_that_the_scenario_was_made_with(speech: Clips) -> None:
    for scenario in EVERYTHING:
        for clip in scenario.clips:
            if clip.text:
                assert digest(speech.clip(clip)) == clip.sha256
                assert len(speech.clip(clip)) == clip.end_sample - clip.start_sample


def test_without_its_speech_nothing_is_made_up(tmp_path) -> None:
    with pytest.raises(SpeechMissing, match=r"takes\.json"):
        Clips(tmp_path)
    with pytest.raises(SpeechMissing, match="no committed speech"):
        generate(Studio(None, speak=False))


def test_every_row_has_forty_scenarios() -> None:
    rows = Counter(row for scenario in EVERYTHING for row in scenario.rows)
    assert all(rows[row] >= 40 for row in range(1, 11)), rows
    assert len(BY_ID) == len(EVERYTHING)


@pytest.mark.parametrize("suite", SUITES)
def test_a_quick_look_sees_many_templates(suite: str) -> None:
    """``N=10`` takes the first ten: they are of many kinds."""
    scenarios = SUITE_FILES[suite].scenarios
    kinds = {s.template for s in scenarios}
    seen = {s.template for s in scenarios[:10]}
    assert len(seen) >= min(len(kinds), 6)
    assert [s.id for s in runner.choose([suite], 10)] == [s.id for s in scenarios[:10]]


@pytest.mark.parametrize("suite", SUITES)
def test_every_scenario_makes_sense(suite: str) -> None:
    for scenario in SUITE_FILES[suite].scenarios:
        check(scenario)


def check(scenario: Scenario) -> None:
    length = scenario.duration_ms * 16
    assert scenario.duration_ms % 200 == 0 and 4_000 <= scenario.duration_ms <= 24_000
    ids = [clip.id for clip in scenario.clips]
    assert len(set(ids)) == len(ids)
    assert scenario.expect, "nothing is expected"
    for clip in scenario.clips:
        assert 0 <= clip.start_sample < clip.end_sample
        assert clip.end_sample <= length or clip.role is Role.NOISE
    for wanted in scenario.expect:
        assert 0 <= wanted.from_ms < wanted.to_ms <= scenario.duration_ms
        assert not wanted.clip or scenario.clip(wanted.clip)
        if wanted.want in (Want.SAY, Want.WEAVE, Want.RESPOND, Want.DROP):
            assert wanted.meanings
    for event in scenario.video:
        assert 0 <= event.start_ms < event.end_ms <= scenario.duration_ms
    assert set(scenario.results) == set(scenario.delays_ms)


def test_only_one_voice_at_a_time_speaks_to_the_model() -> None:
    speaks = {Role.TURN, Role.CONTINUATION, Role.INTERRUPTION, Role.BACKCHANNEL, Role.ASIDE, Role.TIC}
    for scenario in EVERYTHING:
        clips = [clip for clip in scenario.clips if clip.role in speaks]
        assert all(a.end_sample <= b.start_sample for a, b in pairwise(clips)), scenario.id
        assert len({c.voice for c in clips if not c.voice.startswith("noise:")}) == 1, scenario.id


def test_pauses_are_as_long_as_they_are_said_to_be() -> None:
    pauses = [
        (after.start_sample - before.end_sample) / 16
        for scenario in SUITE_FILES["turn-taking"].scenarios
        for before, after in pairwise(clip for clip in scenario.clips if clip.role is not Role.NOISE)
        if after.role is Role.CONTINUATION
    ]
    assert len(pauses) >= 40 and min(pauses) < 600 and max(pauses) > 1900
    assert all(440 <= pause <= 2060 for pause in pauses)


def test_a_cue_comes_while_the_user_speaks_on() -> None:
    for scenario in SUITE_FILES["cue-speak"].scenarios:
        (wanted,) = scenario.expect
        clip = scenario.clip(wanted.clip)
        assert wanted.simultaneous
        assert clip.start_sample / 16 < wanted.from_ms and wanted.to_ms < clip.end_sample / 16
        assert wanted.from_ms in {round(word.end_sample / 16) for word in clip.words}


def test_counts_go_up_by_one_at_each_mark() -> None:
    counted = [s for s in SUITE_FILES["visual"].scenarios if s.template == "count"]
    for scenario in counted:
        (event,) = scenario.video
        assert [e.number for e in scenario.expect] == list(range(1, len(event.marks_ms) + 1))
        assert [e.from_ms for e in scenario.expect] == event.marks_ms
        assert np.diff(event.marks_ms).min() == np.diff(event.marks_ms).max() == event.params["period_ms"]


def test_one_script_answers_all_suites_and_every_question_names_one_key() -> None:
    script = Script(EVERYTHING)
    for scenario in EVERYTHING:
        for key, text in scenario.results.items():
            asked = [c for c in scenario.clips if f" {key} " in f" {c.text} " and c.role is not Role.NOISE]
            assert asked, (scenario.id, key)
            assert all(script.answer(clip.take or clip.text).text == text for clip in asked)


@pytest.mark.parametrize("suite", SUITES)
def test_it_can_be_rendered(suite: str, speech: Clips) -> None:
    scenario = SUITE_FILES[suite].scenarios[0]
    rendered = render(scenario, speech)
    assert len(rendered.pcm) == scenario.duration_ms * 16
    assert bool(rendered.pictures) == bool(scenario.video)
    first = next(clip for clip in scenario.clips if clip.role is Role.TURN)
    level = np.sqrt(np.mean(rendered.pcm[first.start_sample : first.end_sample].astype(float) ** 2))
    assert 20 * np.log10(level / 32768) == pytest.approx(-26 + first.gain_db, abs=6)
    assert np.abs(rendered.pcm.astype(int)).max() < 32767, "nothing is clipped"


def test_the_files_follow_their_published_schema() -> None:
    assert schema_file() == SCHEMA.read_bytes(), "run python -m infra.eval.generate"
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    for name in SUITES:
        validator.validate(json.loads((FOLDER / f"{name}.json").read_bytes()))


def test_what_is_no_suite_is_named(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": "a", "scenarios": [{"id": 3}]}')
    with pytest.raises(BadScenario, match=r"a\.json: .*\$\.scenarios\[0\]"):
        load_suite(path)
    path.write_bytes(msgspec.json.encode(Suite(v=9, name="a", scenarios=[])))
    with pytest.raises(BadScenario, match="schema version 9"):
        load_suite(path)
    with pytest.raises(runner.NoSuchSuite, match="no suite 'dance'; there are backchannel"):
        runner.choose(["dance"], 0)
