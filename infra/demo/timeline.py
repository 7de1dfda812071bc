"""Draws a conversation as a picture: what the user did and what the model did, tick by tick, in rows of 20 s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from infra.demo.conversation import Conversation
from infra.demo.recording import Recording
from infra.demo.summary import Summary
from schemas.records import Floor, UserActivity
from schemas.ticks import FRAME_MS
from shared.audio import samples

ROW_TICKS = 100
MAX_ROWS = 30
_TICKS_A_SECOND = 1000 // FRAME_MS
_WIDTH_IN, _ROW_IN = 18.0, 3.0
_CHAR_TICKS = 0.44  # width of a character of 8 pt, in ticks
_INK, _SOFT, _GRID = "#17212b", "#5d6b79", "#e6ebf0"
_USER, _USER_SOFT, _ENDED, _TASK, _TASK_SOFT = "#1f7ae0", "#e3effc", "#0d4a94", "#7c5cd6", "#e9e3fb"
_FLOOR = {Floor.HOLD: "#e3e8ed", Floor.TAKE: "#12a187", Floor.BACKCHANNEL: "#d9a400", Floor.YIELD: "#e2703a"}
_WORD_ROWS = 3
_EVENTS = {"weave_started": "weaves", "weave_finished": "woven", "weave_paused": "paused", "weave_dropped": "dropped"}

# Heights in a row, from the bottom: background tasks, words said, floor, words heard, the user's sound.
_TASKS_Y, _SAID_Y, _FLOOR_Y, _HEARD_Y, _WAVE_Y = 0.35, 3.05, 3.65, 5.95, 7.3
_TOP = 8.3


@dataclass(frozen=True, slots=True)
class Task:
    """A background task for display: from its delegation to its last result."""

    task_id: str
    first_tick: int
    last_tick: int
    text: str
    running: bool


def tasks_of(conversation: Conversation) -> list[Task]:
    """All background tasks, in order of their begin."""
    begun: dict[str, int] = {}
    for heard in conversation.heard:
        for event in heard.turn.events:
            if event.name == "delegated":
                begun.setdefault(event.task_id, heard.turn.tick)
    last: dict[str, int] = {}
    text: dict[str, str] = {}
    done: set[str] = set()
    for tick, result in conversation.results:
        begun.setdefault(result.task_id, max(0, tick))
        if result.task_id in done:
            continue
        last[result.task_id] = tick
        if result.kind == "partial":
            text[result.task_id] = text.get(result.task_id, "") + result.text
        elif result.kind in ("final", "error", "cancelled"):
            text[result.task_id] = result.text if result.kind == "final" else f"{result.kind}: {result.text}"
            done.add(result.task_id)
    end = conversation.last_tick
    return [
        Task(task_id, first, max(first, last.get(task_id, end)), text.get(task_id, "…"), task_id not in done)
        for task_id, first in sorted(begun.items(), key=lambda item: item[1])
    ]


def draw(conversation: Conversation, recording: Recording, summary: Summary, path: Path) -> None:
    """Write the picture (PNG). A conversation of more than ten minutes is drawn up to there."""
    matplotlib.rcParams["font.family"] = "DejaVu Sans"
    rows = min(MAX_ROWS, max(1, -(-summary.ticks // ROW_TICKS)))
    head_in, foot_in = 0.85, 0.55
    height = rows * _ROW_IN + head_in + foot_in
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=100, facecolor="white")
    tasks = tasks_of(conversation)
    for row in range(rows):
        bottom = (height - head_in - (row + 1) * _ROW_IN + 0.3) / height
        axes = figure.add_axes((0.068, bottom, 0.917, (_ROW_IN - 0.3) / height))
        _draw_row(axes, row * ROW_TICKS, conversation, recording, tasks)
    _draw_head(figure, recording, summary, height)
    figure.legend(handles=_legend(), loc="lower center", ncol=9, frameon=False, fontsize=9.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several conversations over the same input, under its name."""

    name: str
    conversation: Conversation


