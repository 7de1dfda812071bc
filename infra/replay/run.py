"""One replay from a session to a verdict: which inputs, which model, what was compared, what is said about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from infra.replay import encode, models
from infra.replay.compare import NOT_COMPARED, Comparison, compare_frames, compare_turns
from infra.replay.recorded import Input, Recorded
from infra.replay.rerun import Rerun, counterfactual, follow

Source = Literal["encoder", "capture"]


class CannotReplay(ValueError):
    """What would be needed is not there; the message says what."""


@dataclass(slots=True)
class Verdict:
    """``lines`` are for people, ``report`` for programs. ``identical`` is None where nothing had to be."""

    identical: bool | None
    rerun: Rerun
    lines: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


async def same(recorded: Recorded, model_dir: Path, source: Source) -> Verdict:
    """Run the session again by the model that answered it, and compare every byte.

    Raises:
        WrongModel: the folder holds another model or encoder.
        CannotReplay: nothing is left that could be compared.
    """
    comparison = Comparison()
    model = models.of(recorded, model_dir)
    inputs = recorded.inputs()
    if source == "capture":
        inputs = await _encoded(recorded, inputs, model_dir, comparison)
    rerun = follow(model, recorded, inputs, models.voice_of(recorded, model))
    compare_turns(recorded, rerun, comparison)
    if not comparison.turns:
        raise CannotReplay(
            f"session {recorded.session_id}: {len(recorded.turns)} turns, but the frames before them are gone: "
            f"{model.context_ticks} ticks must be taken in before one can be compared"
        )
    return _verdict(recorded, rerun, comparison, source)


async def _encoded(
    recorded: Recorded, inputs: dict[int, Input], model_dir: Path, comparison: Comparison
) -> dict[int, Input]:
    encoded = await encode.encode_again(recorded, model_dir)
    version = next(iter(encoded.values())).encoder_version if encoded else ""
    if version not in recorded.encoders:
        raise models.WrongModel(
            f"session {recorded.session_id} was encoded by {' and '.join(recorded.encoders)}, but {model_dir} holds "
            f"{version}"
        )
    ticks = [tick for tick in encode.comparable(inputs, encoded) if inputs[tick].frame.encoder_version == version]
    compare_frames(inputs, encoded, ticks, comparison)
    return encode.replaced(inputs, encoded)


async def other(recorded: Recorded, name: str, model_dir: Path, source: Source, out: Path) -> Verdict:
    """Run another model over the session's input; draws both into ``out/timeline.png``.

    A model that wants another encoder than the recorded one gets the frames encoded again by its own, from
    ``capture.frames``.

    Raises:
        WrongModel: there is no such model.
        CannotReplay: there is no input that it understands.
    """
    from infra.replay import lanes  # draws: of no use, and slow to load, where nothing is drawn

    model = models.load(name)
    inputs = recorded.inputs()
    wanted = model.encoder_version
    if source == "capture" or (wanted and any(i.frame.encoder_version != wanted for i in inputs.values())):
        folder = model_dir if name == models.ECHO else Path(name)
        inputs = encode.replaced(inputs, await encode.encode_again(recorded, folder))
        source = "capture"
    if not inputs:
        raise CannotReplay(f"session {recorded.session_id}: the log holds none of its frames any more")
    rerun = counterfactual(model, recorded, inputs, models.voice_of(recorded, model))
    lanes.draw(recorded, rerun, out / "timeline.png")
    apart = lanes.differences(recorded.turns, rerun.turns)
    between = f"between {' and '.join(recorded.models)} and {model.name}"
    where = f", the first at tick {apart['first_tick']}" if apart["ticks"] else ""
    report = _facts(recorded, rerun, source) | {
        "status": "another model",
        "differences": apart,
        "recorded": lanes.figures(recorded.turns),
        "replayed": lanes.figures(rerun.turns),
    }
    line = f"{apart['ticks']} of {len(rerun.compared)} ticks differ {between}{where}"
    return Verdict(None, rerun, [line, *_remarks(recorded, rerun)], report)


def save(verdict: Verdict, out: Path) -> Path:
    """Write ``report.json``; gives its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "report.json"
    path.write_text(json.dumps(verdict.report, indent=2, ensure_ascii=False) + "\n")
    return path


def _verdict(recorded: Recorded, rerun: Rerun, comparison: Comparison, source: Source) -> Verdict:
    counts = f"{comparison.turns} turns, {comparison.tasks} background tasks and cancels"
    if source == "capture":
        counts += f", {comparison.frames} encoded frames"
    if comparison.first is None:
        first = f"identical: {counts} of session {recorded.session_id}, to the byte, by {rerun.model}"
    else:
        first = f"different: {comparison.first} ({len(comparison.differing)} of {len(rerun.compared)} ticks differ)"
    report = _facts(recorded, rerun, source) | {
        "status": "identical" if comparison.identical else "different",
        "turns_compared": comparison.turns,
        "tasks_compared": comparison.tasks,
        "frames_compared": comparison.frames,
        "turn_fields_not_compared": sorted(NOT_COMPARED),
        "first_difference": None if comparison.first is None else asdict(comparison.first),
        "differing_ticks": ranges(sorted(comparison.differing)),
    }
    return Verdict(comparison.identical, rerun, [first, *_remarks(recorded, rerun)], report)


def _facts(recorded: Recorded, rerun: Rerun, source: Source) -> dict[str, Any]:
    ended = recorded.ended
    return {
        "session_id": recorded.session_id,
        "ended": None if ended is None else ended.reason,
        "answered": recorded.answered,
        "models": recorded.models,
        "encoders": recorded.encoders,
        "model": rerun.model,
        "from": f"{source}.frames",
        "ticks": len(recorded.turns),
        "epochs": len({turn.epoch for turn in recorded.turns.values()}),
        "turns_fenced_or_doubled": len(recorded.fenced),
        "ticks_taken_in_only": ranges(rerun.taken_in),
        "ticks_without_frame": ranges(rerun.lost),
        "ticks_without_turn": ranges(recorded.missing_turns()),
        "undecodable_records": recorded.undecodable,
    }


def _remarks(recorded: Recorded, rerun: Rerun) -> list[str]:
    """What a reader of the verdict should know about its limits."""
    said = (
        (not recorded.answered, "the session has no last turn (yet): replayed as far as it got"),
        (rerun.taken_in, f"taken in, not compared (a memory begins there, or another model answered): "
                         f"ticks {ranges(rerun.taken_in)}"),
        (rerun.lost, f"frames are gone from the log: ticks {ranges(rerun.lost)}"),
        (recorded.missing_turns(), f"no turn in the log: ticks {ranges(recorded.missing_turns())}"),
        (recorded.fenced, f"{len(recorded.fenced)} turns did not count: a second one for a tick, or of a fenced epoch"),
        (recorded.undecodable, f"{recorded.undecodable} records do not decode with this build"),
    )  # fmt: skip
    return [text for condition, text in said if condition]


def ranges(ticks: Sequence[int]) -> str:
    """Sorted ticks for people: ``0–4, 7``; empty when there are none."""
    spans: list[list[int]] = []
    for tick in sorted(ticks):
        if spans and tick == spans[-1][1] + 1:
            spans[-1][1] = tick
        else:
            spans.append([tick, tick])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)
