"""What a client had at the end of one scenario: both channels to the sample, and the log of every tick it received.

A folder ``build/eval/<model>/<scenario id>/`` holds ``user.wav`` (16 kHz), ``model.wav`` (24 kHz, as a player would
have played it) and ``recording.json``. Scorers see nothing else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.records import ContextEntry

RECORDING_VERSION = 1


class TickLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn as the client got it. ``arrived_ms`` is the client's clock, from the begin of tick 0, so that
    ``arrived_ms - (tick + 1) * 200`` is what the client waited. ``played_ms`` is when the player began with this turn's
    output (see ``infra.eval.playout``; -1: nobody played it, then it counts as begun at the tick's end). ``level_dbfs``
    is the RMS of its audio (-120: none)."""

    tick: int
    arrived_ms: float
    played_ms: float = -1.0
    floor: str
    user: str
    text: str = ""
    user_text: str = ""
    events: list[str] = []
    task_ids: list[str] = []
    gap_ms: int = 0
    level_dbfs: float = -120.0
    has_audio: bool = False


class HeardWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word recognised in the model's recorded audio (FDB's ``chunks``)."""

    text: str
    start_ms: float
    end_ms: float


class ResultLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A background result as the client got it."""

    task_id: str
    kind: str
    arrived_ms: float
    text: str = ""


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``model`` is the name in the report (``nano``, ``harness``, ``oracle``, …). ``start_offset_ms`` aligns the
    script: scenario time 0 lies that long after the begin of tick 0 as the player measured it (0: on the dot).
    ``stamp`` names the scenario, code and weights that it was made with, so that an interrupted run can go on;
    ``script`` is the fingerprint of the scenario alone. ``underruns`` counts turns whose audio came after the former's
    had run out; ``player_late_ms`` is how late the player's own worst message went out: where that is large the machine
    was too busy to measure. ``at_once``: so many conversations were running when it began. ``heard`` is filled by the
    recogniser (``heard_by``), None before. ``context`` is the conversation as the shared context had it at the end,
    where the scenario has lines that were read aloud; None where nobody could look.
    """

    v: int = RECORDING_VERSION
    scenario: str
    model: str
    ticks: list[TickLog]
    results: list[ResultLog] = []
    start_offset_ms: float = 0.0
    missing_ticks: int = 0
    doubled_ticks: int = 0
    late_ticks: int = 0
    underruns: int = 0
    player_late_ms: float = 0.0
    at_once: int = 1
    stamp: str = ""
    script: str = ""
    heard: list[HeardWord] | None = None
    heard_by: str = ""
    context: list[ContextEntry] | None = None
    error: str = ""

    @property
    def speaks(self) -> bool:
        """Whether this model has a voice: else its written words stand for speech, and the report says so."""
        return any(tick.has_audio for tick in self.ticks)


AUDIBLE_DBFS = -50.0
MERGE_GAP_MS = 500.0


def speaking_ticks(recording: Recording) -> list[bool]:
    """Per tick (index = tick): does the client hear (or, for a model without a voice, read) the model in it?"""
    last = max((tick.tick for tick in recording.ticks), default=-1)
    flags = [False] * (last + 1)
    voiced = recording.speaks
    for tick in recording.ticks:
        flags[tick.tick] = tick.level_dbfs > AUDIBLE_DBFS if voiced else bool(tick.text.strip())
    return flags


def save(recording: Recording, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / "recording.json.part"
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(recording), indent=1))
    aside.replace(folder / "recording.json")


def load(folder: Path) -> Recording:
    """Raises ``FileNotFoundError`` or ``msgspec.DecodeError``."""
    return msgspec.json.decode((folder / "recording.json").read_bytes(), type=Recording)
