"""Which voices exist, which are for training and which are never trained on (``split.json`` says so)."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the behaviour report is made with (``infra.eval.generate`` writes it): never to be trained on."""

    voices: tuple[str, ...] = ()
    phrasings: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()


def evaluation() -> Evaluation:
    """The split file's section ``evaluation``."""
    section = json.loads(SPLIT_PATH.read_text()).get("evaluation", {})
    return Evaluation(**{name: tuple(values) for name, values in section.items()})


def load() -> tuple[Voice, ...]:
    """All voices of the split file, training ones first. Raises ``ValueError``: see ``check_split``."""
    split = json.loads(SPLIT_PATH.read_text())["voices"]
    voices = tuple(Voice(n, False) for n in split["training"]) + tuple(Voice(n, True) for n in split["held_out"])
    check_split(voices)
    return voices


def check_split(voices: Iterable[Voice]) -> None:
    """Raises ``ValueError`` when one that is trained on is evaluated with, at whatever speed or pitch."""
    evaluated = {(v.engine, v.voice) for v in (Voice(name, True) for name in evaluation().voices)}
    for voice in voices:
        if not voice.held_out and (voice.engine, voice.voice) in evaluated:
            raise ValueError(f"{voice.name} is evaluated with: it may not be trained on")
