"""The teacher with its timing and melody in our hands: it plans a sentence, and speaks it with another F0.

Kokoro's graph is cut where it predicts F0: a *plan* (symbols, speed and a stretch of each symbol to durations and F0)
and a *voice* that takes F0 as an input. Durations of the plan and F0 as driven are exact for what is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training import kokoro
from training.kokoro_fast import needed
from training.speech import teacher

_RAW_DURATIONS = "/encoder/Div_output_0"
Floats = npt.NDArray[np.float32]
Melody = Callable[[npt.NDArray[np.int16], Floats], Floats]
"""Durations of the symbols in frames, and F0 in Hz of each frame, to the F0 to sing instead."""


def _write(plan_path: Path, voice_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(kokoro.model()))
    whole = model.graph
    swaps = {_RAW_DURATIONS: "stretched", teacher.F0: "f0"}
    for node in whole.node:
        node.input[:] = [swaps.get(name, name) for name in node.input]
    maker = next(place for place, node in enumerate(whole.node) if _RAW_DURATIONS in node.output)
    whole.node.insert(maker + 1, helper.make_node("Mul", [_RAW_DURATIONS, "stretch"], ["stretched"]))
    added: dict[str, list[str | int | None]] = {"f0": [1, 1, "frames"], "stretch": [1, "sequence_length"]}
    for name, shape in added.items():
        whole.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    outputs = (teacher.DURATIONS, teacher.F0)
    nodes = needed(whole, outputs)
    used = {name for node in nodes for name in node.input}
    planning = helper.make_graph(
        nodes,
        "plan",
        [i for i in whole.input if i.name in used],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [i for i in whole.initializer if i.name in used],
    )
    versions = {"opset_imports": model.opset_import, "ir_version": model.ir_version}
    onnx.save(helper.make_model(planning, **versions), str(plan_path))
    onnx.save(model, str(voice_path))


def graph() -> Path:
    """The teacher's graph with F0 and a stretch of each symbol as inputs."""
    return _paths()[1]


def _paths() -> list[Path]:
    paths = [Path(kokoro.CACHE) / f"kokoro-{name}.onnx" for name in ("plan", "driven")]
    if not all(path.exists() for path in paths):
        aside = [path.with_suffix(".new") for path in paths]
        _write(*aside)
        for new, path in zip(aside, paths, strict=True):
            new.replace(path)
    return paths


@lru_cache(maxsize=1)
def _sessions() -> tuple[Any, Any]:
    planning, voice = _paths()
    return kokoro.plain_session(planning), kokoro.session(voice)


class Planned(NamedTuple):
    """What a take will be: its symbols, durations in frames of each, F0 in Hz of each frame, and what sings it."""

    symbols: str
    durations: npt.NDArray[np.int16]
    f0: Floats
    fed: dict[str, npt.NDArray[Any]]


def plan(text: str, voice: str, speed: float, stretch: Callable[[str], Floats], melody: Melody) -> Planned:
    """A take whose symbols last ``stretch(symbols)`` times as long as the teacher meant, to be sung to ``melody``."""
    line, inputs = teacher.inputs(text, voice, speed)
    inputs["stretch"] = stretch(line)[None].astype(np.float32)
    steps, planned = _sessions()[0].run(None, inputs)
    durations = teacher.frames(steps)
    f0 = melody(durations, np.asarray(planned, dtype=np.float32).reshape(-1)).astype(np.float32)
    return Planned(line, durations, f0, inputs | {"f0": f0[None, None]})


def sung(text: str, voice: str, planned: Planned) -> teacher.Take:
    """What was planned, as sound."""
    (audio,) = _sessions()[1].run(["audio"], planned.fed)
    sound = np.asarray(audio, dtype=np.float32).reshape(-1)
    return teacher.Take(text, voice, planned.symbols, planned.durations, planned.f0, sound)
