"""Every scorer against cases computed by hand; ``why`` in the goldens writes the computation out."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.eval.metrics import METRICS, How
from infra.eval.recording import Recording
from infra.eval.scenario import Scenario
from infra.eval.scorers import score
from infra.eval.scorers.visual import pauc
from infra.eval.take import Observation
from tests.behaviour import rig

GOLDENS = sorted((Path(__file__).parent / "goldens").glob("*.json"))
CASES = [case for path in GOLDENS for case in json.loads(path.read_text())]


def by_metric(observations: list[Observation]) -> dict[str, list[Observation]]:
    found: dict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        found[observation.metric].append(observation)
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_golden(case: dict[str, Any]) -> None:
    found = by_metric(score(rig.golden(case)))
    for metric, values in case["observed"].items():
        assert [o.value for o in found[metric]] == pytest.approx(values, abs=1e-4), (metric, case["why"])
    for metric, weights in case.get("weights", {}).items():
        assert [o.weight for o in found[metric]] == pytest.approx(weights), (metric, case["why"])


def test_the_report_has_a_place_for_all_that_is_observed() -> None:
    known = {metric.observed for metric in METRICS if metric.how != How.WEAKEST}
    seen = {observation.metric for case in CASES for observation in score(rig.golden(case))}
    assert seen <= known
    assert known - seen == {"underruns_per_min"}  # below: it needs a voice


def test_underruns_are_counted_by_the_minute_of_speech() -> None:
    """Two holes in 3 s of sound: 40 a minute, as 2 of weight 0.05; a model without a voice has none to count."""
    script = rig.scenario({"name": "voice", "duration_ms": 8000})
    made = rig.recording(rig.said([(2, "a b c d e f g h i j k l m n o")]), 40)
    ticks = [replace(t, has_audio=bool(t.text), level_dbfs=-20.0) for t in made.ticks]
    voiced = replace(made, underruns=2, ticks=ticks)
    (seen,) = by_metric(score(rig.take(script, voiced)))["underruns_per_min"]
    assert (seen.value, seen.weight) == (2.0, pytest.approx(0.05))
    assert not by_metric(score(rig.take(script, made)))["underruns_per_min"]


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([], 0.25),  # 0.5 of 2, all the time
        ([(0.0, 2.0)], 1.0),  # right at once
        ([(0.0, 0.0)], 0.0),  # wrong at once: worse than silence
        ([(4000.0, 2.0)], (0.5 * 2000 + 2 * 2000) / 8000),  # right at the very end counts from the half (w = 0.5)
        ([(1000.0, 1.0), (3000.0, 2.0)], (0.5 * 500 + 1 * 1000 + 2 * 2500) / 8000),
    ],
)
def test_pauc(points: list[tuple[float, float]], share: float) -> None:
    assert pauc(points, 4000.0) == pytest.approx(share)


# --- what must change nothing -------------------------------------------------------------------------------------

cases = st.sampled_from(CASES)


def shifted(case: dict[str, Any], ticks: int) -> dict[str, Any]:
    """The same case, everything so many ticks later."""
    ms = ticks * 200
    moved = dict(case, duration_ms=case["duration_ms"] + ms)
    clips = case.get("clips", [])
    moved["clips"] = [[name, role, start + ms, end + ms, *text] for name, role, start, end, *text in clips]
    moved["expect"] = [dict(e, from_ms=e["from_ms"] + ms, to_ms=e["to_ms"] + ms) for e in case.get("expect", [])]
    moved["video"] = [
        dict(v, start_ms=v["start_ms"] + ms, end_ms=v["end_ms"] + ms, marks_ms=[m + ms for m in v["marks_ms"]])
        for v in case.get("video", [])
    ]
    for words in ("said", "written"):
        moved[words] = [[first + ticks, text] for first, text in case.get(words, [])]
    moved["results"] = [dict(r, arrived_ms=r["arrived_ms"] + ms) for r in case.get("results", [])]
    moved["late_ms"] = {str(int(k) + ticks): wait for k, wait in case.get("late_ms", {}).items()}
    moved["missing"] = [k + ticks for k in case.get("missing", [])]
    moved["events"] = {str(int(k) + ticks): names for k, names in case.get("events", {}).items()}
    return moved


def figures(observations: list[Observation]) -> list[tuple[str, float]]:
    """What was observed; rows that count per minute or per tick of the whole scenario change with its length."""
    return [(o.metric, round(o.value, 6)) for o in observations if o.metric != "jitter_ms"]


@given(case=cases, ticks=st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_a_later_begin_changes_nothing(case: dict[str, Any], ticks: int) -> None:
    assert figures(score(rig.golden(shifted(case, ticks)))) == figures(score(rig.golden(case)))


@given(case=cases, offset_ms=st.floats(-150, 150))
@settings(deadline=None, max_examples=60)
def test_an_offset_of_the_player_is_taken_out(case: dict[str, Any], offset_ms: float) -> None:
    """A player that began so late sees everything so much later on its clock; the script's time is the same."""
    plain = rig.golden(case)
    moved = _moved(plain.recording, offset_ms)
    told = by_metric(score(rig.take(plain.scenario, moved)))
    for metric in ("turn_latency_s", "tor", "stop_latency_s", "filler_s", "weave_lag_s", "time_speak", "pauc_05"):
        want = [o.value for o in by_metric(score(plain))[metric]]
        assert [o.value for o in told[metric]] == pytest.approx(want)


def _moved(recording: Recording, offset_ms: float) -> Recording:
    ticks = [replace(t, played_ms=max(t.arrived_ms, 200.0 * (t.tick + 1)) + offset_ms) for t in recording.ticks]
    results = [replace(r, arrived_ms=r.arrived_ms + offset_ms) for r in recording.results]
    return replace(recording, ticks=ticks, results=results, start_offset_ms=offset_ms)


@given(case=cases, ticks=st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_silence_at_the_end_changes_no_reaction(case: dict[str, Any], ticks: int) -> None:
    longer = dict(case, duration_ms=case["duration_ms"] + 200 * ticks)
    ignored = {"action_iou"}  # an action that is never said to have stopped lasts to the end
    before, after = (
        [figure for figure in figures(score(rig.golden(each))) if figure[0] not in ignored] for each in (case, longer)
    )
    assert after == before


def test_a_scenario_without_anything_says_nothing_but_its_deadline() -> None:
    empty = Scenario(id="empty", suite="golden", rows=list(range(1, 13)), seed=1, duration_ms=1000)
    made = rig.recording({}, 5)
    assert {o.metric for o in score(rig.take(empty, made))} == {
        "false_alarms_per_min", "deadline_miss_rate", "deadline_longest_run_ticks", "ticks_lost", "jitter_ms",
    }  # fmt: skip


def test_ticks_that_never_came_are_lost() -> None:
    """Five came, the session had eight; or none of four."""
    script = rig.scenario({"name": "lost", "duration_ms": 1600})
    for made, lost in ((rig.recording({}, 5), 3), (rig.recording({}, 0), 4)):
        found = by_metric(score(rig.take(script, replace(made, missing_ticks=lost))))
        assert [o.value for o in found["ticks_lost"]] == [lost]
        assert [(o.value, o.weight) for o in found["deadline_miss_rate"]] == [(lost, len(made.ticks) + lost)]


def test_a_recording_without_ticks_is_no_reason_to_fail() -> None:
    script = rig.scenario(next(case for case in CASES if case["name"] == "a smooth reply"))
    nothing = Recording(scenario=script.id, model="golden", ticks=[])
    assert by_metric(score(rig.take(script, nothing)))["tor"][0].value == 0.0
