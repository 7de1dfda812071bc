"""Between a topic and the pure aggregation: when a turn arrived, whether it is too old, what Prometheus is told."""

from __future__ import annotations

from typing import Generic, TypeVar

from schemas.records import InteractionTurn
from schemas.ticks import FRAME_MS
from services.monitor.aggregate import Aggregation, Summary, Verdict
from services.monitor.settings import MonitorSettings
from shared import metrics
from shared.clock import Clock

BACKLOG_MS = 1_000
Token = TypeVar("Token")


class Intake(Generic[Token]):
    """Used by the Faust app and by the one-process fallback alike."""

    def __init__(self, settings: MonitorSettings, clock: Clock) -> None:
        self.aggregation: Aggregation[Token] = Aggregation(
            budget_ms=settings.turn_budget_ms, grace_ms=settings.monitor_grace_ms
        )
        self._clock = clock
        self.max_age_ms = settings.monitor_max_age_ms
        self._live_from_ms = clock.wall_ms()

    @property
    def live_from_ms(self) -> float:
        """Since when records are read as they come; what is older lay in the log already."""
        return self._live_from_ms

    def assigned(self) -> None:
        """Partitions have come: what lies in them already has no known arrival; what was unfinished is read again."""
        self._live_from_ms = self._clock.wall_ms()
        self.aggregation.forget()

    def too_old(self, timestamp_ms: int) -> bool:
        """Whether a turn of this time is left out; the caller counts it in ``MONITOR_SKIPPED``."""
        return self._clock.wall_ms() - timestamp_ms > self.max_age_ms

    def take(self, turn: InteractionTurn, token: Token) -> list[Token]:
        """Aggregate one turn that is just arriving; returns the tokens that need not be kept."""
        arrival_ms = self._clock.wall_ms()
        live = turn.timestamp_ms + FRAME_MS + BACKLOG_MS >= self._live_from_ms
        verdict, released = self.aggregation.add(turn, arrival_ms, token, live=live)
        if verdict is Verdict.LATE:
            metrics.MONITOR_LATE.inc()
        elif verdict is Verdict.DUPLICATE:
            metrics.DUPLICATES_IGNORED.labels("monitor").inc()
        return released

    def close(self) -> list[Summary[Token]]:
        """Summaries of the seconds that are over."""
        closed = self.aggregation.close(self._clock.wall_ms())
        for summary in closed:
            metrics.MONITOR_TURNS.inc(summary.metrics.ticks)
            metrics.MONITOR_MISSES.inc(summary.metrics.deadline_misses)
            for latency_ms in summary.latencies_ms:
                metrics.MONITOR_LATENCY.observe(latency_ms / 1000)
        return closed
