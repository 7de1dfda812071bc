"""``python -m infra.eval.report``: score the recordings that there are and write ``build/reports/behaviour.{json,md}``.

Nothing is played. Every figure comes from recordings that are on disk now, made with the scripts as they are now; what
is not there is said to be missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.eval import machine, plots, runner, scorers, stacks, timeline
from infra.eval.collect import Collected, collect
from infra.eval.markdown import render
from infra.eval.recognise import Recogniser
from infra.eval.recording import Recording
from infra.eval.rows import ORACLE, TEXT, Row, check, rows_of
from infra.eval.runner import RECORDINGS, SCENARIOS
from infra.eval.scenario import BadScenario, Scenario, Suite, load_suite
from infra.eval.speech import script
from infra.eval.speech.report import Measured, measured
from infra.eval.take import Observation
from infra.local.jars import PROJECT
from schemas.ticks import FRAME_MS
from services.background.hearing import HearingMissing

REPORTS = PROJECT / "build" / "reports"
NAME = "behaviour"
ORDER = ("nano", "harness", "vad_500", "vad_1500", "always_silent", "always_talking", ORACLE)
FAILURES_SHOWN, SUCCESSES_SHOWN = 24, 4
DRAWN_WITH_FAILURES = frozenset({"nano", "harness", ORACLE})
TOO_LATE_MS = float(FRAME_MS)  # so late, the player sent a whole frame out of its place
ELSEWHERE = {"chaos": "make chaos", "overhead": "make bench", "speech": "make bench SUITE=speech"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """One model's takes and what was observed in each, by scenario; ``by_text``: with the words that it wrote."""

    collected: Collected
    observed: dict[str, list[Observation]]
    by_text: dict[str, list[Observation]]

    @property
    def model(self) -> str:
        return self.collected.model


def write(root: Path, models: Sequence[str], suites: Sequence[str], *, reports: Path = REPORTS,
          scenarios: Path = SCENARIOS, aloud: Path = script.FILE, say: Say = print) -> Path:  # fmt: skip
    """Score, draw, write; returns the JSON's path. Models without any recording are left out, and the report says so.
    Suite ``speech`` (the file ``aloud``) is the reader's and has a section of its own.

    Raises ``BadScenario``; ``HearingMissing`` where sound must be recognised and no recogniser is installed.
    """
    loaded = [load_suite(scenarios / f"{name}.json") for name in suites if name != script.SUITE]
    recogniser = Recogniser(root / "recognised")
    asked = sorted(models, key=_place) if loaded else []
    scored = [score(collect(root, model, loaded, recogniser, say), say) for model in asked]
    present = [each for each in scored if each.collected.played]
    rows = [row for each in present for row in rows_for(each)]
    pictures = reports / NAME
    shutil.rmtree(pictures, ignore_errors=True)
    if present:
        plots.overview(rows, [each.model for each in present], pictures / "overview.png")
        plots.latencies({each.model: _latencies(each) for each in present}, pictures / "latency.png")
    voice = Measured()
    if script.SUITE in suites:
        loaded.append(load_suite(aloud))
        voice = measured(root, loaded[-1], pictures, say)
    failures = [failure for each in present for failure in _failures(each, pictures, say)]
    report = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m infra.eval.report", ",".join(suites), *_named(asked)]),
        "machine": machine.facts(),
        "suites": [_suite(suite) for suite in loaded],
        "models": [_model(each) for each in scored],
        "rows": [_json(row) for row in (*rows, *voice.rows)],
        "speech": voice.facts or None,
        "checks": [asdict(finding) for finding in check(rows)] if present else [],
        "failures": failures,
        "elsewhere": _elsewhere(reports),
    }
    reports.mkdir(parents=True, exist_ok=True)
    path = reports / f"{NAME}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(render(report))
    return path


def score(collected: Collected, say: Say = print) -> Scored:
    """Everything that the takes of one model say about it."""
    takes = [one.take for one in collected.played]
    texts = [one.by_text for one in collected.played if one.by_text is not None]
    absent = f"{len(collected.missing)} missing, {len(collected.outdated)} outdated, {len(collected.failed)} failed"
    say(f"{collected.model}: {len(takes)} to score, {absent}")
    return Scored(
        collected,
        {take.scenario.id: scorers.score(take) for take in takes},
        {take.scenario.id: scorers.score(take) for take in texts},
    )


def rows_for(scored: Scored) -> list[Row]:
    """A model's rows; with a voice also those by its own text."""
    rows = rows_of(scored.model, [seen for each in scored.observed.values() for seen in each])
    if scored.by_text:
        rows += rows_of(scored.model, [seen for each in scored.by_text.values() for seen in each], suffix=TEXT)
    return rows


def _named(models: Sequence[str]) -> list[str]:
    return ["--models", ",".join(models)] if models else []


def _place(model: str) -> tuple[int, str]:
    return (ORDER.index(model) if model in ORDER else len(ORDER), model)


def _latencies(scored: Scored) -> list[float]:
    return [o.value for seen in scored.observed.values() for o in seen if o.metric == "turn_latency_s"]


def _json(row: Row) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(row).items()}


def _suite(suite: Suite) -> dict[str, Any]:
    digest = hashlib.sha256(msgspec.json.encode(suite)).hexdigest()
    return {"name": suite.name, "scenarios": len(suite.scenarios), "sha256": digest}


