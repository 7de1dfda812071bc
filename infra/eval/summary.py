"""The rows of the behaviour report that the README shows, in plain words: ``python -m infra.eval.summary [REPORT …]``.

Prints a Markdown table of the reports' own values (of a model that several have, the first one's); ``–`` where the
report hides a rate or nothing was observed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

REPORT = Path("build/reports/behaviour.json")
MODELS = ("nano", "harness", "always_talking", "always_silent", "oracle")
ROWS = {
    "turn_latency_p50_s": "user's end to the reply's first sound, median s",
    "turn_latency_ticks_p50_s": "the same without the machine's lateness, s",
    "tor": 'takes its turn (FDB: more than a short "okay")',
    "R_R": "answers a turn (tau-voice)",
    "pause_tor": "takes the floor in a pause for thought",
    "smooth_turns": "both right: answers, and not too early",
    "backchannel_tor": "takes the floor in a story",
    "backchannel_f1": "backchannels in the right places, F1",
    "backchannel_f1_random": "as many at random moments, F1",
    "S_BC": "goes on through a backchannel",
    "S_VT": "goes on through a vocal tic (cough, sneeze)",
    "S_ND": "stays out of words to somebody else",
    "R_Y": "stops when interrupted",
    "L_Y_s": "until it has stopped, s",
    "respond_rate": "answers the interruption",
    "cue_speak": "verbal cues, while the user speaks",
    "time_speak": "awareness of time",
    "rep_count": "counts what it sees, within one",
    "action_iou": "tells starts and stops, overlap",
    "pauc_05": "tells what it sees (silence: 0.25)",
    "false_alarms_per_min": "says what nobody asked for, a minute",
    "filler_s": "question to first sound when delegating, s",
    "transcript_skill_wer": "own transcript, word errors, of what is said to it",
    "transcript_wer": "own transcript, word errors, open speech",
    "deadline_miss_rate": "turns later than 200 ms",
}


def table(rows: Iterable[Mapping[str, Any]], models: Iterable[str] = MODELS) -> str:
    """A Markdown table, a line a metric that any of the ``models`` has a value of, a column a model of the report."""
    found = {(row["metric"], row["model"]): row for row in rows}
    columns = [model for model in models if any(key[1] == model for key in found)]
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for metric, said in ROWS.items():
        cells = [_cell(found.get((metric, model))) for model in columns]
        if any("0" <= cell[0] <= "9" for cell in cells):
            lines.append(f"| {said} | {' | '.join(cells)} |")
    return "\n".join(lines)


def joined(reports: Iterable[list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """All rows of each model from the first report that has it."""
    rows: list[Mapping[str, Any]] = []
    for report in reports:
        known = {row["model"] for row in rows}
        rows += [row for row in report if row["model"] not in known]
    return rows


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or not row["n"]:
        return "–"
    return f"{'–' if row['value'] is None else format(row['value'], '.2f')} (n={row['n']})"


def main(argv: list[str] | None = None) -> int:
    """Print the table of a report; 2 and a sentence when there is none."""
    paths = [Path(name) for name in (sys.argv[1:] if argv is None else argv)] or [REPORT]
    for path in paths:
        if not path.is_file():
            print(f"{path}: no report there; make eval writes one", file=sys.stderr)
            return 2
    print(table(joined(json.loads(path.read_text())["rows"] for path in paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
