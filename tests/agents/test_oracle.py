"""The oracle reads the script: what it cannot do on time is a mistake in the scenario, the scorer or the oracle."""

from __future__ import annotations

import pytest

from infra.eval.agents.oracle import OracleSession
from infra.eval.agents.script import heard_at, plan, spread
from infra.eval.player import LEAD_IN_MS
from infra.eval.runner import SCENARIOS
from infra.eval.scenario import Clip, Expectation, Role, Scenario, Want, load_suite, ms_to_sample
from schemas.records import Floor
from tests.agents.ideal import failures, means, perform

COUNT = "one two three four five six seven eight nine ten"


def clip(name: str, role: Role, from_ms: int, to_ms: int, text: str = "hello there") -> Clip:
    return Clip(
        id=name,
        role=role,
        voice="kokoro:af_bella",
        text=text,
        start_sample=ms_to_sample(from_ms),
        end_sample=ms_to_sample(to_ms),
    )


def want(kind: Want, from_ms: int, to_ms: int, name: str = "", *meanings: str, **more: object) -> Expectation:
    return Expectation(want=kind, from_ms=from_ms, to_ms=to_ms, clip=name, meanings=list(meanings), **more)


def scenario(rows: list[int], clips: list[Clip], expect: list[Expectation], **more: object) -> Scenario:
    return Scenario(id="x", suite="x", rows=rows, seed=1, duration_ms=14_000, clips=clips, expect=expect, **more)


def played(script: Scenario, late_ms: float = 0.0) -> dict[str, float]:
    take = perform(OracleSession("s", {script.id: script}), script, late_ms=late_ms)
    assert failures(take) == []
    return means(take)


@pytest.mark.parametrize("end_ms", [2_000, 2_001, 2_100, 2_199])
def test_a_reply_begins_200_to_400_ms_after_the_last_word_and_no_pause_is_taken(end_ms: int) -> None:
    clips = [clip("a", Role.TURN, 700, 1_200), clip("b", Role.CONTINUATION, 1_900, end_ms)]
    scores = played(scenario([1, 2], clips, [want(Want.REPLY, end_ms, end_ms + 2_000, "b")]))
    assert 0.2 <= scores["turn_latency_s"] <= 0.4
    assert scores["tor"] == scores["R_R"] == scores["success_reply_rate"] == 1.0
    assert scores["pause_tor"] == scores["I_A"] == 0.0


@pytest.mark.parametrize("late_ms", [0.0, 60.0])
def test_it_talks_over_a_cough_and_stops_for_an_interruption(late_ms: float) -> None:
    clips = [
        clip("ask", Role.TURN, 600, 1_500),
        clip("cough", Role.TIC, 3_800, 4_100),
        clip("cut", Role.INTERRUPTION, 9_050, 10_000),
    ]
    expect = [
        want(Want.REPLY, 1_500, 3_500, "ask"),
        want(Want.GO_ON, 3_800, 4_800, "cough"),
        want(Want.RESUME, 3_800, 7_100, "cough"),
        want(Want.YIELD, 9_050, 11_050, "cut"),
        want(Want.RESPOND, 9_050, 13_000, "cut", "one two three"),
    ]
    scores = played(scenario([4, 5, 6], clips, expect, spoken_reply=COUNT), late_ms)
    assert scores["S_VT"] == scores["resume_rate"] == scores["R_Y"] == scores["respond_rate"] == 1.0
    assert scores["L_Y_s"] <= 0.4


def test_cues_times_and_counts_are_said_in_their_windows_only() -> None:
    clips = [clip("tell", Role.TURN, 500, 1_500), clip("story", Role.TURN, 3_000, 8_000)]
    cue = want(Want.SAY, 5_230, 7_230, "story", "red|crimson", simultaneous=True)
    time = want(Want.SAY, 10_490, 11_490, "tell", "banana")
    scores = played(scenario([7, 8], clips, [cue, time]))
    assert scores["cue_speak"] == scores["time_speak"] == 1.0


def test_signs_of_listening_are_short_and_where_they_are_welcome() -> None:
    clips = [clip("a", Role.TURN, 500, 2_600), clip("b", Role.CONTINUATION, 3_200, 6_000)]
    scores = played(scenario([3], clips, [want(Want.BACKCHANNEL, 2_100, 3_100, "a")]))
    assert scores["backchannel_f1"] == 1.0
    assert scores["backchannel_tor"] == 0.0


@pytest.mark.parametrize("delay_ms", [400, 1_500, 3_000])
def test_a_question_is_delegated_and_its_answer_woven_in_when_the_floor_is_free(delay_ms: int) -> None:
    clips = [clip("ask", Role.TURN, 600, 2_000, "which ocean is the biggest"), clip("chat", Role.TURN, 4_000, 5_000)]
    expect = [
        want(Want.DELEGATE, 2_000, 4_000, "ask"),
        want(Want.REPLY, 2_000, 4_000, "ask"),
        want(Want.REPLY, 5_000, 7_000, "chat"),
        want(Want.WEAVE, 2_000, 12_000, "ask", "pacific"),
    ]
    script = scenario(
        [1, 10], clips, expect, results={"ocean": "The Pacific is the biggest"}, delays_ms={"ocean": delay_ms}
    )
    scores = played(script)
    assert scores["delegate_rate"] == scores["weave_rate"] == 1.0
    assert scores["filler_s"] <= 0.4


def test_a_result_that_was_called_off_is_not_said() -> None:
    clips = [clip("ask", Role.TURN, 600, 2_000, "which ocean is the biggest"), clip("no", Role.TURN, 4_000, 5_000)]
    expect = [
        want(Want.DELEGATE, 2_000, 4_000, "ask"),
        want(Want.REPLY, 2_000, 4_000, "ask"),
        want(Want.REPLY, 5_000, 7_000, "no"),
        want(Want.DROP, 5_000, 12_000, "no", "pacific"),
    ]
    script = scenario(
        [1, 10], clips, expect, results={"ocean": "The Pacific is the biggest"}, delays_ms={"ocean": 4_500}
    )
    take = perform(OracleSession("s", {script.id: script}), script)
    assert means(take)["stale_result_rate"] == 0.0
    assert any("cancelled" in tick.events for tick in take.recording.ticks)


def test_the_plan_counts_ticks_as_a_client_hears_them() -> None:
    assert [heard_at(ms - LEAD_IN_MS) for ms in (0, 1, 200, 201, 400)] == [0, 0, 0, 1, 1]
    assert spread(4, 10, 0) == [10, 11, 12, 13]
    assert spread(3, 10, 20) == [10, 13, 16]
    made = plan(scenario([5], [clip("a", Role.TURN, 0, 900)], [want(Want.REPLY, 900, 2_000, "a", "yes")]))
    assert min(made.words) == heard_at(1_100)
    assert made.floor[min(made.words)] is Floor.TAKE


@pytest.mark.parametrize("suite", sorted(path.stem for path in SCENARIOS.glob("*.json")))
def test_nothing_that_the_suites_want_is_beyond_the_oracle(suite: str) -> None:
    scripts = {script.id: script for script in load_suite(SCENARIOS / f"{suite}.json").scenarios}
    failed = []
    for script in scripts.values():
        failed += failures(perform(OracleSession("s", scripts), script, late_ms=25.0))
    assert failed == []


def test_there_are_suites() -> None:
    assert len(list(SCENARIOS.glob("*.json"))) >= 8
