"""Time. Nothing else in services/ or shared/ reads a clock or sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for timestamps, monotonic time for durations, and sleep."""

    def wall_ms(self) -> float:
        """Epoch milliseconds; may jump when the machine's clock is set."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return at least ``seconds`` later; zero or less yields once to the event loop."""

    async def sleep_until(self, monotonic: float) -> None:
        """Return once ``monotonic()`` has reached the given value."""


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> float:
        return time.time() * 1000.0

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, monotonic: float) -> None:
        await asyncio.sleep(max(0.0, monotonic - time.monotonic()))
        # Event loops round timers to a millisecond and may wake early; a ticker that trusted them would be a tick late.
        while (left := monotonic - time.monotonic()) > 0:  # noqa: ASYNC110 - time, not an event, is waited for
            await asyncio.sleep(left)


class ManualClock:
    """A clock for tests: ``sleep`` advances it, in order of due time, when nothing else is left to run.

    With ``auto=True`` a sleeping task wakes as soon as the event loop has drained and its due time is the earliest;
    with ``auto=False`` only ``advance`` moves time.
    """

    def __init__(self, wall_ms: float = 1_700_000_000_000.0, *, auto: bool = True) -> None:
        self._now = 0.0
        self._wall_origin_ms = wall_ms
        self._auto = auto
        self._sequence = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def wall_ms(self) -> float:
        return self._wall_origin_ms + self._now * 1000.0

    def monotonic(self) -> float:
        return self._now

    def jump_wall(self, delta_ms: float) -> None:
        """Set the wall clock as an administrator or NTP would; monotonic time is unmoved."""
        self._wall_origin_ms += delta_ms

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self._now + max(0.0, seconds))

    async def sleep_until(self, monotonic: float) -> None:
        if monotonic <= self._now:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (monotonic, next(self._sequence), waiter))
        if self._auto:
            loop.call_soon(self._settle, 20)
        await waiter

    def _settle(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._settle, rounds - 1)
            return
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)  # was cancelled: nobody sleeps until then any more
        if self._waiting:
            self._wake_until(self._waiting[0][0])

    def _wake_until(self, monotonic: float) -> None:
        while self._waiting and self._waiting[0][0] <= monotonic:
            due, _, waiter = heapq.heappop(self._waiting)
            self._now = max(self._now, due)
            if not waiter.done():
                waiter.set_result(None)
        self._now = max(self._now, monotonic)

    async def advance(self, seconds: float) -> None:
        """Move time on, waking every sleeper on the way and letting what it started run."""
        target = self._now + seconds
        while self._waiting and self._waiting[0][0] <= target:
            self._wake_until(self._waiting[0][0])
            for _ in range(20):
                await asyncio.sleep(0)
        self._wake_until(target)
        for _ in range(20):
            await asyncio.sleep(0)
