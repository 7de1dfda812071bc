"""The two pictures of the report: latencies as distributions, and the headlines of all models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from infra.eval.metrics import BY_NAME, ROWS, Metric
from infra.eval.rows import Row
from infra.eval.timeline import GRID, INK, SOFT

COLOURS = {
    "nano": "#1f7ae0",
    "harness": "#e2703a",
    "vad_500": "#c9a227",
    "vad_1500": "#8d6e63",
    "always_silent": "#9aa5b1",
    "always_talking": "#d1345b",
    "oracle": "#12a187",
}
PANELS = (
    "turn_latency_p50_s", "tor", "pause_tor", "smooth_turns", "backchannel_f1", "S_BC", "S_VT", "S_ND", "R_Y", "L_Y_s",
    "respond_rate", "cue_speak", "time_speak", "rep_count", "action_iou", "pauc_05", "filler_s", "weave_rate",
)  # fmt: skip
_ACROSS = 6
_OTHER = "#5d6b79"
_Found = Mapping[tuple[str, str], Row]


def colour_of(model: str) -> str:
    return COLOURS.get(model, _OTHER)


def latencies(values: Mapping[str, Sequence[float]], path: Path) -> Path:
    """Cumulative distributions of the signed turn-taking latency in s, a line a model."""
    figure = Figure(figsize=(10, 4.6), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    for model, seconds in values.items():
        if not seconds:
            continue
        at = np.sort(np.asarray(seconds, float))
        share = np.arange(1, len(at) + 1) / len(at)
        label = f"{model} (n = {len(at)}, median {np.median(at):.2f} s)"
        axes.step(np.r_[at[0], at], np.r_[0.0, share], where="post", color=colour_of(model), lw=1.8, label=label)
    axes.axvline(0, color=INK, lw=0.8)
    axes.axvline(0.4, color=SOFT, lw=0.8, ls="--")
    axes.text(0.41, 0.02, "target median 0.4 s", fontsize=8, color=SOFT)
    _quiet(axes)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("s from the end of the user's turn to the model's first sound or word (negative: before the end)")
    axes.set_ylabel("share of answered turns")
    axes.set_title("Turn-taking latency, signed", loc="left", fontsize=11, color=INK)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def overview(rows: Sequence[Row], models: Sequence[str], path: Path) -> Path:
    """A panel a headline metric: every model's value with its interval, the target, the best published figure."""
    found = {(row.metric, row.model): row for row in rows}
    down = -(-len(PANELS) // _ACROSS)
    figure = Figure(figsize=(3.0 * _ACROSS, 0.6 + down * (0.9 + 0.24 * len(models))), dpi=80, layout="constrained")
    grid = figure.subplots(down, _ACROSS, squeeze=False)
    for place, name in enumerate(PANELS):
        _panel(grid[place // _ACROSS][place % _ACROSS], BY_NAME[name], models, found, names=place % _ACROSS == 0)
    for place in range(len(PANELS), down * _ACROSS):
        grid[place // _ACROSS][place % _ACROSS].set_visible(False)
    figure.suptitle(
        "Behaviour: value and 95 % interval.  - - target   · · best published figure (on other data)   – no value",
        fontsize=11, color=INK, ha="left", x=0.01,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _panel(axes: Any, metric: Metric, models: Sequence[str], found: _Found, *, names: bool) -> None:
    across = axes.get_yaxis_transform()
    for y, model in enumerate(reversed(models)):
        row = found.get((metric.name, model))
        if row is None or row.value is None:
            axes.text(0.02, y, "–", fontsize=9, color=SOFT, va="center", transform=across)
            continue
        axes.barh(y, row.value, height=0.62, color=colour_of(model), alpha=0.85)
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [y, y], color=INK, lw=1.2)
        axes.text(1.02, y, f"{row.value:.2f}", fontsize=7.5, color=INK, va="center", transform=across)
    if metric.target is not None:
        axes.axvline(metric.target, color=INK, lw=1.0, ls="--")
    if metric.published is not None:
        axes.axvline(metric.published, color=SOFT, lw=1.2, ls=":")
    if metric.unit == "share":
        axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(models) - 0.4)
    axes.set_yticks(range(len(models)), list(reversed(models)) if names else [""] * len(models), fontsize=8)
    better = {1: "more is better", -1: "less is better", 0: ""}[metric.better]
    axes.set_title(f"{metric.name}\n", loc="left", fontsize=9.5, color=INK)
    axes.text(0, 1.02, f"{metric.row} {ROWS[metric.row]}, {better}", fontsize=7, color=SOFT, transform=axes.transAxes)
    _quiet(axes)


def _quiet(axes: Any) -> None:
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
