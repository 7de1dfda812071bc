"""The jitter buffer: a bounded queue of 16 kHz audio between a client's clock and the session's, one frame a take."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.ticks import INPUT_RATE_HZ, INPUT_SAMPLES, SAMPLE_BYTES
from shared.audio import stretch

FRAME_BYTES = INPUT_SAMPLES * SAMPLE_BYTES
_MS = INPUT_RATE_HZ // 1000
_MIN_TARGET, _MAX_TARGET = 20 * _MS, 60 * _MS
_MAX_CHUNK = 500 * _MS
_MAX_AHEAD = 300 * _MS
_MAX_HELD = 4000 * _MS
_MAX_OWED = 30_000 * _MS
_WINDOW_TAKES = 5
_DRIFT_SLACK = 10 * _MS
_DRIFT_LOW = 5 * _MS
_DRIFT_STEP = 16  # samples a frame: 0.5 %, 5 ms a second


@dataclass(frozen=True, slots=True)
class Taken:
    """One frame of audio, 3200 samples; ``gap_samples`` of it are silence because nothing had arrived."""

    pcm: bytes
    gap_samples: int


class JitterBuffer:
    """Plays a client's audio at the pace of ``take``.

    When audio begins, 20 to 60 ms of it (``target``, which grows with the jitter seen) are held back; so much may
    come late without being heard. What comes later than that is played after a gap as long as the clock allows it;
    a surplus that stays (beyond the target, a chunk's length and 40 ms) is dropped from the old end and counted: as
    *late* as far as silence was put in its place before, else as *overrun*, i.e. sent faster than real time. A
    client's clock that is off by less than 0.5 % is followed by stretching frames a little.
    """

    __slots__ = (
        "_arrived",
        "_chunk",
        "_chunk_seen",
        "_dry",
        "_held",
        "_late",
        "_low",
        "_overrun",
        "_owed",
        "_step",
        "_takes",
        "_target",
    )

    def __init__(self) -> None:
        self._held = bytearray()
        self._dry = True
        self._arrived = False
        self._target = _MIN_TARGET
        self._owed = 0
        self._chunk = self._chunk_seen = 0
        self._low = _MAX_HELD
        self._takes = 0
        self._step = 0
        self._late = 0
        self._overrun = 0

    def __len__(self) -> int:
        """Samples waiting."""
        return len(self._held) // SAMPLE_BYTES

    def push(self, pcm: bytes) -> None:
        """Queue audio at 16 kHz, whole samples; beyond four seconds the oldest is dropped and counted."""
        self._held += pcm
        self._arrived = True
        self._chunk_seen = max(self._chunk_seen, len(pcm) // SAMPLE_BYTES)
        if len(self) > _MAX_HELD:
            self._drop(len(self) - _MAX_HELD)

    def take(self, *, behind: bool = False, draining: bool = False) -> Taken:
        """The next frame, filled with silence where nothing has arrived.

        ``behind`` says that more frames are overdue, so that what is queued is no surplus; ``draining`` that the
        client is done, so that nothing is held back.
        """
        if self._dry:
            taken = self._start(draining)
        elif len(self) >= INPUT_SAMPLES + self._step:
            taken = self._steady()
        else:
            taken = self._underrun()
        self._owed = min(_MAX_OWED, self._owed + taken.gap_samples)
        self._arrived = False
        if not behind and not draining:
            self._trim()
        return taken

    def take_dropped(self) -> tuple[int, int]:
        """Samples dropped since the last call: ``(late, overrun)``."""
        dropped = self._late, self._overrun
        self._late = self._overrun = 0
        return dropped

    def take_exact(self) -> Taken:
        """A frame without any adaptation, for sources that set the pace themselves; padded only at the end."""
        pcm = self._pop(min(INPUT_SAMPLES, len(self)))
        gap = INPUT_SAMPLES - len(pcm) // SAMPLE_BYTES
        return Taken(pcm + bytes(gap * SAMPLE_BYTES), gap)

    def _start(self, draining: bool) -> Taken:
        hold = self._target if self._arrived and not draining else 0
        use = min(INPUT_SAMPLES, max(0, len(self) - hold))
        self._dry = use == 0 or not (self._arrived or draining)
        gap = INPUT_SAMPLES - use
        return Taken(bytes(gap * SAMPLE_BYTES) + self._pop(use), gap)

    def _steady(self) -> Taken:
        if not self._step:
            return Taken(self._pop(INPUT_SAMPLES), 0)
        return Taken(stretch(self._pop(INPUT_SAMPLES + self._step), INPUT_SAMPLES), 0)

    def _underrun(self) -> Taken:
        pcm = self._pop(min(INPUT_SAMPLES, len(self)))
        gap = INPUT_SAMPLES - len(pcm) // SAMPLE_BYTES
        if gap:
            self._dry = True
            self._target = min(_MAX_TARGET, max(self._target, gap + _DRIFT_LOW))
        return Taken(pcm + bytes(gap * SAMPLE_BYTES), gap)

    def _trim(self) -> None:
        """Bound the surplus at once, correct what lingers for a second, follow drift."""
        reserve = len(self)
        chunk = min(_MAX_CHUNK, max(self._chunk, self._chunk_seen))
        if reserve > _MAX_AHEAD + chunk:
            self._drop(reserve - self._target - chunk)
            self._begin_window(0)
            return
        if self._dry:
            self._begin_window(0)
            return
        self._low = min(self._low, reserve)
        self._takes += 1
        if self._takes < _WINDOW_TAKES:
            return
        surplus = self._low - self._target - chunk
        step = 0
        if surplus > _MAX_TARGET - _MIN_TARGET:
            self._drop(surplus)
        elif surplus > _DRIFT_SLACK:
            step = _DRIFT_STEP
        elif self._low < _DRIFT_LOW:
            step = -_DRIFT_STEP
        else:
            self._target = max(_MIN_TARGET, self._target - _MS)
        self._begin_window(step)

    def _begin_window(self, step: int) -> None:
        self._step, self._low, self._takes = step, _MAX_HELD, 0
        self._chunk, self._chunk_seen = self._chunk_seen, 0

    def _pop(self, count: int) -> bytes:
        taken = bytes(self._held[: count * SAMPLE_BYTES])
        del self._held[: count * SAMPLE_BYTES]
        return taken

    def _drop(self, count: int) -> None:
        del self._held[: count * SAMPLE_BYTES]
        late = min(count, self._owed)
        self._owed -= late
        if late and count - late <= self._chunk:
            late = count  # the rest is no more than a chunk that was sent ahead of its time
        self._late += late
        self._overrun += count - late
