"""A loop without a group that changes what it follows while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.clock import ManualClock
from shared.log.api import LogUnavailable, TopicPartition
from shared.log.loop import ConsumeLoop
from shared.log.memory import MemoryLog
from tests.contract.loop_rig import (
    Answering,
    answered,
    frame,
    home,
    new_log,
    new_loop,
    publish,
    running,
    sessions_apart,
    until,
)

FIRST, SECOND = sessions_apart(2)


class Following(Answering):
    """Remembers what it was assigned on top of what it has."""

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: object) -> None:
        self.owned |= partitions


@pytest.fixture
async def following() -> AsyncIterator[tuple[MemoryLog, ConsumeLoop, Following]]:
    clock = ManualClock()
    log = await new_log(clock)
    handler = Following()
    yield log, new_loop(log, handler, clock, group=None), handler


async def test_what_is_added_begins_at_its_end_and_what_stays_goes_on(
    following: tuple[MemoryLog, ConsumeLoop, Following],
) -> None:
    log, loop, handler = following
    async with running(loop):
        await loop.started.wait()
        await loop.follow([home(FIRST)])
        assert handler.owned == {home(FIRST)}
        await publish(log, [frame(FIRST, 0), frame(SECOND, 0)])
        await until(lambda: (FIRST, 0) in answered(log))
        await loop.follow([home(FIRST), home(SECOND)])
        await publish(log, [frame(FIRST, 1), frame(SECOND, 1)])
        await until(lambda: len(answered(log)) == 3)
        await loop.follow([home(SECOND)])
        await publish(log, [frame(FIRST, 2), frame(SECOND, 2)])
        await until(lambda: (SECOND, 2) in answered(log))
    assert sorted(answered(log)) == sorted([(FIRST, 0), (FIRST, 1), (SECOND, 1), (SECOND, 2)])
    assert len(handler.seen) == 4, "none was given twice"


async def test_changes_while_records_come_lose_none_of_those_that_stay(
    following: tuple[MemoryLog, ConsumeLoop, Following],
) -> None:
    log, loop, _ = following
    both = [home(FIRST), home(SECOND)]
    async with running(loop):
        await loop.started.wait()

        async def change() -> None:
            for round_ in range(20):
                await loop.follow(both[: 1 + round_ % 2])

        changing = asyncio.create_task(change())
        for tick in range(50):
            await publish(log, [frame(FIRST, tick)])
            await asyncio.sleep(0)
        await changing
        await until(lambda: len([one for one in answered(log) if one[0] == FIRST]) == 50)
    assert answered(log) == [(FIRST, tick) for tick in range(50)]


async def test_a_group_s_member_does_not_choose_and_an_ended_loop_says_so() -> None:
    clock = ManualClock()
    log = await new_log(clock)
    with pytest.raises(ValueError, match="does not choose"):
        await new_loop(log, Answering(), clock).follow([home(FIRST)])
    loop = new_loop(log, Following(), clock, group=None)
    async with running(loop):
        await loop.started.wait()
        loop.stop()
        asked = asyncio.create_task(loop.follow([home(FIRST)]))
    with pytest.raises(LogUnavailable, match="ended"):
        await asked
