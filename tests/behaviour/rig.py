"""Scenarios and recordings written by hand: what a client would have got, tick by tick, at chosen moments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infra.eval.heard import Speech, from_text, nominal
from infra.eval.recording import Recording, ResultLog, TickLog
from infra.eval.scenario import Clip, Expectation, Role, Scenario, VideoEvent, Want
from infra.eval.take import Take

SAMPLES_A_MS = 16


def clip(name: str, role: str, start_ms: float, end_ms: float, text: str = "") -> Clip:
    return Clip(
        id=name,
        role=Role(role),
        voice="flite:rms",
        start_sample=round(start_ms * SAMPLES_A_MS),
        end_sample=round(end_ms * SAMPLES_A_MS),
        text=text,
    )


def scenario(case: dict[str, Any]) -> Scenario:
    """A scenario from a golden case; ``rows`` are all where the case does not say."""
    return Scenario(
        id=case["name"],
        suite=case.get("suite", "golden"),
        rows=case.get("rows", list(range(1, 13))),
        seed=1,
        duration_ms=case["duration_ms"],
        clips=[clip(*each) for each in case.get("clips", [])],
        video=[VideoEvent(**each) for each in case.get("video", [])],
        expect=[Expectation(**{**each, "want": Want(each["want"])}) for each in case.get("expect", [])],
        spoken_reply=case.get("spoken_reply", ""),
    )


def said(runs: Iterable[tuple[int, str]]) -> dict[int, str]:
    """``[(first tick, "one word a tick"), …]`` as words by tick."""
    return {first + i: word for first, text in runs for i, word in enumerate(text.split())}


def recording(
    words: dict[int, str],
    ticks: int,
    *,
    lag_ms: float = 0.0,
    late_ms: dict[int, float] | None = None,
    missing: Iterable[int] = (),
    events: dict[int, list[str]] | None = None,
    results: Iterable[ResultLog] = (),
    written: dict[int, str] | None = None,
    name: str = "golden",
) -> Recording:
    """A model without a voice. Each turn comes ``lag_ms`` (``late_ms`` for single ticks) after its tick's end."""
    gone, waits, happened = set(missing), late_ms or {}, events or {}
    logs = [
        TickLog(
            tick=k,
            arrived_ms=200.0 * (k + 1) + waits.get(k, lag_ms),
            floor="take" if k in words else "hold",
            user="silent",
            text=f" {words[k]}" if k in words else "",
            user_text=f" {written[k]}" if written and k in written else "",
            events=happened.get(k, []),
            task_ids=["task"] * len(happened.get(k, [])),
        )
        for k in range(ticks)
        if k not in gone
    ]
    return Recording(scenario=name, model="golden", ticks=logs, results=list(results))


def take(script: Scenario, made: Recording, speech: Speech | None = None) -> Take:
    return Take(script, made, speech or from_text(made), nominal(made))


def golden(case: dict[str, Any]) -> Take:
    """The take of a golden case."""
    script = scenario(case)
    made = recording(
        said((first, text) for first, text in case.get("said", [])),
        script.duration_ms // 200,
        lag_ms=case.get("lag_ms", 0.0),
        late_ms={int(k): wait for k, wait in case.get("late_ms", {}).items()},
        missing=case.get("missing", []),
        events={int(k): names for k, names in case.get("events", {}).items()},
        results=[ResultLog(**each) for each in case.get("results", [])],
        written=said((first, text) for first, text in case.get("written", [])),
        name=script.id,
    )
    return take(script, made)
