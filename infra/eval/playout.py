"""How a client plays what it gets: when each turn's output begins, and what its loudspeaker makes of it.

As the product's own page does: where nothing is playing, sound begins ``LEAD_MS`` after it came, so that a next turn
that comes a little later leaves no hole; otherwise it follows what is playing. Nothing is ever cut off or played on top
of another. Silent sound holds no place, so that a model that fell behind is in time again after its next pause; and a
turn without sound (words to read) is there when it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from infra.eval.recording import AUDIBLE_DBFS
from schemas.ticks import FRAME_MS, OUTPUT_RATE_HZ, OUTPUT_SAMPLES

LEAD_MS = 60.0
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Received:
    """A turn as it came: ``arrived_ms`` from the begin of tick 0, ``audio`` 4800 samples at 24 kHz or none."""

    tick: int
    arrived_ms: float
    audio: Pcm | None = None

    @property
    def level_dbfs(self) -> float:
        """RMS; -120 for none."""
        if self.audio is None or not len(self.audio):
            return -120.0
        power = float(np.mean(self.audio.astype(np.float64) ** 2)) / 32768.0**2
        return max(-120.0, 10 * float(np.log10(power))) if power > 0 else -120.0


@dataclass(frozen=True, slots=True)
class Played:
    """When each turn began, and how often sound ran out that went on in the next tick."""

    begins_ms: list[float]
    underruns: int


def schedule(turns: Sequence[Received]) -> Played:
    """``turns`` in order of their ticks."""
    free_ms = 0.0
    begins: list[float] = []
    underruns, last_heard = 0, -2
    for turn in turns:
        came_ms = max(turn.arrived_ms, (turn.tick + 1) * FRAME_MS)
        if turn.level_dbfs <= AUDIBLE_DBFS:
            begins.append(came_ms)
            continue
        dry = came_ms > free_ms
        underruns += dry and last_heard == turn.tick - 1
        begin = came_ms + LEAD_MS if dry else free_ms
        begins.append(begin)
        free_ms, last_heard = begin + FRAME_MS, turn.tick
    return Played(begins, underruns)


def mix(turns: Sequence[Received], begins_ms: Sequence[float], duration_ms: float) -> Pcm:
    """The loudspeaker's 24 kHz channel from the begin of tick 0, ``duration_ms`` long or as long as sound lasts."""
    places = [round(begin * OUTPUT_RATE_HZ / 1000) for begin in begins_ms]
    last = max((p + OUTPUT_SAMPLES for p, t in zip(places, turns, strict=True) if t.audio is not None), default=0)
    out = np.zeros(max(last, round(duration_ms * OUTPUT_RATE_HZ / 1000)), dtype=np.int16)
    for place, turn in zip(places, turns, strict=True):
        if turn.audio is not None and turn.level_dbfs > AUDIBLE_DBFS:
            out[place : place + len(turn.audio)] = turn.audio
    return out
