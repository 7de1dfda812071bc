"""The metrics are checked by models whose worth is known: the oracle must reach the best, the controls must not.

Played on paper over all committed scenarios: what fails here is a scenario, a scorer or the oracle, never a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from infra.eval.agents.controls import TALK, SilentSession, TalkingSession
from infra.eval.agents.oracle import OracleSession
from infra.eval.agents.protocol import AgentSession
from infra.eval.agents.speech import Speech
from infra.eval.metrics import METRICS, NOT, ROWS
from infra.eval.rows import CONTROLS, ORACLE, Row, check, rows_of
from infra.eval.runner import SCENARIOS
from infra.eval.scenario import Scenario, load_suite
from infra.eval.scorers import score
from infra.eval.take import Observation
from schemas.ticks import OUTPUT_SAMPLES
from tests.agents.ideal import perform

LATE_MS = 30.0  # a quick machine
BY_STACK = {11, 12, 13, 14}  # rows that measure a stack, the voice or the transcript, not what a model does


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    return [scenario for path in sorted(SCENARIOS.glob("*.json")) for scenario in load_suite(path).scenarios]


@pytest.fixture(scope="module")
def observed(scenarios: list[Scenario]) -> dict[str, list[Observation]]:
    by_id = {scenario.id: scenario for scenario in scenarios}
    opens: dict[str, Callable[[], AgentSession]] = {
        ORACLE: lambda: OracleSession("paper", by_id),
        "always_silent": SilentSession,
        "always_talking": lambda: TalkingSession([_spoken(text) for text in TALK]),
    }
    return {
        model: [seen for scenario in scenarios for seen in score(perform(opened(), scenario, late_ms=LATE_MS))]
        for model, opened in opens.items()
    }


def _spoken(text: str) -> Speech:
    """At one word a tick; its sound does not matter here."""
    words = text.split()
    pcm = np.ones(OUTPUT_SAMPLES * len(words), np.int16)
    return Speech(text, pcm, tuple(OUTPUT_SAMPLES * i for i in range(len(words))))


@pytest.fixture(scope="module")
def rows(observed: dict[str, list[Observation]]) -> list[Row]:
    return [row for model, seen in observed.items() for row in rows_of(model, seen)]


def value(rows: Sequence[Row], metric: str, model: str) -> float | None:
    return next(row.value for row in rows if row.metric == metric and row.model == model)


def test_every_row_has_forty_scenarios(scenarios: list[Scenario]) -> None:
    for row in set(ROWS) - BY_STACK:
        assert sum(row in scenario.rows for scenario in scenarios) >= 40, ROWS[row]


def test_the_oracle_reaches_the_best_and_no_control_does(rows: list[Row]) -> None:
    assert [finding for finding in check(rows) if finding.kind != "passed"] == []


def test_the_oracle_fails_nowhere(observed: dict[str, list[Observation]]) -> None:
    assert [(o.metric, o.scenario, o.note) for o in observed[ORACLE] if o.failed] == []


def test_the_oracle_has_a_value_for_every_metric_that_is_judged(rows: list[Row]) -> None:
    """But for one: where to go on after a stop is asked of those who stop, and the oracle does not."""
    absent = {m.name for m in METRICS if m.judged != NOT and value(rows, m.name, ORACLE) is None}
    assert absent == {"resume_position_error_words"}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_as_bad_as_it_is(rows: list[Row], control: str) -> None:
    for metric in METRICS:
        if metric.judged == "alone" and metric.better > 0:
            assert (value(rows, metric.name, control) or 0.0) <= 0.5, metric.name


def test_silence_scores_a_quarter_of_the_area_under_the_curve(rows: list[Row]) -> None:
    assert value(rows, "pauc_05", "always_silent") == pytest.approx(0.25)


def test_silence_is_not_rewarded_with_rates_of_no_events(rows: list[Row]) -> None:
    """It never spoke, so nothing could be yielded, held or selected: no value instead of a perfect one."""
    for metric in ("R_Y", "S_BC", "I_A", "respond_rate", "turn_latency_p50_s"):
        assert value(rows, metric, "always_silent") is None, metric


def test_a_metric_that_a_control_wins_is_called_a_defect() -> None:
    """The check can fail: TOR by itself is won by whoever always talks."""
    silent = Row(1, "smooth_turns", "always_talking", 1.0, "share", 40, None, None)
    best = Row(1, "smooth_turns", ORACLE, 1.0, "share", 40, None, None)
    defects = [finding for finding in check([silent, best]) if finding.kind == "defect"]
    assert {"smooth_turns", "tor", "pause_tor", "I_A"} <= {finding.metric for finding in defects}
