"""A consumer group in memory: eager rebalances, static members, committed offsets, as Kafka does them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.clock import Clock
from shared.log.api import CommitRejected, TopicPartition

if TYPE_CHECKING:
    from shared.log.memory_consumer import MemoryConsumer


@dataclass(slots=True, eq=False)
class _Seat:
    """A member's place. It outlives its consumer until the session timeout when the consumer dies or is static."""

    name: str
    topics: tuple[str, ...]
    static: bool
    consumer: MemoryConsumer | None
    assignment: frozenset[TopicPartition] = frozenset()

    @property
    def present(self) -> bool:
        return self.consumer is not None and not self.consumer.crashed


class MemoryGroup:
    """Members and committed offsets. Every rebalance takes all partitions from all members, then deals them anew."""

    def __init__(self, clock: Clock, partitions_of: Callable[[str], int], session_timeout_s: float) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.generation = 0
        self._clock = clock
        self._partitions_of = partitions_of
        self._session_timeout_s = session_timeout_s
        self._seats: dict[str, _Seat] = {}
        self._names = itertools.count()
        self._due = False
        self._rebalancing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, consumer: MemoryConsumer, topics: Sequence[str], instance_id: str | None) -> None:
        """Take a seat. With an ``instance_id`` that is known, its assignment is taken over without a rebalance."""
        name = f"static-{instance_id}" if instance_id else f"member-{next(self._names):06d}"
        seat = self._seats.get(name)
        if seat is None:
            self._seats[name] = _Seat(name, tuple(topics), instance_id is not None, consumer)
            self.request_rebalance()
            return
        if seat.consumer is not None:
            seat.consumer.fence()
        seat.consumer = consumer
        self._changed.set()
        if seat.topics != tuple(topics) or self._rebalancing is not None:
            seat.topics = tuple(topics)
            self.request_rebalance()
        else:
            self._spawn(consumer.take(seat.assignment))

    def leave(self, consumer: MemoryConsumer) -> None:
        """Give the seat up: at once when dynamic, after the session timeout when static or crashed."""
        seat = self._seat_of(consumer)
        if seat is None:
            return
        if seat.static or consumer.crashed:
            if not consumer.crashed:
                seat.consumer = None
            self._spawn(self._expire(seat, self._clock.monotonic() + self._session_timeout_s))
        else:
            del self._seats[seat.name]
            self._changed.set()
            self.request_rebalance()

    def commit(self, consumer: MemoryConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises ``CommitRejected`` unless the consumer holds its seat and every one of these partitions.

        A consumer that was never a member may commit while there are no members.
        """
        seat = self._seat_of(consumer)
        if seat is None and consumer.explicit and not self._seats:
            self.committed.update(offsets)
            return
        if seat is None:
            raise CommitRejected("not a member of the group any more")
        foreign = [tp for tp in offsets if tp not in seat.assignment]
        if foreign:
            raise CommitRejected(f"not assigned to this member: {foreign}")
        self.committed.update(offsets)

    def request_rebalance(self) -> None:
        """Deal the partitions anew, once more if that is being done already."""
        self._due = True
        if self._rebalancing is None:
            self._rebalancing = self._spawn(self._rebalance())

    async def close(self) -> None:
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rebalance(self) -> None:
        try:
            while self._due:
                self._due = False
                await asyncio.gather(*(s.consumer.give_up() for s in self._seats.values() if s.consumer is not None))
                await self._missing_members_expired()
                self._deal()
                await asyncio.gather(
                    *(s.consumer.take(s.assignment) for s in self._seats.values() if s.consumer is not None)
                )
        finally:
            self._rebalancing = None

    async def _missing_members_expired(self) -> None:
        # The group can't know whether a silent member still works: it waits out its session timeout.
        while not all(seat.present for seat in self._seats.values()):
            self._changed.clear()
            await self._changed.wait()

    async def _expire(self, seat: _Seat, deadline: float) -> None:
        await self._clock.sleep_until(deadline)
        if self._seats.get(seat.name) is seat and not seat.present:
            del self._seats[seat.name]
            self._changed.set()
            self.request_rebalance()

    def _deal(self) -> None:
        """The range assignor: consecutive partitions of each topic to the members in order, so aligned topics match."""
        self._due = False
        self.generation += 1
        dealt: dict[str, set[TopicPartition]] = {name: set() for name in self._seats}
        for topic in sorted({topic for seat in self._seats.values() for topic in seat.topics}):
            members = sorted(name for name, seat in self._seats.items() if topic in seat.topics)
            count = self._partitions_of(topic)
            share, extra = divmod(count, len(members))
            first = 0
            for index, name in enumerate(members):
                size = share + (index < extra)
                dealt[name].update(TopicPartition(topic, p) for p in range(first, first + size))
                first += size
        for name, seat in self._seats.items():
            seat.assignment = frozenset(dealt[name])

    def _seat_of(self, consumer: MemoryConsumer) -> _Seat | None:
        return next((seat for seat in self._seats.values() if seat.consumer is consumer), None)

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
