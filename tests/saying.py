"""Real speech for tests: flite says it, soxr brings it to the rate that is wanted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

from shared.audio import to_pcm16


def say(text: str, folder: Path, *, voice: str = "slt", rate_hz: int = 16_000) -> bytes:
    """``text`` spoken by a flite voice as PCM16 mono at ``rate_hz``; ``folder`` is for the file in between."""
    wav = folder / "said.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(wav)], check=True, timeout=60)
    spoken, spoken_hz = soundfile.read(wav, dtype="int16")
    return to_pcm16(soxr.resample(spoken.astype(np.float32), spoken_hz, rate_hz))
