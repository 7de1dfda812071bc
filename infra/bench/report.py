"""Reports: JSON for machines, Markdown for people, both under ``build/reports``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPORTS = Path("build/reports")


def write(name: str, report: dict[str, Any], markdown: str) -> None:
    """Write ``<name>.json`` and ``<name>.md`` and say where."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    (REPORTS / f"{name}.md").write_text(markdown)
    print(markdown)
    print(f"written: {REPORTS / name}.json, {REPORTS / name}.md")


def render(report: dict[str, Any]) -> str:
    """The overhead report as Markdown tables."""
    lines = [
        f"# Overhead: {report['model']}",
        "",
        f"`{report['command']}` on {report['machine']['cores']} cores, clients included. Latency: frame complete in "
        f"capture to its turn at the client; a deadline is missed beyond {report['budget_ms']:.0f} ms.",
        "",
        "| sessions | seconds | ticks | missing | doubled | out of order | p50 ms | p99 ms | max ms | missed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        lines.append(
            f"| {row['sessions']} | {row['seconds']:.0f} | {row['ticks']} | {row['missing']} | {row['doubled']} "
            f"| {row['out_of_order']} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | {row['max_ms']:.1f} "
            f"| {100 * row['miss_rate']:.3f} % |"
        )
    lines += [
        "",
        "## Where the time goes",
        "",
        "Between records becoming visible in neighbouring topics, p50 / p99 / max ms:",
        "",
    ]
    for row in report["rows"]:
        hops = ", ".join(f"{hop} {_hop(values)}" for hop, values in row["stages"].items())
        lines.append(f"- {row['sessions']} sessions: {hops}")
    lines += ["", "## Processor, in cores", ""]
    for row in report["rows"]:
        cores = ", ".join(f"{name} {value:.2f}" for name, value in sorted(row["cores"].items()))
        lines.append(f"- {row['sessions']} sessions: {cores}, clients {row['clients_cpu_s'] / row['seconds']:.2f}")
    return "\n".join(lines) + "\n"


def _hop(values: dict[str, float]) -> str:
    if not values.get("frames"):
        return "no frames"
    return f"{values['p50_ms']:.1f} / {values['p99_ms']:.1f} / {values['max_ms']:.1f}"
