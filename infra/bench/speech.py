"""What speaking costs: one step of the voice for 1 to 64 speaking sessions, by processor time, on one thread."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.report import write
from schemas.ticks import FRAME_MS
from services.interaction.models import load_voice
from services.interaction.protocol import SayInput, SpeechOut
from services.interaction.settings import InteractionSettings

SIZES = (1, 2, 4, 8, 16, 32, 64)
_WORDS = "it takes about nine hundred words to describe what a longer sentence costs when nobody interrupts".split()
_WARM_TICKS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ticks", type=int, default=40, help="measured for each size")
    parser.add_argument("--speech-dir", type=Path, default=Path("models/speech"))


def measure(voice: SpeechOut, sessions: int, ticks: int) -> dict[str, Any]:
    """Processor time of whole steps; all sessions speak all the time, each at a place of its own in the text."""
    names = [f"bench-{n}" for n in range(sessions)]
    for n, name in enumerate(names):
        voice.open(name, voice.voices[n % len(voice.voices)])
    left = dict.fromkeys(names, 0)
    spent, spoken = [], 0
    for tick in range(ticks + _WARM_TICKS):
        batch = [
            SayInput(name, f" {_WORDS[(tick + n) % len(_WORDS)]}" if left[name] < 600 else "")
            for n, name in enumerate(names)
        ]
        began = time.process_time()
        outputs = voice.step(batch)
        if tick >= _WARM_TICKS:
            spent.append(1000 * (time.process_time() - began))
            spoken += sum(output.audio is not None for output in outputs)
        left = {name: output.left_ms for name, output in zip(names, outputs, strict=True)}
    for name in names:
        voice.close(name)
    p50 = float(np.median(spent))
    return {
        "sessions": sessions,
        "step_ms_p50": round(p50, 2),
        "step_ms_p99": round(float(np.percentile(spent, 99)), 2),
        "cores_per_session": round(p50 / FRAME_MS / sessions, 4),
        "speaking_share": round(spoken / (ticks * sessions), 3),
    }


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"# Speaking: {report['model']}",
        "",
        f"`{report['command']}` on {report['machine']['cores']} cores, one thread; processor time of one step of the "
        "voice (head and vocoder, 200 ms of speech for every session).",
        "",
        "| sessions | step ms p50 | p99 | cores per speaking session (`speech_rtf`) |",
        "|---|---|---|---|",
    ]
    for row in report["rows"]:
        lines.append(
            f"| {row['sessions']} | {row['step_ms_p50']} | {row['step_ms_p99']} | {row['cores_per_session']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def run(arguments: argparse.Namespace) -> int:
    """Measure every size and write the report."""
    voice = load_voice(InteractionSettings(speech="on", speech_dir=arguments.speech_dir))
    if voice is None:
        raise FileNotFoundError(f"no voice in {arguments.speech_dir}")
    report = {
        "suite": "speech",
        "model": voice.name,
        "command": f"make bench SUITE=speech{' ARGS=' + repr(' '.join(sys.argv[2:])) if sys.argv[2:] else ''}",
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
        "rows": [measure(voice, size, arguments.ticks) for size in SIZES],
    }
    write("speech", report, render(report))
    return 0
