"""What a tick of nano costs: encoder, backbone and decisions for 1 to 64 sessions on one thread, all memories full."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from infra.bench.report import write
from infra.local.jars import PROJECT
from schemas.ticks import FRAME_MS, INPUT_RATE_HZ, INPUT_SAMPLES
from services.encoder import dmel
from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from services.interaction.protocol import StepInput

SIZES = (1, 8, 24, 64)
RECORDING = PROJECT / "tests" / "fixtures" / "demo.wav"
LOUD = 1000  # a peak of int16 samples that speech has
LONG_TICKS = 300  # a last layer that sees 60 s
TARGET_MS = 25.0  # of one core, median, one session, 60 s
_T = TypeVar("_T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ticks", type=int, default=100, help="measured for each size")
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))), default=SIZES)
    parser.add_argument("--long", type=int, default=LONG_TICKS, help="the last layer's window of the second model")
    parser.add_argument("--model-dir", type=Path, default=Path("models/nano"))


@dataclass(slots=True)
class Stopwatch:
    """Processor and wall milliseconds of each call; the former is what other work on the machine changes least."""

    cpu_ms: list[float]
    wall_ms: list[float]

    def __call__(self, work: Callable[[], _T]) -> _T:
        cpu, wall = time.process_time(), time.perf_counter()
        done = work()
        self.cpu_ms.append(1000 * (time.process_time() - cpu))
        self.wall_ms.append(1000 * (time.perf_counter() - wall))
        return done


def percentiles(spent_ms: list[float]) -> dict[str, float]:
    p50, p90 = np.percentile(spent_ms, [50, 90])
    return {"p50": round(float(p50), 2), "p90": round(float(p90), 2)}


def spoken_ticks() -> npt.NDArray[np.int16]:
    """``[n, samples]``: the demo recording's ticks in which somebody speaks, for that is what costs most."""
    samples, rate_hz = soundfile.read(RECORDING, dtype="int16")
    if rate_hz != INPUT_RATE_HZ:
        raise ValueError(f"{RECORDING} has {rate_hz} Hz, expected {INPUT_RATE_HZ}")
    ticks = samples[: len(samples) // INPUT_SAMPLES * INPUT_SAMPLES].reshape(-1, INPUT_SAMPLES)
    return np.asarray(ticks[np.abs(ticks).max(axis=1) > LOUD])


class Sessions:
    """Live sessions in one encoder and one model; each hears the same speech without an end, from another place on."""

    def __init__(self, encoder: FrameEncoder, model: NanoModel, count: int) -> None:
        self._encoder, self._model = encoder, model
        self._names = [f"bench-{n}" for n in range(count)]
        for seed, name in enumerate(self._names):
            model.open(name, seed)
        self._next = [0] * count
        self._tails: npt.NDArray[Any] = dmel.new_tails(count)
        self._heard = spoken_ticks()

    def encode(self, count: int) -> list[StepInput]:
        """One tick of the first ``count`` sessions, from samples to embeddings."""
        pcm = self._heard[[(tick + 7 * row) % len(self._heard) for row, tick in enumerate(self._next[:count])]]
        codes, self._tails[:count] = dmel.encode(pcm, self._tails[:count])
        made = self._encoder.encode(codes, [None] * count, [""] * count)
        return [
            StepInput(session_id=name, tick=tick, embeddings=embeddings, kinds=kinds)
            for name, tick, (kinds, embeddings) in zip(self._names, self._next, made, strict=False)
        ]

    def step(self, batch: list[StepInput]) -> None:
        self._model.step(batch)
        for row in range(len(batch)):
            self._next[row] += 1

    def fill(self) -> None:
        """Until no layer's memory has room left."""
        for _ in range(max(self._model.config.windows)):
            self.step(self.encode(len(self._names)))


def measure(sessions: Sessions, count: int, ticks: int) -> dict[str, Any]:
    """One row: ``count`` sessions, tick by tick."""
    encoding, stepping = Stopwatch([], []), Stopwatch([], [])
    for _ in range(ticks):
        batch = encoding(partial(sessions.encode, count))
        stepping(partial(sessions.step, batch))
    cpu = [a + b for a, b in zip(encoding.cpu_ms, stepping.cpu_ms, strict=True)]
    wall = [a + b for a, b in zip(encoding.wall_ms, stepping.wall_ms, strict=True)]
    return {
        "sessions": count,
        "ticks": len(cpu),
        "cpu_ms": percentiles(cpu),
        "wall_ms": percentiles(wall),
        "encoder_cpu_ms": percentiles(encoding.cpu_ms),
        "cores_per_session": round(float(np.median(cpu)) / FRAME_MS / count, 4),
    }


def measure_model(encoder: FrameEncoder, model: NanoModel, sizes: tuple[int, ...], ticks: int) -> dict[str, Any]:
    """All sizes with one model, whose memories are filled first."""
    sessions = Sessions(encoder, model, max(sizes))
    sessions.fill()
    return {
        "model": model.name,
        "windows": list(model.config.windows),
        "memory_bytes_per_session": model.session_bytes,
        "rows": [measure(sessions, count, ticks) for count in sizes],
    }


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# A tick of nano",
        "",
        f"`{report['command']}` on {report['machine']['cores']} cores (load {report['machine']['load']}), one thread: "
        "samples to decisions, without nano's own voice, after every layer's memory is full; all users speak without "
        "a pause, so that their words are searched for in every tick. Processor time beside wall time, because other "
        "work may run on the machine.",
    ]
    for part in report["models"]:
        lines += [
            "",
            f"## {part['model']}: windows of {', '.join(map(str, part['windows']))} ticks",
            "",
            f"Memory: {part['memory_bytes_per_session'] / 1e6:.2f} MB a session.",
            "",
            "| sessions | ticks | cpu ms p50 | p90 | wall ms p50 | p90 | of it encoder, cpu p50 | cores per session |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in part["rows"]:
            cpu, wall, encoder = row["cpu_ms"], row["wall_ms"], row["encoder_cpu_ms"]
            lines.append(
                f"| {row['sessions']} | {row['ticks']} | {cpu['p50']} | {cpu['p90']} | {wall['p50']} | {wall['p90']} "
                f"| {encoder['p50']} | {row['cores_per_session']:.4f} |"
            )
    return "\n".join([*lines, "", *_verdict(report)]) + "\n"


def _verdict(report: dict[str, Any]) -> list[str]:
    """Only where one session was measured with the long memory."""
    part = report["models"][-1]
    alone = [row["cpu_ms"]["p50"] for row in part["rows"] if row["sessions"] == 1]
    if not alone or part["windows"][-1] < LONG_TICKS:
        return []
    met = "met" if alone[0] < TARGET_MS else "missed"
    return [f"Target, one session with 60 s below {TARGET_MS:.0f} ms of one core: {alone[0]} ms, {met}."]


def run(arguments: argparse.Namespace) -> int:
    """Measure the model as it is and with a long last window, and write the report."""
    folder = arguments.model_dir
    encoder, shipped = FrameEncoder.load(folder), NanoModel.load(folder, capacity=max(arguments.sizes))
    windows = (*shipped.config.windows[:-1], arguments.long)
    models = [measure_model(encoder, shipped, arguments.sizes, arguments.ticks)]
    longer = shipped.remembering(windows)
    models.append(measure_model(encoder, longer, arguments.sizes, arguments.ticks))
    report = {
        "suite": "nano",
        "command": f"make bench SUITE=nano{' ARGS=' + repr(' '.join(sys.argv[2:])) if sys.argv[2:] else ''}",
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
        "target_ms": TARGET_MS,
        "models": models,
    }
    write("nano", report, render(report))
    return 0