def draw_lanes(lanes: Sequence[Lane], recording: Recording, title: str, note: str, path: Path) -> None:
    """Write a picture (PNG) with the conversations one above the other, 20 s by 20 s, at most ten minutes."""
    matplotlib.rcParams["font.family"] = "DejaVu Sans"
    ticks = max((lane.conversation.last_tick + 1 for lane in lanes), default=0)
    strips = min(MAX_ROWS, max(1, -(-ticks // ROW_TICKS)))
    head_in, foot_in, gap_in = 0.85, 0.55, 0.35
    strip_in = len(lanes) * _ROW_IN + gap_in
    height = strips * strip_in + head_in + foot_in
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=100, facecolor="white")
    tasks = [tasks_of(lane.conversation) for lane in lanes]
    for strip in range(strips):
        for number, lane in enumerate(lanes):
            bottom_in = height - head_in - strip * strip_in - (number + 1) * _ROW_IN + 0.3
            axes = figure.add_axes((0.068, bottom_in / height, 0.917, (_ROW_IN - 0.45) / height))
            _draw_row(axes, strip * ROW_TICKS, lane.conversation, recording, tasks[number])
            axes.text(0, 1.015, lane.name, transform=axes.transAxes, fontsize=10, fontweight="bold", color=_INK)
    y = 1 - 0.36 / height
    figure.text(0.012, y, title, fontsize=16, fontweight="bold", color=_INK)
    figure.text(0.992, y, note, fontsize=10.5, color=_SOFT, ha="right")
    figure.legend(handles=_legend(), loc="lower center", ncol=9, frameon=False, fontsize=9.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_head(figure: Figure, recording: Recording, summary: Summary, height: float) -> None:
    y = 1 - 0.36 / height
    figure.text(0.012, y, f"{recording.path.name}, tick by tick", fontsize=16, fontweight="bold", color=_INK)
    figure.text(
        0.992,
        y,
        f"{summary.ticks} ticks of {FRAME_MS} ms · {summary.turns} turns, {summary.missing} missing, "
        f"{summary.doubled} doubled · latency p50 {summary.p50_ms:.0f} ms, p99 {summary.p99_ms:.0f} ms · "
        f"{summary.delegations} delegated, {summary.woven} woven",
        fontsize=10.5,
        color=_SOFT,
        ha="right",
    )


def _draw_row(axes: Any, first: int, conversation: Conversation, recording: Recording, tasks: list[Task]) -> None:
    last = first + ROW_TICKS
    axes.set_xlim(first, last)
    axes.set_ylim(0, _TOP)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_yticks([_WAVE_Y, _FLOOR_Y + 0.3, 1.0], ["You", "Model", "Background"], fontsize=11, fontweight="bold")
    axes.tick_params(length=0, colors=_SOFT)
    for label, colour in zip(axes.get_yticklabels(), (_USER, _FLOOR[Floor.TAKE], _TASK), strict=True):
        label.set_color(colour)
    seconds = range(first, last + 1, _TICKS_A_SECOND)
    axes.set_xticks(list(seconds), [_clock(tick) for tick in seconds], fontsize=8.5)
    axes.set_xticks(range(first, last + 1), minor=True)
    axes.grid(axis="x", which="major", color="#d3dae1", linewidth=0.8)
    axes.grid(axis="x", which="minor", color=_GRID, linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    axes.set_axisbelow(True)
    for y in (2.25, 5.0):
        axes.axhline(y, color="#c3ccd6", linewidth=0.8)
    _draw_user(axes, first, last, conversation, recording)
    _draw_model(axes, first, last, conversation)
    _draw_tasks(axes, first, last, tasks)


def _draw_user(axes: Any, first: int, last: int, conversation: Conversation, recording: Recording) -> None:
    words = _Words(axes, _HEARD_Y, _USER, first)
    for heard in conversation.heard:
        turn = heard.turn
        if not first <= turn.tick < last:
            continue
        if turn.user == UserActivity.SPEAKING:
            axes.add_patch(Rectangle((turn.tick, _WAVE_Y - 0.9), 1, 1.8, color=_USER_SOFT, linewidth=0))
        elif turn.user == UserActivity.ENDED:
            axes.add_patch(Rectangle((turn.tick, _WAVE_Y - 0.9), 1, 1.8, color=_ENDED, alpha=0.85, linewidth=0))
        if turn.gap_ms >= FRAME_MS // 2:
            box = Rectangle((turn.tick, _WAVE_Y - 0.9), 1, 1.8, fill=False, hatch="////", edgecolor="#b5bfca")
            box.set_linewidth(0)
            axes.add_patch(box)
        words.add(turn.tick, turn.user_text)
    at, low, high = _envelope(recording, first, last)
    axes.fill_between(at, _WAVE_Y + 0.85 * low, _WAVE_Y + 0.85 * high, color=_USER, linewidth=0.3, step="mid", zorder=3)


def _draw_model(axes: Any, first: int, last: int, conversation: Conversation) -> None:
    words = _Words(axes, _SAID_Y + 0.2, _FLOOR[Floor.TAKE], first)
    labelled = float(first)
    for heard in conversation.heard:
        turn = heard.turn
        if not first <= turn.tick < last:
            continue
        colour = _FLOOR[Floor(turn.floor)]
        axes.add_patch(Rectangle((turn.tick + 0.04, _FLOOR_Y + 0.1), 0.92, 0.75, color=colour, linewidth=0, zorder=2))
        words.add(turn.tick, turn.text, colour if turn.floor != Floor.HOLD else None)
        for name in (event.name for event in turn.events if event.name != "ui"):
            axes.plot(turn.tick + 0.5, _FLOOR_Y + 1.08, marker="v", markersize=6, color=_TASK, zorder=4)
            label = _EVENTS.get(name, name.replace("_", " "))
            at = turn.tick + 1.1
            if at >= labelled:  # a label that has no room at its mark would be taken for another's
                axes.text(at, _FLOOR_Y + 1.08, label, fontsize=7.5, va="center", color=_TASK, clip_on=True)
                labelled = at + (len(label) + 2) * _CHAR_TICKS


def _draw_tasks(axes: Any, first: int, last: int, tasks: list[Task]) -> None:
    for number, task in enumerate(tasks):
        if task.last_tick < first or task.first_tick >= last:
            continue
        y = _TASKS_Y + 0.62 * (2 - number % 3)
        begin, end = max(task.first_tick, first), min(task.last_tick + 1, last)
        colour = _TASK_SOFT if not task.running else "#f3f0fb"
        axes.add_patch(Rectangle((begin, y), end - begin, 0.52, facecolor=colour, edgecolor=_TASK, linewidth=0.8))
        if task.first_tick >= first or begin == first:
            room = int((last - begin) / _CHAR_TICKS) - 2
            text = task.text if len(task.text) <= room else task.text[: max(0, room - 1)] + "…"
            axes.text(begin + 0.4, y + 0.24, text, fontsize=8, va="center", color=_INK, clip_on=True, zorder=4)


class _Words:
    """Places words in rows, one below the other, so that none covers another."""

    def __init__(self, axes: Any, top: float, colour: str, first: int) -> None:
        self._axes, self._top, self._colour = axes, top, colour
        self._ends = [float(first)] * _WORD_ROWS

    def add(self, tick: int, text: str, colour: str | None = None) -> None:
        for word in text.split():
            free = [row for row, end in enumerate(self._ends) if end <= tick]
            row = free[0] if free else int(np.argmin(self._ends))
            at = max(float(tick), min(self._ends[row], tick + 4.0))
            self._ends[row] = at + (len(word) + 1.2) * _CHAR_TICKS
            self._axes.text(
                at + 0.1,
                self._top - 0.42 * row,
                word,
                fontsize=8,
                color=colour or self._colour,
                va="center",
                clip_on=True,
                zorder=4,
            )


def _envelope(recording: Recording, first: int, last: int) -> tuple[Any, Any, Any]:
    """Lowest and highest sample of every 20 ms, scaled to the recording's loudest; x in ticks."""
    size = recording.rate_hz // 50
    values = samples(recording.pcm).astype(np.float32)
    peak = max(1.0, float(np.abs(values).max()))
    start = first * recording.rate_hz * FRAME_MS // 1000
    stop = last * recording.rate_hz * FRAME_MS // 1000
    part = values[start:stop]
    part = part[: len(part) // size * size].reshape(-1, size) / peak
    at = first + (np.arange(len(part)) + 0.5) * (20 / FRAME_MS)
    if not len(part):
        return at, np.zeros(0), np.zeros(0)
    return at, part.min(axis=1), part.max(axis=1)


def _legend() -> list[Patch]:
    kinds = (
        ("you speak, as the model believes", _USER_SOFT),
        ("your turn ended", _ENDED),
        ("model listens", _FLOOR[Floor.HOLD]),
        ("speaks", _FLOOR[Floor.TAKE]),
        ("backchannel", _FLOOR[Floor.BACKCHANNEL]),
        ("yields", _FLOOR[Floor.YIELD]),
        ("background task", _TASK_SOFT),
    )
    return [
        *(Patch(facecolor=colour, edgecolor="#b5bfca", linewidth=0.4, label=name) for name, colour in kinds),
        Patch(facecolor="white", edgecolor="#b5bfca", hatch="////", linewidth=0.4, label="gap"),
    ]


def _clock(tick: int) -> str:
    seconds = tick // _TICKS_A_SECOND
    return f"{seconds // 60}:{seconds % 60:02d}"
