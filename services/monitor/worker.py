"""The monitor without Faust: the same aggregation on the project's own consume loop, for one-process runs and tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.records import TurnsClaimed
from schemas.topics import SESSION_METRICS
from services.monitor.intake import Intake
from shared.clock import Clock
from shared.log.api import Consumer, TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from shared.metrics import MONITOR_SKIPPED

CLOSE_EVERY_S = 0.25


class Deferring(Protocol):
    """The part of the consume loop that keeps a turn's input open until its second is written."""

    def defer(self, incoming: Incoming) -> None: ...

    async def complete(self, incoming: Incoming, outputs: Sequence[Outgoing | InvalidRecord] = ()) -> bool: ...


class MonitorWorker:
    """Handler of the consume loop; ``bind`` it to the loop and run ``close_seconds`` beside it."""

    def __init__(self, intake: Intake[Incoming], clock: Clock) -> None:
        self._intake = intake
        self._clock = clock
        self._loop: Deferring | None = None

    def bind(self, loop: Deferring) -> None:
        self._loop = loop

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        self._intake.assigned()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._intake.aggregation.forget()

    async def handle(self, batch: Sequence[Incoming]) -> list[Outgoing | InvalidRecord]:
        """Aggregate turns; each stays open until its second is closed."""
        for incoming in batch:
            if isinstance(incoming.value, TurnsClaimed):
                continue
            if self._intake.too_old(incoming.value.timestamp_ms):
                MONITOR_SKIPPED.inc()
                continue
            self._deferring.defer(incoming)
            for done in self._intake.take(incoming.value, incoming):
                await self._deferring.complete(done)
        return []

    async def close_seconds(self, stop: asyncio.Event) -> None:
        """Write the summaries of seconds that are over, until ``stop``."""
        while not stop.is_set():
            await self._clock.sleep(CLOSE_EVERY_S)
            for summary in self._intake.close():
                first, *others = summary.tokens
                await self._deferring.complete(first, [Outgoing(SESSION_METRICS, summary.metrics, source=first)])
                for token in others:
                    await self._deferring.complete(token)

    @property
    def _deferring(self) -> Deferring:
        if self._loop is None:
            raise RuntimeError("bind the worker to a consume loop first")
        return self._loop
