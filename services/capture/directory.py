"""Which sessions there are and who holds them, as ``session.control`` tells: every capture process follows all of it.

The log decides who holds a session: a claim counts when its epoch is higher than any before it in the log, so all
processes come to the same verdict, the one that claimed included.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.records import SessionConfig, SessionEnded, SessionHeld, SessionStarted, SessionUpdated
from schemas.ticks import FRAME_MS

MAX_ENDED = 4096
KEEP_ENDED_S = 60.0  # for clients that lost their socket just before the last turns, and against late claims
Control = SessionStarted | SessionHeld | SessionUpdated | SessionEnded


@dataclass(slots=True)
class Known:
    """One session. ``next_ms`` is the time of a frame that was not cut yet when its holder was last heard of."""

    session_id: str
    start_ms: int
    phase_ms: int
    pace: str
    config: SessionConfig
    resume_hash: bytes
    capture_id: str
    epoch: int
    next_ms: int
    heard_at: float  # monotonic s
    updated_ms: int = -1  # from this frame on ``config`` holds
    ended: SessionEnded | None = None


@dataclass(slots=True)
class _Claim:
    capture_id: str
    epoch: int
    verdict: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Directory:
    """Folds control records, in the order of their partition. Pure but for the futures of claims."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._claims: dict[str, _Claim] = {}
        self._ended: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, session_id: str) -> Known | None:
        """The session, also for a minute after its end."""
        return self._known.get(session_id)

    def live(self) -> Iterator[Known]:
        return (known for known in self._known.values() if known.ended is None)

    def apply(self, record: Control, now: float) -> Known | None:
        """Take one record in; gives what is known of its session then."""
        known = self._known.get(record.session_id)
        match record:
            case SessionStarted():
                if known is None:
                    known = self._known[record.session_id] = _begun(record, now)
            case SessionHeld():
                known = self._held(record, known, now)
            case SessionUpdated():
                if known is not None:
                    known.config, known.updated_ms, known.heard_at = record.config, record.timestamp_ms, now
            case SessionEnded():
                if known is not None and record.capture_epoch >= known.epoch:
                    known.ended, known.heard_at = record, now
                    self._bury(record.session_id)
        return known

    def _held(self, record: SessionHeld, known: Known | None, now: float) -> Known:
        accepted = known is None or (
            known.ended is None
            and (record.capture_epoch > known.epoch or (record.capture_epoch, record.capture_id) == _holder(known))
        )
        if accepted:
            updated_ms = -1 if known is None else known.updated_ms
            known = self._known[record.session_id] = _taken(record, now)
            known.updated_ms = updated_ms
        assert known is not None
        claim = self._claims.get(record.session_id)
        if claim is not None and (claim.epoch, claim.capture_id) == (record.capture_epoch, record.capture_id):
            del self._claims[record.session_id]
            if not claim.verdict.done():
                claim.verdict.set_result(accepted)
        return known

    def claim(self, session_id: str, capture_id: str, epoch: int) -> asyncio.Future[bool]:
        """Whether this claim, which is about to be sent, is the one that counts; told once the log has it."""
        claim = self._claims.get(session_id)
        if claim is None or (claim.capture_id, claim.epoch) != (capture_id, epoch):
            claim = self._claims[session_id] = _Claim(capture_id, epoch)
        return claim.verdict

    def forget_ended(self, now: float) -> None:
        """Drop sessions whose end is long past."""
        while self._ended and now - self._known[self._ended[0]].heard_at > KEEP_ENDED_S:
            del self._known[self._ended.popleft()]

    def _bury(self, session_id: str) -> None:
        if session_id not in self._ended:
            self._ended.append(session_id)
        if len(self._ended) > MAX_ENDED:
            del self._known[self._ended.popleft()]


def _holder(known: Known) -> tuple[int, str]:
    return known.epoch, known.capture_id


def _begun(record: SessionStarted, now: float) -> Known:
    return Known(
        session_id=record.session_id,
        start_ms=record.timestamp_ms,
        phase_ms=record.phase_ms,
        pace=record.pace,
        config=record.config,
        resume_hash=record.resume_hash,
        capture_id=record.capture_id,
        epoch=0,
        next_ms=record.timestamp_ms,
        heard_at=now,
    )


def _taken(record: SessionHeld, now: float) -> Known:
    return Known(
        session_id=record.session_id,
        start_ms=record.timestamp_ms - record.tick * FRAME_MS,
        phase_ms=record.phase_ms,
        pace=record.pace,
        config=record.config,
        resume_hash=record.resume_hash,
        capture_id=record.capture_id,
        epoch=record.capture_epoch,
        next_ms=record.timestamp_ms,
        heard_at=now,
    )
