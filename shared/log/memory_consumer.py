"""The in-memory consumer: positions, pauses and waiting over the partitions of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.clock import Clock
from shared.log.api import CommitRejected, LogError, LogRecord, RebalanceCallback, TopicPartition
from shared.log.memory_group import MemoryGroup
from shared.log.memory_partition import MemoryPartition


class MemoryConsumer:
    """See ``shared.log.api.Consumer``. Nothing is fetched ahead: records stay in the log until asked for."""

    def __init__(
        self,
        find: Callable[[TopicPartition], MemoryPartition],
        check_available: Callable[[], None],
        *,
        clock: Clock,
        group: MemoryGroup | None,
        explicit: bool,
        from_beginning: bool,
        on_assigned: RebalanceCallback | None,
        on_revoked: RebalanceCallback | None,
    ) -> None:
        self.crashed = False
        self._find = find
        self._check_available = check_available
        self._clock = clock
        self._group = group
        self.explicit = explicit
        self._from_beginning = from_beginning
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._settled = True
        self._closed = False
        self._fenced = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._turn = 0

    # --- reading

    async def get_batch(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[LogRecord]]:
        await self._clock.sleep(0)  # others get a turn even when there is always something to read
        self._check_open()
        self._check_available()
        batch = self._read(max_records)
        if batch or timeout_ms <= 0:
            return batch
        self._waiter = asyncio.get_running_loop().create_future()
        timer = asyncio.create_task(self._expire(timeout_ms))
        try:
            while not batch:
                await self._waiter
                self._check_open()
                batch = self._read(max_records)
                if timer.done():
                    break
                if not batch:
                    self._waiter = asyncio.get_running_loop().create_future()
        finally:
            timer.cancel()
            self._waiter = None
        return batch

    def _read(self, max_records: int) -> dict[TopicPartition, list[LogRecord]]:
        batch: dict[TopicPartition, list[LogRecord]] = {}
        if not self._settled:
            return batch
        partitions = list(self._positions)
        self._turn = (self._turn + 1) % max(1, len(partitions))  # so that a busy partition can't starve the rest
        left = max_records
        for tp in partitions[self._turn :] + partitions[: self._turn]:
            if left <= 0:
                break
            if tp in self._paused:
                continue
            store = self._find(tp)
            position = self._positions[tp]
            if not store.begin <= position <= store.end:
                position = self._positions[tp] = store.begin if self._from_beginning else store.end
            if position < store.end:
                records = batch[tp] = store.read(position, left)
                self._positions[tp] = records[-1].offset + 1
                left -= len(records)
        return batch

    async def _expire(self, timeout_ms: int) -> None:
        await self._clock.sleep(timeout_ms / 1000)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- assignment

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def assign(self, partitions: Mapping[TopicPartition, int | None]) -> None:
        if not self.explicit:
            raise LogError("a group's member can't be assigned partitions explicitly")
        kept = {tp: offset for tp, offset in self._positions.items() if tp in partitions}
        for tp, offset in partitions.items():
            if offset is not None:
                kept[tp] = offset
            elif tp not in kept:
                kept[tp] = self._find(tp).end
        self._follow(kept)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        for tp in partitions:
            self._check_assigned(tp)
            self._paused.add(tp)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        self._wake()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_assigned(partition)
        self._positions[partition] = offset
        self._wake()

    async def position(self, partition: TopicPartition) -> int:
        self._check_assigned(partition)
        return self._positions[partition]

    def _follow(self, positions: dict[TopicPartition, int]) -> None:
        for tp in self._positions:
            self._find(tp).watchers.pop(self, None)
        self._positions = positions
        self._paused &= positions.keys()
        for tp in positions:
            self._find(tp).watchers[self] = self._wake
        self._wake()

    def _check_assigned(self, tp: TopicPartition) -> None:
        if tp not in self._positions:
            raise LogError(f"{tp.topic}:{tp.partition} is not assigned to this consumer")

    # --- the group's side

    async def give_up(self) -> None:
        """Called by the group: let go of everything, after the owner's callback."""
        if self.crashed or self._closed or not self._positions:
            return
        self._settled = False
        await self._notify(self._on_revoked, self.assignment())
        self._follow({})
        self._paused.clear()

    async def take(self, partitions: frozenset[TopicPartition]) -> None:
        """Called by the group: own these, from their committed offsets on, after the owner's callback."""
        if self.crashed or self._closed or self._group is None:
            return
        self._settled = False
        starts = {tp: self._start_of(tp, self._group) for tp in sorted(partitions)}
        self._follow(starts)
        await self._notify(self._on_assigned, partitions)
        self._settled = True
        self._wake()

    def fence(self) -> None:
        """Called by the group: another member has taken this one's instance id."""
        self._fenced = True
        self._wake()

    def _start_of(self, tp: TopicPartition, group: MemoryGroup) -> int:
        committed = group.committed.get(tp)
        if committed is not None:
            return committed
        store = self._find(tp)
        return store.begin if self._from_beginning else store.end

    async def _notify(self, callback: RebalanceCallback | None, partitions: frozenset[TopicPartition]) -> None:
        if callback is None or not partitions:
            return
        try:
            await callback(partitions)
        except Exception as error:  # raised where the owner can see it: from its next get_batch
            self._failure = error

    # --- offsets

    async def committed(self, partition: TopicPartition) -> int | None:
        return self._grouped().committed.get(partition)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        group = self._grouped()
        self._check_available()
        if self._closed or self.crashed:
            raise CommitRejected("the consumer is closed")
        if self.explicit and not offsets.keys() <= self._positions.keys():
            raise CommitRejected("not assigned to this consumer")
        group.commit(self, offsets)

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._find(tp).begin for tp in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._find(tp).end for tp in partitions}

    async def offsets_for_times(self, timestamps_ms: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        return {tp: self._find(tp).first_at(timestamp) for tp, timestamp in timestamps_ms.items()}

    def _grouped(self) -> MemoryGroup:
        if self._group is None:
            raise LogError("this consumer belongs to no group")
        return self._group

    # --- end

    async def close(self) -> None:
        if self._closed:
            return
        if self._group is not None and not self.crashed:
            self._group.leave(self)
        self._closed = True
        self._follow({})

    def crash(self) -> None:
        """Fall silent as a killed process does: no callback, no commit, no farewell."""
        self.crashed = True
        if self._group is not None:
            self._group.leave(self)
        self._follow({})

    def _check_open(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._closed or self.crashed:
            raise LogError("the consumer is closed")
        if self._fenced:
            raise LogError("fenced: another member has this one's instance id")
