"""The report: JSON for machines, Markdown for people."""

from __future__ import annotations

from typing import Any

from infra.chaos.metrics import LATE_MS, STEADY_S
from infra.chaos.row import broken


def render(report: dict[str, Any]) -> str:
    """Markdown: one line a row, then what each fault was, then what was left out and why."""
    machine = report["machine"]
    lines = [
        "# Chaos",
        "",
        f"`{report['command']}` on {machine['cores']} cores; clients, brokers and services share them. "
        f"{report['processes']}",
        "",
        "Lost: ticks of a session without a turn at its client in the end. Gap: per client the longest time without a "
        "turn from the fault on, 200 ms being none. Recovered: from the fault's begin until all clients have had every "
        f"turn within {LATE_MS:.0f} ms for {STEADY_S:.0f} s (what the supervisor and the fault itself take included).",
        "",
        "| fault | broker | standby | model | sessions | ticks | lost | doubled | disorder | gap p50 ms | gap max ms "
        "| recovered s | resumes | before: p50 / p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in report["rows"]]
    lines += ["", "The log of the same sessions: turns that readers ignore, and what is wrong.", ""]
    lines += ["| fault | standby | repeated | fenced | dead letters | restarts | wrong |", "|---" * 7 + "|"]
    lines += [_log_line(row) for row in report["rows"]]
    lines += ["", "## The faults", ""]
    lines += [f"- **{name}**: {what}" for name, what in report["faults"].items()]
    if report["skipped"]:
        lines += ["", "## Left out", ""]
        lines += [f"- **{one['fault']}**: {one['reason']}" for one in report["skipped"]]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    recovered = "–" if row["recovered_s"] is None else f"{row['recovered_s']:.1f}"
    return (
        f"| {row['fault']} | {row['broker']} | {_yes(row['standby'])} | {row['model']} | {row['sessions']} "
        f"| {row['ticks']} | {row['ticks_lost']} | {row['ticks_doubled']} | {row['order_violations']} "
        f"| {row['gap_ms_p50']:.0f} | {row['gap_ms_max']:.0f} | {recovered} | {row['resumes']} "
        f"| {row['latency_ms_p50']:.0f} / {row['latency_ms_p99']:.0f} |"
    )


def _log_line(row: dict[str, Any]) -> str:
    log = row["log"]
    restarts = ", ".join(f"{name} {count}" for name, count in row["restarts"].items()) or "–"
    wrong = "; ".join([*broken(row), *row["errors"]]) or "nothing"
    return (
        f"| {row['fault']} | {_yes(row['standby'])} | {log['repeated']} | {log['fenced']} | {log['dead']} "
        f"| {restarts} | {wrong} |"
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
