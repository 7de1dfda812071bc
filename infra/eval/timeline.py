"""Draws one scenario as one model played it: what the user did, what the model did, and what was expected when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from infra.eval.collect import Played
from infra.eval.satisfied import satisfied
from infra.eval.scenario import Role, Want
from infra.eval.scorers.delegation import SETTLED, pending_spans
from infra.eval.take import Observation, Take, begin_ms, finish_ms
from schemas.ticks import FRAME_MS

INK, SOFT, GRID = "#17212b", "#5d6b79", "#e6ebf0"
ROLES = {
    Role.TURN: "#1f7ae0",
    Role.CONTINUATION: "#1f7ae0",
    Role.INTERRUPTION: "#d1345b",
    Role.BACKCHANNEL: "#d9a400",
    Role.TIC: "#8d6e63",
    Role.ASIDE: "#7c5cd6",
    Role.BACKGROUND: "#9aa5b1",
    Role.NOISE: "#dfe5eb",
}
FLOOR = {"hold": "#e3e8ed", "take": "#12a187", "backchannel": "#d9a400", "yield": "#e2703a"}
MET = {True: "#12a187", False: "#d1345b", None: "#b5bfca"}
TASK, VIDEO = "#7c5cd6", "#b25b12"
_WIDTH_IN, _HEIGHT_IN = 16.0, 6.4
_CHARS_ACROSS = 205.0  # of 8 pt, over the whole width
_EXPECT_ROWS = 4

# From the top: the user's sound and words, the camera, the model's sound and words, floor, background, expectations.
_USER_Y, _USER_TEXT_Y, _VIDEO_Y, _MODEL_Y = 9.2, 7.9, 7.2, 6.0
_MODEL_TEXT_Y, _FLOOR_Y, _TASK_Y, _EXPECT_Y = 4.9, 3.9, 3.3, 0.2


def draw(played: Played, observations: Sequence[Observation], path: Path) -> Path:
    """Write the picture of one take (PNG). ``observations`` are its own; what failed is written below the title."""
    take = played.take
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    seconds = take.scenario.duration_ms / 1000
    _frame(axes, seconds)
    _user(axes, take, played.folder / "user.wav", seconds)
    _model(axes, take, played.folder / "model.wav", seconds)
    _tasks(axes, take, seconds)
    _expectations(axes, take, seconds)
    failed = [f"{o.metric}: {o.note or 'failed'}" for o in observations if o.failed]
    text = "   ·   ".join(failed) if failed else "nothing failed"
    axes.set_title(f"{take.recording.model}   {take.scenario.id}", loc="left", fontsize=12, color=INK, pad=22)
    colour = MET[not failed]
    axes.text(0, 1.015, _cut(text, 190), transform=axes.transAxes, fontsize=9, color=colour, va="bottom")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=10, frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _frame(axes: Any, seconds: float) -> None:
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, 10.2)
    labels = {_USER_Y: "user", _VIDEO_Y + 0.15: "camera", _MODEL_Y: "model", _FLOOR_Y + 0.2: "floor, by tick",
              _TASK_Y + 0.15: "background", _EXPECT_Y + 1.3: "expected"}  # fmt: skip
    axes.set_yticks(list(labels), list(labels.values()), fontsize=9, color=SOFT)
    axes.tick_params(length=0, labelcolor=SOFT)
    axes.set_xticks(np.arange(0, seconds + 0.01, 1.0 if seconds <= 24 else 2.0))
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("s", fontsize=9, color=SOFT)
    for side in axes.spines.values():
        side.set_visible(False)


def _user(axes: Any, take: Take, sound: Path, seconds: float) -> None:
    for clip in sorted(take.scenario.clips, key=lambda c: c.role != Role.NOISE):
        start, end = begin_ms(clip) / 1000, finish_ms(clip) / 1000
        faint = 0.25 if clip.role == Role.NOISE else 0.22
        axes.add_patch(Rectangle((start, _USER_Y - 0.9), end - start, 1.8, color=ROLES[clip.role], alpha=faint, lw=0))
        if clip.role != Role.NOISE:
            label = _cut(clip.text or clip.role.value, int((end - start) / seconds * _CHARS_ACROSS) + 14)
            axes.text(start, _USER_TEXT_Y, label, fontsize=8, color=ROLES[clip.role], va="center", clip_on=True)
    _wave(axes, sound, _USER_Y, "#1f5fa8", take.recording.start_offset_ms, seconds)
    for event in take.scenario.video:
        start, end = event.start_ms / 1000, event.end_ms / 1000
        axes.add_patch(Rectangle((start, _VIDEO_Y), end - start, 0.3, facecolor="#f5e6d8", edgecolor=VIDEO, lw=0.6))
        colour = event.params.get("colour", "")
        axes.text(start + 0.03, _VIDEO_Y + 0.15, f"{event.kind} {colour}", fontsize=7.5, color=VIDEO, va="center")
        marks = [mark / 1000 for mark in event.marks_ms]
        axes.plot(marks, [_VIDEO_Y + 0.42] * len(marks), "v", ms=4, color=VIDEO)


def _model(axes: Any, take: Take, sound: Path, seconds: float) -> None:
    for segment in take.speech.segments:
        start, length = segment.start_ms / 1000, segment.length_ms / 1000
        axes.add_patch(Rectangle((start, _MODEL_Y - 0.8), length, 1.6, color=FLOOR["take"], alpha=0.18, lw=0))
    if take.speech.voiced:
        _wave(axes, sound, _MODEL_Y, "#0b6b5a", take.recording.start_offset_ms, seconds)
    _words(axes, [(word.start_ms / 1000, word.text) for word in take.speech.words], seconds)
    for tick in take.recording.ticks:
        at = ((tick.tick + 1) * FRAME_MS - take.recording.start_offset_ms) / 1000
        axes.add_patch(Rectangle((at, _FLOOR_Y), 0.19, 0.4, color=FLOOR.get(tick.floor, GRID), lw=0))


def _words(axes: Any, words: Sequence[tuple[float, str]], seconds: float) -> None:
    """Each word below its begin, in the first of three lines that has room there."""
    ends = [-1.0, -1.0, -1.0]
    for at, word in words:
        line = next((i for i, end in enumerate(ends) if end <= at), int(np.argmin(ends)))
        place = max(at, ends[line])
        ends[line] = place + (len(word) + 1) * seconds / _CHARS_ACROSS
        axes.text(place, _MODEL_TEXT_Y - 0.28 * line, word, fontsize=8, color="#0b6b5a", va="center", clip_on=True)


def _tasks(axes: Any, take: Take, seconds: float) -> None:
    for start, end in pending_spans(take):
        box = Rectangle((start / 1000, _TASK_Y), (end - start) / 1000, 0.3, facecolor="#f3f0fb", edgecolor=TASK)
        axes.add_patch(box)
    for result in take.recording.results:
        if result.kind in SETTLED:
            at = (result.arrived_ms - take.recording.start_offset_ms) / 1000
            axes.plot(at, _TASK_Y + 0.15, "D", ms=5, color=TASK)
            label = _cut(f"{result.kind}: {result.text}", int((seconds - at) / seconds * _CHARS_ACROSS) - 2)
            axes.text(at + 0.1, _TASK_Y + 0.15, label, fontsize=8, color=TASK, va="center", clip_on=True)


def _expectations(axes: Any, take: Take, seconds: float) -> None:
    ends = [-1.0] * _EXPECT_ROWS
    for wanted in take.wants(*Want):
        start, end = wanted.from_ms / 1000, max(wanted.to_ms, wanted.from_ms + 60) / 1000
        line = next((i for i, e in enumerate(ends) if e <= start), int(np.argmin(ends)))
        meanings = " / ".join(m.split("|")[0] if " " not in m else m for m in wanted.meanings)
        label = f"{wanted.want.value} {meanings}".strip()
        ends[line] = max(end, start + (len(label) + 1) * seconds / _CHARS_ACROSS)
        y = _EXPECT_Y + 0.72 * (_EXPECT_ROWS - 1 - line)
        colour = MET[satisfied(take, wanted)]
        axes.add_patch(Rectangle((start, y), end - start, 0.56, facecolor=colour, alpha=0.25, edgecolor=colour, lw=1.2))
        axes.text(start + seconds / 400, y + 0.28, label, fontsize=8, color=INK, va="center", clip_on=True)


def _wave(axes: Any, path: Path, middle: float, colour: str, offset_ms: float, seconds: float) -> None:
    """The sound's envelope, 20 ms a step, loudest as high as its lane."""
    if not path.exists():
        return
    values, rate_hz = soundfile.read(path, dtype="float32")
    size = rate_hz // 50
    part: npt.NDArray[np.float32] = values[: len(values) // size * size].reshape(-1, size)
    peak = max(0.02, float(np.abs(part).max())) if len(part) else 1.0
    at = (np.arange(len(part)) + 0.5) / 50 - offset_ms / 1000
    shown = at <= seconds
    low, high = part.min(axis=1) / peak, part.max(axis=1) / peak
    low, high = middle + 0.85 * low[shown], middle + 0.85 * high[shown]
    axes.fill_between(at[shown], low, high, color=colour, lw=0.3, zorder=3)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"


def _legend() -> list[Patch]:
    named = [(role.value, ROLES[role]) for role in Role if role != Role.CONTINUATION]
    return [
        *(Patch(facecolor=colour, alpha=0.4, label=name) for name, colour in named),
        *(Patch(facecolor=colour, label=f"model: {name}") for name, colour in FLOOR.items()),
        *(Patch(facecolor=MET[met], alpha=0.4, edgecolor=MET[met], label=name)
          for met, name in ((True, "met"), (False, "not met"), (None, "could not be asked"))),
    ]  # fmt: skip
