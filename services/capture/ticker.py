"""One ticker for the whole process: every session has a slot on a 10 ms grid and is called five times a second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from schemas.ticks import FRAME_MS
from shared.clock import Clock

SLOT_MS = 10
SLOTS = FRAME_MS // SLOT_MS
_SLOT_S = SLOT_MS / 1000

T = TypeVar("T")


class Ticker(Generic[T]):
    """Calls ``on_tick(member, due, behind)`` for each member of a slot whenever the slot's time has come.

    ``due`` is the nominal time (monotonic, seconds). After a hold-up every tick is made up for, in order, with
    ``behind`` set on all but a member's newest; no tick is ever skipped.
    """

    def __init__(self, clock: Clock, on_tick: Callable[[T, float, bool], Awaitable[None]]) -> None:
        self._clock = clock
        self._on_tick = on_tick
        self._slots: list[dict[T, int]] = [{} for _ in range(SLOTS)]  # member -> grid index of its next tick
        self._some = asyncio.Event()

    def add(self, member: T) -> float:
        """Start ticking; the first tick is due a whole frame from now or up to one slot later. Gives its time."""
        return self._add(member, math.ceil(self._clock.monotonic() / _SLOT_S + 1e-6) + SLOTS)

    def add_at(self, member: T, due: float) -> float:
        """Start ticking at ``due`` (monotonic s, not past) or up to one slot later. Gives the first tick's time."""
        return self._add(member, math.ceil(due / _SLOT_S - 1e-6))

    def _add(self, member: T, first: int) -> float:
        self._slots[first % SLOTS][member] = first
        self._some.set()
        return first * _SLOT_S

    def remove(self, member: T) -> None:
        """Stop ticking; unknown members are ignored."""
        for slot in self._slots:
            slot.pop(member, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until ``stop``. Raises what ``on_tick`` raises."""
        at = self._now()
        while not stop.is_set():
            if not any(self._slots):
                self._some.clear()
                await self._idle(stop)
                at = self._now()
                continue
            at = next(g for g in range(at + 1, at + 1 + SLOTS) if self._slots[g % SLOTS])
            await self._clock.sleep_until(at * _SLOT_S)
            await self._serve(at)

    async def _serve(self, at: int) -> None:
        slot = self._slots[at % SLOTS]
        now = self._now()
        for member, due in list(slot.items()):
            while due <= now and member in slot:
                slot[member] = due + SLOTS
                await self._on_tick(member, due * _SLOT_S, due + SLOTS <= now)
                due += SLOTS

    async def _idle(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(self._some.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _now(self) -> int:
        return math.floor(self._clock.monotonic() / _SLOT_S + 1e-6)
