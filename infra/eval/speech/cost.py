"""What speaking costs: processor time of the voice's own steps, measured before the run, kept with its recordings."""

from __future__ import annotations

from pathlib import Path

import msgspec

from infra.bench.speech import measure
from services.interaction.models import load_voice
from services.interaction.settings import InteractionSettings

TICKS = 60
NAME = "voice.json"
HOW = "infra.bench.speech in the evaluation's process: median processor time of a step, one session, one thread"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """``cores`` of one speaking session (head and vocoder) of the ``voice`` of this name, over so many ``ticks``."""

    voice: str
    voices: tuple[str, ...]
    cores: float
    ticks: int
    how: str


def keep(folder: Path, speech_dir: Path) -> Cost | None:
    """Measure the voice in ``speech_dir`` and keep it in ``folder``; None where there is no voice."""
    voice = load_voice(InteractionSettings(speech="on", speech_dir=speech_dir))
    if voice is None:
        return None
    found = measure(voice, 1, TICKS)
    made = Cost(
        voice=voice.name, voices=tuple(voice.voices), cores=float(found["cores_per_session"]), ticks=TICKS, how=HOW
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def kept(folder: Path) -> Cost | None:
    """What was measured with the recordings in ``folder``."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Cost)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
