"""Following Kafka partitions, as a group's member or by explicit assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError

from shared.log.api import CommitRejected, LogError, LogRecord, RebalanceCallback, TopicPartition
from shared.log.kafka_settings import KafkaSettings, translate, translated

T = TypeVar("T")
_GRACE_S = 0.05


class KafkaConsumer:
    """See ``shared.log.api.Consumer``."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        client_id: str,
        group: str | None,
        instance_id: str | None,
        from_beginning: bool,
        fetch_wait_ms: int | None,
        on_assigned: RebalanceCallback | None,
        on_revoked: RebalanceCallback | None,
    ) -> None:
        self._group = group
        self._explicit = True  # assigned explicitly; else by the group
        self._instance_id = instance_id
        self._joined = False
        self._fenced = False
        self._timeout_s = settings.request_timeout_ms / 1000
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._kept: dict[TopicPartition, int] = {}  # positions of explicitly assigned partitions
        self._to_end: set[TopicPartition] = set()  # explicitly assigned, end not looked up yet
        self._paused: set[TopicPartition] = set()
        self._owned: frozenset[TopicPartition] = frozenset()
        self._has_partitions = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            client_id=client_id,
            group_id=group,
            group_instance_id=instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_beginning else "latest",
            fetch_min_bytes=1,
            fetch_max_wait_ms=settings.fetch_max_wait_ms if fetch_wait_ms is None else fetch_wait_ms,
            max_partition_fetch_bytes=settings.max_fetch_bytes_per_partition,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(100, settings.session_timeout_ms // 6),
            max_poll_interval_ms=settings.max_poll_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            request_timeout_ms=settings.request_timeout_ms,
        )

    async def start(self, topics: Sequence[str]) -> None:
        """Connect, and ask to join the group; the assignment comes later. Raises ``LogUnavailable``."""
        try:
            with translated():
                await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        if self._group is not None and topics:
            self._explicit = False
            self._consumer.subscribe(topics, listener=_Listener(self))

    # --- reading

    async def get_batch(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[LogRecord]]:
        self._check_open()
        if self._explicit and not self._owned:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._has_partitions.wait()
            return {}
        if self._to_end:
            await self._find_ends()
        fetched: dict[Any, list[Any]] = {}
        with suppress(TimeoutError):  # in a rebalance aiokafka waits for its end, however long it takes
            async with asyncio.timeout(timeout_ms / 1000 + _GRACE_S):
                with translated():
                    fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        # No waiting from here on: what was taken must reach the caller before partitions can change hands.
        self._check_open()
        batch: dict[TopicPartition, list[LogRecord]] = {}
        for kafka_partition, records in fetched.items():
            tp = TopicPartition(*kafka_partition)
            batch[tp] = [LogRecord(tp.topic, tp.partition, r.offset, r.timestamp, r.key, r.value) for r in records]
            if self._explicit:
                self._kept[tp] = records[-1].offset + 1
        return batch

    async def _find_ends(self) -> None:
        ends = await self.end_offsets(tuple(self._to_end))
        for tp in self._to_end & ends.keys():
            self._kept[tp] = ends[tp]
            self._consumer.seek(KafkaPartition(*tp), ends[tp])
        self._to_end -= ends.keys()

    # --- assignment

    def assignment(self) -> frozenset[TopicPartition]:
        return self._owned

    def assign(self, partitions: Mapping[TopicPartition, int | None]) -> None:
        if not self._explicit:
            raise LogError("a group's member can't be assigned partitions explicitly")
        for tp, offset in partitions.items():
            if offset is not None:
                self._kept[tp] = offset
                self._to_end.discard(tp)
            elif tp not in self._kept:
                self._to_end.add(tp)
        self._owned = frozenset(partitions)
        if partitions:
            self._has_partitions.set()
        else:
            self._has_partitions.clear()
        self._kept = {tp: offset for tp, offset in self._kept.items() if tp in partitions}
        self._to_end &= partitions.keys()
        self._paused &= partitions.keys()
        self._consumer.assign([KafkaPartition(*tp) for tp in partitions])
        # aiokafka forgets positions and pauses with every assignment.
        for tp, offset in self._kept.items():
            self._consumer.seek(KafkaPartition(*tp), offset)
        self._consumer.pause(*(KafkaPartition(*tp) for tp in self._paused))

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        wanted = set(partitions)
        self._check_assigned(*wanted)
        self._paused |= wanted
        self._consumer.pause(*(KafkaPartition(*tp) for tp in wanted))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        wanted = set(partitions) & self._paused
        self._paused -= wanted
        if self._taking is None:  # else it resumes them when it is done
            self._consumer.resume(*(KafkaPartition(*tp) for tp in wanted))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_assigned(partition)
        if self._explicit:
            self._kept[partition] = offset
            self._to_end.discard(partition)
        self._consumer.seek(KafkaPartition(*partition), offset)

    async def position(self, partition: TopicPartition) -> int:
        self._check_assigned(partition)
        if partition in self._to_end:
            await self._find_ends()
        return await self._bounded(self._consumer.position(KafkaPartition(*partition)))

    def _check_assigned(self, *partitions: TopicPartition) -> None:
        for tp in partitions:
            if tp not in self._owned:
                raise LogError(f"{tp.topic}:{tp.partition} is not assigned to this consumer")

    # --- the group's side

    async def give_up(self) -> None:
        """Called when the group rebalances, heartbeats going on, before partitions are taken."""
        if self._taking is not None:
            await asyncio.wait([self._taking])
        if self._joined and self._instance_id is not None and self._membership_lost():
            self._fenced = True
            raise asyncio.CancelledError  # ends aiokafka's coordination; an Exception it would log and go on
        if self._owned and self._on_revoked is not None and not self._closed:
            await self._notify(self._on_revoked, self._owned)
        self._owned = frozenset()
        self._paused.clear()

    def _membership_lost(self) -> bool:
        """Whether the group does not know this member any more.

        aiokafka would join again, and so throw out the member that has taken over the instance id, which would do
        the same, for ever. A static member that was forgotten fails instead, and is started anew if it is wanted.
        """
        generation: int = self._consumer._coordinator.generation
        return generation < 0

    def take(self, partitions: frozenset[TopicPartition]) -> None:
        """Called with a new assignment, heartbeats *not* going on until it returns.

        So the owner's callback, which may restore a lot of state, runs beside; its partitions are paused meanwhile.
        """
        self._joined = True
        self._owned = partitions
        self._paused.clear()
        if partitions and self._on_assigned is not None:
            self._consumer.pause(*(KafkaPartition(*tp) for tp in partitions))
            self._taking = asyncio.create_task(self._finish_taking(self._on_assigned, partitions))

    async def _finish_taking(self, callback: RebalanceCallback, partitions: frozenset[TopicPartition]) -> None:
        await self._notify(callback, partitions)
        self._taking = None
        if not self._closed:
            self._consumer.resume(*(KafkaPartition(*tp) for tp in partitions - self._paused))

    async def _notify(self, callback: RebalanceCallback, partitions: frozenset[TopicPartition]) -> None:
        try:
            await callback(partitions)
        except Exception as error:  # raised where the owner can see it: from its next get_batch
            self._failure = error

    # --- offsets

    async def committed(self, partition: TopicPartition) -> int | None:
        self._check_grouped()
        return await self._bounded(self._consumer.committed(KafkaPartition(*partition)))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._check_grouped()
        if self._fenced or self._closed:
            raise CommitRejected("not a member of the group any more")
        try:
            await self._bounded(self._consumer.commit({KafkaPartition(*tp): o for tp, o in offsets.items()}))
        except IllegalStateError as error:  # not assigned (any more)
            raise CommitRejected(str(error)) from error

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = await self._bounded(self._consumer.beginning_offsets([KafkaPartition(*tp) for tp in partitions]))
        return {TopicPartition(*tp): offset for tp, offset in found.items()}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = await self._bounded(self._consumer.end_offsets([KafkaPartition(*tp) for tp in partitions]))
        return {TopicPartition(*tp): offset for tp, offset in found.items()}

    async def offsets_for_times(self, timestamps_ms: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        wanted = {KafkaPartition(*tp): timestamp for tp, timestamp in timestamps_ms.items()}
        found = await self._bounded(self._consumer.offsets_for_times(wanted)) if wanted else {}
        return {TopicPartition(*tp): None if at is None else at.offset for tp, at in found.items()}

    def _check_grouped(self) -> None:
        if self._group is None:
            raise LogError("this consumer belongs to no group")

    async def _bounded(self, request: Awaitable[T]) -> T:
        """aiokafka repeats many requests for ever; we don't."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await request
        except IllegalStateError:
            raise
        except Exception as error:
            raise translate(error) from error

    # --- end

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        await self._stop()

    async def _stop(self) -> None:
        """Stop aiokafka's consumer, whose own ``stop`` gives up half-way when it waits for a task that it cancelled."""
        consumer = self._consumer
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait([stopping])
        if not stopping.cancelled():
            stopping.result()
            return
        if consumer._fetcher is not None:
            await asyncio.gather(consumer._fetcher.close(), return_exceptions=True)
            fetching = tuple(consumer._fetcher._pending_tasks)
            for task in fetching:
                task.cancel()
            await asyncio.gather(*fetching, return_exceptions=True)
        await consumer._client.close()

    def _check_open(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._closed:
            raise LogError("the consumer is closed")
        if self._fenced:
            raise LogError(f"fenced: the group gave up on instance {self._instance_id}, or another one has its id")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """What aiokafka calls in a rebalance."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._consumer.give_up()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._consumer.take(frozenset(TopicPartition(*tp) for tp in assigned))