def _model(scored: Scored) -> dict[str, Any]:
    made = scored.collected
    recordings = [one.take.recording for one in made.played]
    late = [recording.player_late_ms for recording in recordings]
    return {
        "model": made.model,
        "scored": len(recordings),
        "missing": len(made.missing),
        "outdated": len(made.outdated),
        "failed": made.failed,
        "voice": made.voiced,
        "recognised_by": sorted({recording.heard_by for recording in recordings if recording.heard_by}),
        "player_late_p50_ms": round(float(np.median(late)), 1) if late else None,
        "player_late_max_ms": max(late, default=None),
        "player_too_late": sum(ms > TOO_LATE_MS for ms in late),
        "ticks": sum(len(recording.ticks) for recording in recordings),
        "other_version": sum(_other_version(one.take.recording, one.take.scenario) for one in made.played),
    }


def _other_version(recording: Recording, scenario: Scenario) -> bool:
    """Whether it was recorded with another version of the model, the pipeline or the player than this checkout's."""
    return recording.stamp != runner.stamp(scenario, stacks.identity(recording.model))


def _elsewhere(reports: Path) -> dict[str, Any]:
    """Row 12 is measured by other commands: which of their reports are there, and from when."""
    found = {}
    for name, command in ELSEWHERE.items():
        path = reports / f"{name}.json"
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None
        found[name] = {"command": command, "made": made and made.isoformat(timespec="seconds")}
    return found


# --- what to look at ----------------------------------------------------------------------------------------------


def _failures(scored: Scored, pictures: Path, say: Say) -> list[dict[str, Any]]:
    """Every failed observation; of some scenarios, one of each kind of failure first, a picture."""
    failed = {name: [o for o in seen if o.failed] for name, seen in scored.observed.items()}
    drawn = _draw(scored, failed, pictures, say) if scored.model in DRAWN_WITH_FAILURES else {}
    return [
        {
            "model": scored.model,
            "scenario": o.scenario,
            "metric": o.metric,
            "at_s": round(o.at_ms / 1000, 2),
            "note": o.note,
            "timeline": drawn.get(o.scenario, ""),
        }
        for seen in failed.values()
        for o in seen
    ]


def _draw(scored: Scored, failed: dict[str, list[Observation]], pictures: Path, say: Say) -> dict[str, str]:
    """The pictures' paths by scenario, beside the report."""
    played = {one.take.scenario.id: one for one in scored.collected.played}
    clean = [name for name in played if not failed[name]]
    random.Random(0).shuffle(clean)
    chosen = [*_spread(failed)[:FAILURES_SHOWN], *clean[:SUCCESSES_SHOWN]]
    say(f"{scored.model}: drawing {len(chosen)} timelines")
    drawn = {}
    for name in chosen:
        path = pictures / "timelines" / scored.model / f"{name}.png"
        timeline.draw(played[name], scored.observed[name], path)
        drawn[name] = path.relative_to(pictures.parent).as_posix()
    return drawn


def _spread(failed: dict[str, list[Observation]]) -> list[str]:
    """Scenarios with failures, so that the first ones show every kind of failure before any kind twice."""
    by_metric: dict[str, list[str]] = defaultdict(list)
    for name, seen in failed.items():
        for observation in seen:
            if name not in by_metric[observation.metric]:
                by_metric[observation.metric].append(name)
    queues = [iter(names) for _, names in sorted(by_metric.items())]
    return list(dict.fromkeys(name for turn in zip_longest(*queues) for name in turn if name is not None))


def draw(names: Sequence[str], models: Sequence[str], suites: Sequence[str], arguments: argparse.Namespace) -> int:
    """The timelines of some scenarios, for each model that played them. Returns 1 when there is none."""
    loaded = [load_suite(arguments.scenarios / f"{name}.json") for name in suites if name != script.SUITE]
    wanted = [Suite(name=s.name, scenarios=[each for each in s.scenarios if each.id in names]) for s in loaded]
    recogniser = Recogniser(arguments.recordings / "recognised")
    drawn = 0
    for model in models:
        for one in collect(arguments.recordings, model, wanted, recogniser).played:
            path = arguments.reports / NAME / "timelines" / model / f"{one.take.scenario.id}.png"
            print(timeline.draw(one, scorers.score(one.take), path))
            drawn += 1
    return 0 if drawn else 1


def recorded(root: Path) -> list[str]:
    """The known models that have recordings there."""
    return [model for model in ORDER if (root / model).is_dir()]


def defects(path: Path) -> list[str]:
    """The metrics that a control wins, by the report at ``path``."""
    report = json.loads(path.read_text())
    return [f"{found['metric']}: {found['text']}" for found in report["checks"] if found["kind"] == "defect"]


def main(argv: Sequence[str] | None = None) -> int:
    """1 where a report can't be made, 2 where a control wins a metric: then that figure means nothing."""
    parser = argparse.ArgumentParser(prog="python -m infra.eval.report", description=__doc__)
    parser.add_argument("suite", nargs="?", default="all", help="all, or some, separated by commas")
    parser.add_argument("--models", default="", help="separated by commas (default: all that have recordings)")
    parser.add_argument("--draw", default="", help="no report, but the timelines of these scenarios, by comma")
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--reports", type=Path, default=REPORTS)
    parser.add_argument("--scenarios", type=Path, default=SCENARIOS)
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    known = [*sorted(path.stem for path in arguments.scenarios.glob("*.json")), script.SUITE]
    suites = known if arguments.suite == "all" else arguments.suite.split(",")
    models = [model for model in arguments.models.split(",") if model] or recorded(arguments.recordings)
    try:
        if arguments.draw:
            return draw(arguments.draw.split(","), models, suites, arguments)
        path = write(
            arguments.recordings, models, suites, reports=arguments.reports, scenarios=arguments.scenarios
        )
    except (BadScenario, HearingMissing) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"written: {path}, {path.with_suffix('.md')}")
    won = defects(path)
    for defect in won:
        print(f"metric defect: {defect}", file=sys.stderr)
    return 2 if won else 0


if __name__ == "__main__":
    sys.exit(main())
