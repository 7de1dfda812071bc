"""Restores in the background: while a session is read back from the log, all others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas import records as r
from services.interaction.restore import Restored, Unknown, restore
from services.interaction.seats import Arrival
from shared.clock import Clock
from shared.log.api import Log
from shared.log.retry import Backoff, retrying


@dataclass(slots=True)
class Waiting:
    """A session that is being read back, and what came for it meanwhile."""

    partition: int
    arrivals: list[Arrival] = field(default_factory=list)
    turns: list[r.InteractionTurn] = field(default_factory=list)
    results: list[tuple[int, r.BackgroundResult]] = field(default_factory=list)

    def unknown(self) -> Unknown:
        """What is to be read back: all before the earliest tick that came."""
        first = min(self.arrivals, key=lambda a: a.frame.tick)
        return Unknown(first.frame, self.partition, min(a.offset for a in self.arrivals))


class Restoring:
    """Sessions on their way back. One read of the log at a time serves all that are waiting when it begins."""

    def __init__(self, log: Log, clock: Clock, context_ticks: int, *, client_id: str) -> None:
        self.waiting: dict[str, Waiting] = {}
        self._log = log
        self._clock = clock
        self._context_ticks = context_ticks
        self._client_id = client_id
        self._asked: dict[str, Waiting] = {}  # what is being read
        self._reading: asyncio.Task[dict[str, Restored]] | None = None

    @property
    def ready(self) -> bool:
        """Whether ``collect`` has something to give, or to begin."""
        return bool(self.waiting) and (self._reading is None or self._reading.done())

    def collect(self) -> list[tuple[Waiting, Restored]]:
        """Sessions that have been read back since the last call; begins to read the next ones.

        Raises:
            LogUnavailable: the log did not answer after bounded retries.
        """
        back: list[tuple[Waiting, Restored]] = []
        if self._reading is not None and self._reading.done():
            for session_id, restored in self._reading.result().items():
                waiting = self._asked[session_id]
                if self.waiting.get(session_id) is waiting:  # else its partition has gone meanwhile
                    back.append((self.waiting.pop(session_id), restored))
            self._reading = None
        if self.waiting and self._reading is None:
            self._asked = dict(self.waiting)
            unknown = [waiting.unknown() for waiting in self._asked.values()]
            self._reading = asyncio.create_task(self._read(unknown))
        return back

    def drop(self, lost: Callable[[int], bool]) -> None:
        """Forget sessions of partitions that are followed no more."""
        for session_id in [s for s, w in self.waiting.items() if lost(w.partition)]:
            del self.waiting[session_id]

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, unknown: list[Unknown]) -> dict[str, Restored]:
        return await retrying(
            lambda: restore(self._log, unknown, self._context_ticks, client_id=self._client_id),
            clock=self._clock,
            backoff=Backoff(),
        )
