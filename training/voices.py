"""Which voices exist, which are for training and which are never trained on (``split.json`` says so)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SPLIT_PATH = Path(__file__).with_name("split.json")


@dataclass(frozen=True, slots=True)
class Voice:
    """``name`` is ``engine:voice[:speed[:pitch]]``, e.g. ``flite:slt`` or ``espeak:en-gb+m3:165:45``."""

    name: str
    held_out: bool

    @property
    def engine(self) -> str:
        return self.name.split(":")[0]

    @property
    def voice(self) -> str:
        return self.name.split(":")[1]

    def number(self, place: int, default: int) -> int:
        """The optional number at ``place`` (2: words a minute, 3: pitch)."""
        parts = self.name.split(":")
        return int(parts[place]) if len(parts) > place else default


def load() -> tuple[Voice, ...]:
    """All voices of the split file, training ones first."""
    split = json.loads(SPLIT_PATH.read_text())["voices"]
    return tuple(Voice(n, False) for n in split["training"]) + tuple(Voice(n, True) for n in split["held_out"])
