"""Row 13 on the report's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.eval.metrics import Metric
from infra.eval.speech.rows import COST, DNSMOS_BELOW_TEACHER, METRICS, ROW, RTF, WER_ABOVE_TEACHER, aimed
from infra.eval.stacks import READER

LISTED = 40
Cell = Callable[[Mapping[str, Any] | None, Metric], str]
Number = Callable[[float, Metric], str]


def section(report: Mapping[str, Any], cell: Cell, number: Number) -> str:
    """The section about the voice; "" where it was not asked for."""
    facts = report.get("speech")
    if facts is None:
        return ""
    head = f"## Row {ROW}: the voice, as a client hears it\n\n"
    if not facts["recordings"]["scored"]:
        return f"{head}No recordings: `make eval SUITE=speech` makes them."
    rows = {row["metric"]: row for row in report["rows"] if row["model"] == READER}
    parts = [_said(facts), _table(rows, facts, cell, number), _meanings()]
    if facts["picture"]:
        parts.append(f"![one sentence by every voice]({facts['picture']})")
    parts += [_list("Misheard", facts["misheard"]), _list("Broken off", facts["interrupted"])]
    return head + "\n\n".join(part for part in parts if part)


def _said(facts: Mapping[str, Any]) -> str:
    made, teacher = facts["recordings"], facts["teacher"]
    lines = [
        f"{made['scored']} sessions, up to {made['at_once']} at once, by `{facts['voice'] or 'an unknown voice'}`; "
        f"{made['missing']} never played, {made['outdated']} outdated, {len(made['failed'])} failed; "
        f"{made['late_ticks']} of {made['ticks']} turns came late, the sound had {made['underruns']} holes. "
        f"Heard by {facts['recogniser']}.",
        f"The teacher is {teacher['name']}; its figures on the same sentences, by {teacher['recogniser']}, lie in "
        f"`tests/behaviour/{teacher['file']}`, made by `{teacher['made_by']}` "
        f"({teacher['sentences']} sentences, `{teacher['sentences_sha256'][:12]}`). "
        f"Targets: its WER + {WER_ABOVE_TEACHER}, its DNSMOS - {DNSMOS_BELOW_TEACHER}.",
    ]
    return "\n\n".join(lines)


def _table(rows: Mapping[str, Any], facts: Mapping[str, Any], cell: Cell, number: Number) -> str:
    voices: Sequence[str] = facts["voices"]
    lines = [f"| metric | target | all | {' | '.join(voices)} |", "|---|---|---|" + "---|" * len(voices)]
    for plain in (*METRICS, COST):
        metric = aimed(plain, facts["targets"])
        sign = "≥" if metric.better > 0 else "≤"
        target = "" if metric.target is None else f"{sign} {number(metric.target, metric)}"
        cells = [cell(rows.get(f"{metric.name}_{voice}"), metric) for voice in voices]
        arrow = {1: " ↑", -1: " ↓", 0: ""}[metric.better]
        overall = cell(rows.get(metric.name), metric)
        lines.append(f"| {metric.name}{arrow} | {target} | {overall} | {' | '.join(cells)} |")
    if RTF in rows:
        lines += ["", f"`{RTF}`: {rows[RTF]['note']}."]
    return "\n".join(lines)


def _meanings() -> str:
    return "\n".join(f"- `{metric.name}` ({metric.unit}): {metric.says}" for metric in (*METRICS, COST))


def _list(title: str, noted: Sequence[Mapping[str, Any]]) -> str:
    if not noted:
        return ""
    first = f", the first {LISTED}" if len(noted) > LISTED else ""
    listed = (f"- {each['metric']}: {each['note']}" for each in noted[:LISTED])
    return "\n".join([f"### {title}", "", f"{len(noted)} in all{first}:", "", *listed])
