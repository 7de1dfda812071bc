"""The behaviour report for people: the same facts as ``behaviour.json``, nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.eval.metrics import BY_NAME, HEADLINES, METRICS, ROWS, How, Metric
from infra.eval.rows import TEXT
from infra.eval.speech.page import section

FAILURES_LISTED = 40
_PLACES = {"share": 3, "s": 2, "ms": 1, "per min": 2, "words": 2, "distance": 3, "ticks": 0, "mos": 2, "cores": 3}
_BETTER = {1: "↑", -1: "↓", 0: ""}
_Report = dict[str, Any]
_Rows = dict[tuple[str, str], dict[str, Any]]


def render(report: _Report) -> str:
    """The whole page."""
    rows: _Rows = {(row["metric"], row["model"]): row for row in report["rows"]}
    models = [model for model in report["models"] if model["scored"]]
    names = [model["model"] for model in models]
    voice = section(report, _cell, _number)
    if not models:
        return "\n\n".join(part for part in (_head(report, models), voice) if part) + "\n"
    parts = [
        _head(report, models),
        "## The twelve rows\n\n" + _table([BY_NAME[name] for name in HEADLINES], rows, names) + _row12(report),
        "![overview](behaviour/overview.png)\n\n![latency](behaviour/latency.png)",
        voice,
        _checks(report["checks"], names),
        _cross_check(rows, models),
        _failures(report["failures"]),
        "## Every metric\n\n" + _every(rows, names),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- what was measured --------------------------------------------------------------------------------------------


def _head(report: _Report, models: Sequence[dict[str, Any]]) -> str:
    machine = report["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    suites = ", ".join(f"{s['name']} ({s['scenarios']}, `{s['sha256'][:12]}`)" for s in report["suites"])
    lines = [
        "# Behaviour",
        "",
        f"Made {report['made']} by `{report['command']}` at {machine['commit']} on {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, "
        f"{packages}.",
        f"Scenarios: {suites}.",
        "",
        "What a client received is scored by rules over the script (docs/behaviour.md). Cells: value "
        "[95 % interval] n. ↑ more is better, ↓ less is better. A rate with n < 10 is hidden (–). Published "
        "figures were measured on **other data**: same definition, not the same benchmark. What nothing was observed "
        "of is left out.",
    ]
    if models:
        lines += _played(models)
    absent = [model["model"] for model in report["models"] if not model["scored"]]
    if absent:
        lines += ["", f"No recordings: {', '.join(absent)}."]
    return "\n".join(lines)


def _played(models: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "",
        "| model | scenarios | never played | outdated | failed | of another version | judged by "
        "| player's worst message late, median / max ms | over 200 ms in |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model in models:
        heard = ", ".join(["its sound", *model["recognised_by"]])
        by = heard if model["voice"] else "**its written words: it has no voice**"
        late = f"{model['player_late_p50_ms']} / {model['player_late_max_ms']}"
        lines.append(
            f"| {model['model']} | {model['scored']} | {model['missing']} | {model['outdated']} "
            f"| {len(model['failed'])} | {model['other_version']} | {by} | {late} | {model['player_too_late']} |"
        )
    if any(model["player_too_late"] for model in models):
        lines += [
            "",
            "Where the player itself was late, the machine was too busy to measure: the user's words reached the model "
            "late, and every latency of that conversation is too long.",
        ]
    return lines


def _table(metrics: Iterable[Metric], rows: _Rows, names: Sequence[str], suffix: str = "") -> str:
    lines = [
        f"| | metric | target | published, other data | {' | '.join(names)} |",
        "|---|---|---|---|" + "---|" * len(names),
    ]
    last = 0
    for metric in metrics:
        if not any((rows.get((metric.name + suffix, name)) or {"n": 0})["n"] for name in names):
            continue
        title = f"{metric.row} {ROWS[metric.row]}" if metric.row != last else ""
        last = metric.row
        sign = "≥" if metric.better > 0 else "≤"
        target = "" if metric.target is None else f"{sign} {_number(metric.target, metric)}"
        known = "" if metric.published is None else f"{_number(metric.published, metric)} ({metric.published_by})"
        cells = " | ".join(_cell(rows.get((metric.name + suffix, name)), metric) for name in names)
        lines.append(f"| {title} | {metric.name}{suffix} {_BETTER[metric.better]} | {target} | {known} | {cells} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None, metric: Metric) -> str:
    if row is None:
        return ""
    if row["value"] is None:
        return f"– n={row['n']}"
    text = f"**{_number(row['value'], metric)}**"
    if row["low"] is not None and row["high"] is not None:
        text += f" [{_number(row['low'], metric)}, {_number(row['high'], metric)}]"
    return f"{text} n={row['n']}" + (f" ({row['note']})" if metric.how == How.WEAKEST else "")


def _number(value: float, metric: Metric) -> str:
    return f"{value:.{_PLACES[metric.unit]}f}"


def _row12(report: _Report) -> str:
    told = []
    for name, each in report["elsewhere"].items():
        made = f"[{each['made']}]({name}.md)" if each["made"] else "no report here"
        told.append(f"`{each['command']}` ({made})")
    return f"\n\nRow 12, {ROWS[12]}, is measured by other commands: {', '.join(told)}."


def _every(rows: _Rows, names: Sequence[str]) -> str:
    what = "\n".join(f"- `{metric.name}` ({metric.unit}): {metric.says}" for metric in METRICS)
    return f"{_table(METRICS, rows, names)}\n\n{what}"


# --- what it says about itself ------------------------------------------------------------------------------------


def _checks(checks: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for found in checks:
        by_kind[found["kind"]].append(found)
    lines = ["## Do the metrics measure what they say?", ""]
    lines.append(f"The oracle reaches 99 % of {len(by_kind['passed'])} rates.")
    for found in by_kind["oracle"]:
        lines.append(f"- **oracle short** {found['metric']}: {found['text']}")
    for found in by_kind["defect"]:
        lines.append(f"- **metric defect** {found['metric']}: {found['text']}")
    if by_kind["unchecked"]:
        names_of = ", ".join(found["metric"] for found in by_kind["unchecked"])
        lines.append(f"- unchecked, for the oracle has no value there (no recordings, or n < 10): {names_of}")
    lines.append("")
    controls = [name for name in ("always_silent", "always_talking") if name in names]
    if controls and not by_kind["defect"]:
        lines.append(f"No metric is won by {' or '.join(controls)}, each judged with its opposite (docs/behaviour.md).")
    if not controls:
        lines.append("There are no recordings of the controls: whether they win something is unchecked.")
    return "\n".join(lines)


def _cross_check(rows: _Rows, models: Sequence[dict[str, Any]]) -> str:
    voiced = [model["model"] for model in models if model["voice"]]
    if not voiced:
        return ""
    wordy = [BY_NAME[name] for name in HEADLINES if BY_NAME[name].words]
    head = "## Cross-check: the same sound, with the words that the model wrote\n\n"
    return head + _table(wordy, rows, voiced, TEXT)


def _failures(failures: Sequence[dict[str, Any]]) -> str:
    lines = ["## Failures"]
    for model in dict.fromkeys(each["model"] for each in failures):
        own = [each for each in failures if each["model"] == model]
        counts = ", ".join(f"{metric} {count}" for metric, count in Counter(e["metric"] for e in own).most_common())
        lines += ["", f"### {model}", "", f"{len(own)} in all: {counts}."]
        pictured = [each for each in own if each["timeline"]][:FAILURES_LISTED]
        if pictured:
            lines += ["", "| scenario | at s | metric | what happened |", "|---|---|---|---|"]
        for each in pictured:
            link = f"[{each['scenario']}]({each['timeline']})"
            lines.append(f"| {link} | {each['at_s']} | {each['metric']} | {each['note']} |")
    return "\n".join(lines) if len(lines) > 1 else ""
