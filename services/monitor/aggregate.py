"""Turns to one summary per session and second: pure, and the same for any order and any number of duplicates.

A second is *open* while turns of it may still come, then *closed*: its summary is final, and a turn that comes after
that is late. Every turn brings a token (whatever acknowledges it); the token of a turn that counts is kept until its
second is closed, so that after a crash an unfinished second is read again as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Generic, TypeVar

from schemas.records import Floor, InteractionTurn, SessionMetrics
from schemas.ticks import FRAME_MS

SECOND_MS = 1_000
IDLE_MS = 60_000
MAX_PHASES = 100_000
Token = TypeVar("Token")


class Verdict(StrEnum):
    COUNTED = "counted"
    DUPLICATE = "duplicate"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class _Tick(Generic[Token]):
    """What one turn contributes. ``arrival_ms`` is None when it was read from a backlog: nobody knows when it came."""

    epoch: int
    arrival_ms: float | None
    speaking: bool
    gap_ms: int
    token: Token

    def beats(self, other: _Tick[Token]) -> bool:
        """Of one tick's turns the newest epoch counts, of those the first to arrive: as for every consumer."""
        mine, theirs = self.arrival_ms, other.arrival_ms
        if self.epoch != other.epoch:
            return self.epoch > other.epoch
        if mine is None or theirs is None:
            return mine is not None
        return mine < theirs


@dataclass(slots=True)
class _Second(Generic[Token]):
    last_arrival_ms: float
    ticks: dict[int, _Tick[Token]] = field(default_factory=dict)


@dataclass(slots=True)
class _Session(Generic[Token]):
    newest_ms: int = 0
    closed_before_ms: int = -1
    last_arrival_ms: float = 0.0
    seconds: dict[int, _Second[Token]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary(Generic[Token]):
    """A closed second: its record, the tokens that may now be released, all latencies that are known."""

    metrics: SessionMetrics
    tokens: tuple[Token, ...]
    latencies_ms: tuple[float, ...]


class Aggregation(Generic[Token]):
    """All sessions of one worker. Times are epoch milliseconds; nothing here reads a clock.

    A second closes ``grace_ms`` after its end and its last arrival, or as soon as its session has gone on for
    ``grace_ms`` (a file that sets its own pace is ahead of the wall clock).
    """

    def __init__(self, *, budget_ms: int = FRAME_MS, grace_ms: int = 2_000) -> None:
        self._budget_ms = budget_ms
        self._grace_ms = grace_ms
        self._sessions: dict[str, _Session[Token]] = {}
        self._phases: dict[str, int] = {}

    @property
    def open_seconds(self) -> int:
        return sum(len(session.seconds) for session in self._sessions.values())

    def started(self, session_id: str, phase_ms: int) -> None:
        """This session's frames are complete ``phase_ms`` after their nominal end; its latencies count from there."""
        self._phases.pop(session_id, None)
        self._phases[session_id] = phase_ms
        while len(self._phases) > MAX_PHASES:
            del self._phases[next(iter(self._phases))]

    def add(
        self, turn: InteractionTurn, arrival_ms: float, token: Token, *, live: bool = True
    ) -> tuple[Verdict, list[Token]]:
        """Take one turn; returns what became of it and the tokens that need not be kept.

        ``live=False`` says that ``arrival_ms`` is when a backlog was read: the turn counts, its latency does not.
        """
        session = self._sessions.setdefault(turn.session_id, _Session())
        session.last_arrival_ms = max(session.last_arrival_ms, arrival_ms)
        begin_ms = turn.timestamp_ms // SECOND_MS * SECOND_MS
        if begin_ms < session.closed_before_ms and begin_ms not in session.seconds:
            return Verdict.LATE, [token]
        session.newest_ms = max(session.newest_ms, turn.timestamp_ms + FRAME_MS)
        second = session.seconds.setdefault(begin_ms, _Second(arrival_ms))
        second.last_arrival_ms = max(second.last_arrival_ms, arrival_ms)
        speaking = turn.floor in (Floor.TAKE, Floor.BACKCHANNEL)
        tick = _Tick(turn.epoch, arrival_ms if live else None, speaking, turn.gap_ms, token)
        known = second.ticks.get(turn.timestamp_ms)
        if known is not None and not tick.beats(known):
            return Verdict.DUPLICATE, [token]
        second.ticks[turn.timestamp_ms] = tick
        return (Verdict.COUNTED, []) if known is None else (Verdict.DUPLICATE, [known.token])

    def close(self, now_ms: float) -> list[Summary[Token]]:
        """Close what is due at ``now_ms`` and forget sessions that have fallen silent."""
        out: list[Summary[Token]] = []
        for session_id, session in list(self._sessions.items()):
            for begin_ms in sorted(b for b in session.seconds if self._due(session, b, now_ms)):
                out.append(self._summary(session_id, begin_ms, session.seconds.pop(begin_ms)))
                session.closed_before_ms = max(session.closed_before_ms, begin_ms + SECOND_MS)
            if not session.seconds and now_ms - session.last_arrival_ms > IDLE_MS + self._grace_ms:
                del self._sessions[session_id]
        return out

    def forget(self) -> None:
        """Drop all open seconds: their partitions went to somebody who reads them again."""
        self._sessions.clear()

    def _due(self, session: _Session[Token], begin_ms: int, now_ms: float) -> bool:
        end_ms = begin_ms + SECOND_MS
        if session.newest_ms >= end_ms + self._grace_ms:
            return True
        return now_ms >= max(end_ms, session.seconds[begin_ms].last_arrival_ms) + self._grace_ms

    def _summary(self, session_id: str, begin_ms: int, second: _Second[Token]) -> Summary[Token]:
        phase_ms = self._phases.get(session_id, 0)
        latencies = tuple(
            max(0.0, tick.arrival_ms - (timestamp_ms + FRAME_MS + phase_ms))
            for timestamp_ms, tick in sorted(second.ticks.items())
            if tick.arrival_ms is not None
        )
        metrics = SessionMetrics(
            session_id=session_id,
            timestamp_ms=begin_ms,
            ticks=len(second.ticks),
            deadline_misses=sum(latency > self._budget_ms for latency in latencies),
            latency_p50_ms=median(latencies) if latencies else 0.0,
            latency_max_ms=max(latencies, default=0.0),
            gap_ms=sum(tick.gap_ms for tick in second.ticks.values()),
            speaking_ticks=sum(tick.speaking for tick in second.ticks.values()),
        )
        return Summary(metrics, tuple(tick.token for tick in second.ticks.values()), latencies)
