"""The model card's tables, each from what was recorded: held-out figures, voices, runs, corpus, behaviour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.synth import RATE_HZ, open_path, read_shard, shard_path
from training.voices import load

BEHAVIOUR = "behaviour.json"
SHOWN = (
    "turn_latency_p50_s", "turn_latency_ticks_p50_s", "tor", "R_R", "pause_tor", "I_A", "smooth_turns",
    "backchannel_tor", "backchannel_f1", "backchannel_f1_random", "S_BC", "S_VT", "S_ND", "R_Y", "L_Y_s",
    "selective_barge_in", "respond_rate", "cue_speak", "time_speak", "rep_count", "action_iou", "pauc_05",
    "false_alarms_per_min", "filler_s", "weave_rate", "transcript_wer", "transcript_skill_wer", "deadline_miss_rate",
)  # fmt: skip
LICENCES = (
    ("Kokoro-82M (int8)", "Apache-2.0", "human-like voices with exact word ends"),
    ("flite 2.2", "BSD-like (CMU)", "diphone and statistical voices with exact segment ends"),
    ("espeak-ng", "GPL-3 (the program; used as a tool)", "many accents and timbres, for robustness"),
    ("own (`models/speech`)", "this project's", "the released voice, a new speaker each take (`training/own.py`)"),
)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    if "rate" in row:
        return f"{100 * row['rate']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}], n = {row['n']}"
    if "p50_ms" in row:
        return f"p50 {row['p50_ms']} ms, p90 {row['p90_ms']} ms, n = {row['n']}"
    if "word_error_rate" in row:
        return f"{100 * row['word_error_rate']:.1f} % word errors, n = {row['n_words']} words"
    if "per_minute" in row:
        return f"{row['per_minute']} a minute in {row['minutes']} minutes"
    return f"too few cases (n = {row['n']})"


def figures_table(evaluation: dict[str, Any]) -> str:
    """One row a skill, one column a set."""
    sets = evaluation["sets"]
    names = sorted({name for part in sets.values() for name in part["figures"]})
    lines = ["| skill | " + " | ".join(sets) + " |", "|---|" + "---|" * len(sets)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(_cell(part["figures"].get(name)) for part in sets.values()) + " |")
    return "\n".join(lines)


def voices_table() -> str:
    voices = load()
    rows = ["| engine | licence | training voices | held-out voices |", "|---|---|---|---|"]
    for (engine, licence, _), key in zip(LICENCES, ("kokoro", "flite", "espeak", "own"), strict=True):
        halves = [[v.voice for v in voices if v.engine == key and v.held_out == held] for held in (False, True)]
        rows.append(f"| {engine} | {licence} | {', '.join(halves[0])} | {', '.join(halves[1])} |")
    return "\n".join(rows)


def stages_table(stages: list[dict[str, Any]]) -> str:
    """One row a run: the first from scratch, each other from the weights before it."""
    rows = ["| stage | steps x sessions x ticks | hours heard | rate | what learns | minutes |", "|---" * 6 + "|"]
    for stage in stages:
        hours = stage["sessions_heard"] * stage["ticks"] / 18_000
        rows.append(
            f"| {stage['release']}, seed {stage['seed']} "
            f"| {stage['steps']} x {stage['sessions']} x {stage['ticks']} | {hours:.0f} "
            f"| {stage['rate']} | {stage['parts'] or 'everything'} | {stage['seconds'] / 60:.0f} |"
        )
    return "\n".join(rows)


def spoken_hours(folder: Path) -> dict[str, dict[str, float]]:
    """Of the training voices in a corpus, by engine: voices, takes, hours, and the share with exact phone times."""
    found: dict[str, dict[str, float]] = {}
    for voice in load():
        for path in (shard_path(voice, folder), open_path(voice, folder)):
            if voice.held_out or not path.exists():
                continue
            _, takes = read_shard(path)
            row = found.setdefault(voice.engine, {"voices": 0, "takes": 0, "hours": 0.0, "timed_hours": 0.0})
            row["voices"] += path == shard_path(voice, folder)
            row["takes"] += len(takes)
            row["hours"] += sum(take.stop - take.start for take in takes) / RATE_HZ / 3600
            row["timed_hours"] += sum(t.stop - t.start for t in takes if t.phones) / RATE_HZ / 3600
    return found


def corpus_table(corpus: dict[str, dict[str, float]]) -> str:
    """What was spoken for the newest run."""
    lines = ["| engine | voices | takes | hours of distinct speech | with exact phone times |", "|---|---|---|---|---|"]
    for engine, row in corpus.items():
        lines.append(
            f"| {engine} | {row['voices']:.0f} | {row['takes']:.0f} | {row['hours']:.1f} | {row['timed_hours']:.1f} |"
        )
    return "\n".join(lines)


def behaviour_table(rows: list[dict[str, Any]]) -> str:
    """The headline rows of a behaviour report, a column a model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    cells = {(row["metric"], row["model"]): row for row in rows}
    lines = ["| metric | " + " | ".join(models) + " |", "|---|" + "---|" * len(models)]
    for metric in metrics:
        shown = [cells.get((metric, model)) for model in models]
        values = ["–" if c is None or c["value"] is None else f"{c['value']:.3f} (n {c['n']})" for c in shown]
        lines.append(f"| {metric} | " + " | ".join(values) + " |")
    return "\n".join(lines)


_ELSE = "; 95 % intervals and all else are in the report."


def keep_behaviour(reports: Sequence[Path], folder: Path) -> None:
    """Keep the headline rows of reports beside the weights; those of each model are the first report's that has it.
    What was kept so of a release before is a report, too."""
    rows: list[dict[str, Any]] = []
    said = []
    for report in reports:
        raw = json.loads(report.read_text())
        known = {row["model"] for row in rows}
        new = [row for row in raw["rows"] if row["metric"] in SHOWN and row["model"] not in known]
        made = f"Made {raw['made']} by `{raw['command']}`" if "command" in raw else raw["made"].removesuffix(_ELSE)
        said.append(f"{', '.join(dict.fromkeys(row['model'] for row in new))}: {made}" if len(reports) > 1 else made)
        rows += new
    made = "; ".join(said) + _ELSE
    (folder / BEHAVIOUR).write_text(json.dumps({"made": made, "rows": rows}, indent=1) + "\n")
