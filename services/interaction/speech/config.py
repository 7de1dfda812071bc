"""Sizes and units of the speech model, as stored in ``config.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.records import Manner
from schemas.ticks import OUTPUT_RATE_HZ, OUTPUT_SAMPLES
from services.interaction.speech.g2p import SYMBOLS

RATE_HZ = OUTPUT_RATE_HZ
HOP = 300  # samples of a frame: 12.5 ms
WINDOW = 1200  # a frame of the filter bank looks back over four hops
DELAY_FRAMES = WINDOW // HOP - 1  # frame k completes the audio of hop k - 3
TICK_FRAMES = OUTPUT_SAMPLES // HOP
MELS = 80
BINS = WINDOW // 2 + 1
PADDED_BINS = 608  # a multiple of the vector width, so that no value is computed by a scalar remainder loop
DETAILS = 14  # numbers in [-1, 1] that tell the vocoder of a frame what mels do not
FEATURES = 96  # mels, log F0, voiced, details
F0_PLACE, VOICED_PLACE, DETAILS_PLACE = MELS, MELS + 1, MELS + 2
PLACES = 8  # features of a frame's place in its symbol
AHEAD = 7  # a symbol sees itself and the six that follow, as far as the text is known


@dataclass(frozen=True, slots=True)
class StackSize:
    """``blocks`` causal blocks of ``width`` channels, ``inner`` inside, over ``kernel`` steps back."""

    width: int
    inner: int
    blocks: int
    kernel: int


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """``voices`` by name, the first is ``default``; in their order ``accents``, and ``gains`` that bring each to the
    same level. ``manners`` are those that the weights know; any other sounds like the first. ``details`` says whether
    the head draws them, up to 0.4 it did not. ``version`` names the weights and the gains."""

    voices: tuple[str, ...]
    accents: tuple[str, ...]
    gains: tuple[float, ...] = ()
    manners: tuple[str, ...] = tuple(Manner)
    symbols: str = SYMBOLS
    embedding: int = 64
    encoder: StackSize = StackSize(192, 576, 4, 5)
    decoder: StackSize = StackSize(224, 672, 7, 7)
    vocoder: StackSize = StackSize(192, 576, 8, 7)
    details: bool = False
    name: str = "speech"
    release: str = "0.6.0"
    version: str = ""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> SpeechConfig:
        """Raises ``TypeError`` when a field is missing or unknown."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("encoder", "decoder", "vocoder"):
            raw[name] = StackSize(**raw[name])
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in raw.items()}
        return cls(**fields)
