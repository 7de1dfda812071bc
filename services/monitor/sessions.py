"""Follows ``session.control`` of all partitions from its beginning: when their frames are due, how many came.

No group: whoever gets a session's turns later, by whatever rebalance, must know how they are timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.records import SessionHeld, SessionStarted
from schemas.topics import SESSION_CONTROL
from services.monitor.intake import BACKLOG_MS, Intake
from shared.clock import Clock
from shared.log.api import Consumer, Log, TopicPartition
from shared.log.loop import ConsumeLoop, Incoming, InvalidRecord, LoopSettings, Outgoing
from shared.metrics import MONITOR_SESSIONS


class Sessions:
    """Handler of a consume loop; tells the intake."""

    def __init__(self, intake: Intake[Any]) -> None:
        self._intake = intake

    async def handle(self, batch: Sequence[Incoming]) -> list[Outgoing | InvalidRecord]:
        for incoming in batch:
            record = incoming.value
            if isinstance(record, SessionStarted | SessionHeld):  # of a long session only the latter may be left
                self._intake.aggregation.started(record.session_id, record.phase_ms)
            if record.timestamp_ms + BACKLOG_MS >= self._intake.live_from_ms:  # not all history again
                MONITOR_SESSIONS.labels(type(record).__name__).inc()
        return []

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        pass

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        pass


async def sessions_loop(log: Log, intake: Intake[Any], clock: Clock, *, name: str) -> ConsumeLoop:
    """The loop, ready to run. Raises ``LogError`` where the topic does not exist."""
    reader = await log.consumer(client_id=name)
    try:
        sources = [TopicPartition(SESSION_CONTROL.name, p) for p in range(await log.partitions(SESSION_CONTROL.name))]
        begin = await reader.beginning_offsets(sources)
    finally:
        await reader.close()
    settings = LoopSettings(service=f"{name}-sessions", topics=(SESSION_CONTROL,))
    return ConsumeLoop(log, Sessions(intake), settings, clock=clock, assignment=begin)
