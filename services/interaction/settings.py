"""Settings of the interaction service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.settings import ServiceSettings


class InteractionSettings(ServiceSettings):
    """``MODEL`` chooses what answers: ``nano`` from ``MODEL_DIR``, or ``echo``, which is no model."""

    model: Literal["nano", "echo"] = "nano"
    echo_audio: bool = True
    """Whether ``echo`` answers with a tone (9,600 bytes a tick)."""
    speech: Literal["auto", "on", "off"] = "auto"
    """Whether ``nano`` speaks with the voice in ``SPEECH_DIR`` or only writes; ``auto`` speaks if there is one."""
    speech_dir: Path = Path("models/speech")
    model_device: Literal["cpu", "cuda"] = "cpu"
    """Where ``nano`` computes. A GPU's bits are not a CPU's: the model's name, and so every turn, tells them apart."""
    model_threads: int = Field(default=1, ge=1, le=64)
    session_capacity: int = Field(default=256, ge=1)
    """Sessions whose state this worker holds at most; beyond it new ones are refused, visibly, turn by turn."""
    standby: bool = False
    """Be a warm spare: follow everybody's sessions, answer them when their worker fails or hands over."""
