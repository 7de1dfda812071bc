"""Clocks: never early, and a manual one whose sleepers wake in order of due time."""

from __future__ import annotations

import asyncio

import uvloop

from shared.clock import ManualClock, SystemClock


def test_system_clock_never_wakes_early() -> None:
    async def early_wakes() -> int:
        clock, early = SystemClock(), 0
        for step in range(60):
            target = clock.monotonic() + 0.0003 + step * 0.00017
            await clock.sleep_until(target)
            early += clock.monotonic() < target
        return early

    assert asyncio.run(early_wakes()) == 0
    assert uvloop.run(early_wakes()) == 0


async def test_manual_clock_wakes_in_order_of_due_time() -> None:
    clock = ManualClock(auto=False)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(n, s)) for n, s in (("late", 3.0), ("soon", 1.0), ("mid", 2.0))]
    await asyncio.sleep(0)
    await clock.advance(2.5)
    assert woken == [("soon", 1.0), ("mid", 2.0)]
    await clock.advance(1.0)
    assert woken[-1] == ("late", 3.0)
    await asyncio.gather(*tasks)


async def test_auto_clock_advances_when_everybody_sleeps() -> None:
    clock = ManualClock()
    await asyncio.gather(clock.sleep(10), clock.sleep(3600))
    assert clock.monotonic() == 3600


async def test_wall_clock_may_jump_while_monotonic_time_goes_on() -> None:
    clock = ManualClock(wall_ms=1000.0, auto=False)
    clock.jump_wall(-500.0)
    await clock.advance(1.0)
    assert (clock.wall_ms(), clock.monotonic()) == (1500.0, 1.0)


async def test_a_cancelled_sleeper_moves_no_time() -> None:
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    gone.cancel()
    await clock.sleep(60)
    assert clock.monotonic() == 60
    waiting = asyncio.create_task(clock.sleep(1000))
    await asyncio.sleep(0)
    waiting.cancel()
    for _ in range(50):
        await asyncio.sleep(0)
    assert clock.monotonic() == 60
