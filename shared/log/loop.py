"""The loop that every service runs: receive a batch, decode, handle, send, commit what is done.

Delivery is at least once. An input is *done* when the handler has returned, everything that it sent because of it is
acknowledged, and it isn't deferred (see ``shared.log.offsets``). Commits trail behind what is done by up to
``commit_interval_s``; after a crash or a rebalance the inputs since then are given again, and identity makes that
harmless. Acknowledgements are not waited for between batches.

Errors take one of three roads. A record that doesn't decode, that the handler refuses, or whose answer is too large
goes to ``dead.letters``. ``LogUnavailable`` is retried a bounded number of times. Anything else ends ``run`` with
that error and without a commit: the process should die and be restarted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from schemas.codec import UndecodableRecord, decode
from schemas.records import DeadLetter
from schemas.topics import DEAD_LETTERS, MAX_RECORD_BYTES, Topic
from shared.clock import Clock
from shared.log.api import (
    CommitRejected,
    Consumer,
    Log,
    LogRecord,
    LogUnavailable,
    Producer,
    RecordTooLarge,
    TopicPartition,
)
from shared.log.loop_metrics import LoopMetrics, NoLoopMetrics
from shared.log.offsets import OffsetTracker
from shared.log.retry import Backoff, retrying
from shared.log.sending import Incoming, Outgoing, Sender
from shared.logging import get_logger

__all__ = [
    "ConsumeLoop",
    "Finished",
    "Handler",
    "Incoming",
    "InvalidRecord",
    "LoopSettings",
    "Outgoing",
    "Output",
    "Sender",
]

T = TypeVar("T")
_log = get_logger(__name__)
_DEAD_LETTER_OVERHEAD_BYTES = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class InvalidRecord:
    """A handler's verdict that an input can't be handled: it goes to ``dead.letters``, the rest of the batch on."""

    source: Incoming
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A handler's word that an input it has deferred is done, apart from what was sent because of it."""

    source: Incoming


Output = Outgoing | InvalidRecord | Finished


class Handler(Protocol):
    """One service's work. Never called concurrently; must not block the event loop."""

    async def handle(self, batch: Sequence[Incoming]) -> Iterable[Output]:
        """Take everything that one read gave, in order per partition; return what to send, in order."""

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """These are ours from now on, before their first record: restore state, seek if need be."""

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """These are about to go: end deferred work on them. What is done then is committed; the rest is given again."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """``service`` names the process in dead letters and client ids; ``instance_id`` makes it a static member.

    With a ``group`` *and* an explicit assignment, offsets are kept in the group without being its member.
    ``window``: unacknowledged records before sending waits. ``max_deferred``: open deferred inputs per partition
    before that partition is paused.
    """

    service: str
    topics: tuple[Topic, ...]
    group: str | None = None
    instance_id: str | None = None
    from_beginning: bool = True
    max_records: int = 500
    poll_timeout_ms: int = 200
    commit_interval_s: float = 0.5
    window: int = 2_000
    max_deferred: int = 64
    backoff: Backoff = field(default_factory=Backoff)


class ConsumeLoop:
    """Runs one handler over one consumer and one producer until ``stop``."""

    def __init__(
        self,
        log: Log,
        handler: Handler,
        settings: LoopSettings,
        *,
        clock: Clock,
        metrics: LoopMetrics | None = None,
        assignment: Mapping[TopicPartition, int | None] | None = None,
        commits: Callable[[TopicPartition], bool] = lambda _: True,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """``assignment``: the partitions to follow, each from an offset or, if None, the end; else the group decides.

        ``commits`` says whose offsets are this process's to commit. While ``busy``, the handler is called with an empty
        batch when there is nothing to read, so that it can go on with what it has.
        """
        if settings.group is None and assignment is None:
            raise ValueError("a consume loop needs a group or an assignment")
        self._log = log
        self._handler = handler
        self._settings = settings
        self._clock = clock
        self._metrics = metrics or NoLoopMetrics()
        self._assignment = assignment
        self._commits = commits
        self._busy = busy
        self._topics = {topic.name: topic for topic in settings.topics}
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._deferred: set[Incoming] = set()
        self._deferred_per: Counter[TopicPartition] = Counter()
        self._turn = asyncio.Lock()  # held while a batch is handled or partitions change hands
        self._commit_turn = asyncio.Lock()
        self._consumer: Consumer | None = None
        self._sender: Sender | None = None
        self._polling: asyncio.Task[None] | None = None
        self._changes: deque[tuple[dict[TopicPartition, int | None], asyncio.Future[None]]] = deque()
        self._stopping = False
        self.started = asyncio.Event()
        """Set once consumer and producer are connected."""

    # --- life

    async def run(self) -> None:
        """Run until ``stop``; then finish what is in flight, commit and leave. Raises what can't be handled."""
        settings = self._settings
        producer = await self._retrying(lambda: self._log.producer(settings.service))
        try:
            await self._run_with(producer)
        finally:
            if self._consumer is not None:
                await self._consumer.close()
            await producer.close()

    def stop(self) -> None:
        """Ask ``run`` to end gracefully; returns at once."""
        self._stopping = True
        if self._polling is not None:
            self._polling.cancel()  # only ever while it waits for records: nothing has been taken yet

    async def _run_with(self, producer: Producer) -> None:
        settings = self._settings
        sender = self._sender = Sender(
            self._log,
            producer,
            clock=self._clock,
            window=settings.window,
            backoff=settings.backoff,
            metrics=self._metrics,
        )
        tasks = [asyncio.create_task(sender.run())]
        try:
            self._consumer = await self._retrying(self._connect)
            if self._assignment:
                self._consumer.assign(self._assignment)
                for tp in self._assignment:
                    await self._position(tp)  # from here on, "the end" is fixed
                await self._assigned(frozenset(self._assignment))
            self.started.set()
            tasks += [asyncio.create_task(self._consume()), asyncio.create_task(self._commit_regularly())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:  # a failed send first: it may have failed the consumer too
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _, changed in self._changes:
                if not changed.done():
                    changed.set_exception(LogUnavailable("the consume loop has ended"))

    async def _connect(self) -> Consumer:
        settings = self._settings
        return await self._log.consumer(
            tuple(self._topics) if self._assignment is None else (),
            client_id=settings.service,
            group=settings.group,
            instance_id=settings.instance_id,
            from_beginning=settings.from_beginning,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
        )

    async def _position(self, tp: TopicPartition) -> int:
        consumer = self._connected()
        return await self._retrying(lambda: consumer.position(tp))

    async def follow(self, partitions: Iterable[TopicPartition] | Mapping[TopicPartition, int | None]) -> None:
        """Follow exactly these partitions from now on (explicit assignments only); those that stay keep their place.

        New ones begin at their offset or, where none is given, at their end. Returns when that is fixed: what is
        appended from then on will be handled. Not from inside the handler, for which the loop would wait in vain.
        """
        if self._assignment is None:
            raise ValueError("a group's member does not choose its partitions")
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wanted = dict(partitions) if isinstance(partitions, Mapping) else dict.fromkeys(partitions)
        self._changes.append((wanted, changed))
        if self._polling is not None:
            self._polling.cancel()  # see ``stop``
        await changed

    async def _change(self) -> None:
        wanted, changed = self._changes[0]
        consumer, followed = self._connected(), frozenset(self._trackers)
        if wanted.keys() != followed:
            await self._revoked(followed - wanted.keys())
            new = wanted.keys() - followed
            consumer.assign({tp: offset if tp in new else None for tp, offset in wanted.items()})
            for tp in new:
                await self._position(tp)
            if new:
                await self._assigned(frozenset(new))
        self._changes.popleft()
        if not changed.done():
            changed.set_result(None)

    # --- receive, decode, handle, send

    async def _consume(self) -> None:
        while not self._stopping:
            while self._changes:
                await self._change()
            received = await self._receive()
            if received or self._busy():
                # Without a wait since the read, so no partition can have changed hands in between.
                async with self._turn:
                    await self._process(received)
                await self._clock.sleep(0)  # a backlog must not keep heartbeats and acknowledgements waiting
        await self._revoked(frozenset(self._trackers))

    async def _receive(self) -> dict[TopicPartition, list[LogRecord]]:
        settings, consumer = self._settings, self._connected()
        self._polling = asyncio.current_task()
        try:
            return await self._retrying(
                lambda: consumer.get_batch(
                    timeout_ms=0 if self._busy() else settings.poll_timeout_ms, max_records=settings.max_records
                )
            )
        except asyncio.CancelledError:
            if not self._stopping and not self._changes:
                raise
            if self._polling is not None:
                self._polling.uncancel()
            return {}
        finally:
            self._polling = None

    async def _process(self, received: Mapping[TopicPartition, Sequence[LogRecord]]) -> None:
        staged: list[tuple[OffsetTracker, int]] = []
        batch: list[Incoming] = []
        for source, records in received.items():
            tracker = self._trackers[source]
            topic = self._topics[source.topic]
            self._metrics.records_in(source.topic, len(records))
            for record in records:
                tracker.stage(record.offset)
                staged.append((tracker, record.offset))
                try:
                    batch.append(Incoming(topic, record, decode(topic, record.value), tracker))
                except UndecodableRecord as error:
                    await self._bury(Incoming(topic, record, None, tracker), str(error))
        if batch or self._busy():
            began = self._clock.monotonic()
            outputs = await self._handler.handle(batch)
            self._metrics.batch(len(batch), self._clock.monotonic() - began)
            await self._send_all(outputs)
        for tracker, offset in staged:
            tracker.release(offset)
        self._metrics.in_flight(self._sending().in_flight)

    async def _send_all(self, outputs: Iterable[Output]) -> None:
        sender = self._sending()
        for output in outputs:
            if isinstance(output, Finished):
                self._finish(output.source)
                continue
            if isinstance(output, InvalidRecord):
                await self._bury(output.source, output.reason)
                continue
            try:
                await sender.send(output)
            except RecordTooLarge as error:
                if output.source is None:
                    raise
                await self._bury(output.source, f"its answer is too large: {error}")

    async def _bury(self, incoming: Incoming, reason: str) -> None:
        """Send an input to ``dead.letters``; it is done when that is acknowledged."""
        record, value = incoming.record, incoming.record.value
        most = MAX_RECORD_BYTES - _DEAD_LETTER_OVERHEAD_BYTES - len(record.key or b"")
        if value is not None and len(value) > most:
            reason = f"{reason} (only the first {most} of {len(value)} bytes kept)"
            value = value[:most]
        now_ms = int(self._clock.wall_ms())
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            record_key=record.key,
            value=value,
            service=self._settings.service,
            error=reason[:2_000],
            failed_at_ms=now_ms,
        )
        key = f"{record.topic}:{record.partition}:{record.offset}".encode()
        await self._sending().send(Outgoing(DEAD_LETTERS, letter, source=incoming, key=key, timestamp_ms=now_ms))
        self._metrics.dead_letter(record.topic)
        _log.warning("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, error=reason)

    # --- work that outlasts its batch

    def defer(self, incoming: Incoming) -> None:
        """From inside ``handle``: keep this input open until ``complete``; too many of them pause the partition."""
        if incoming in self._deferred:
            raise ValueError(f"deferred twice: {incoming.record.source} {incoming.record.offset}")
        if not incoming.tracker.hold(incoming.record.offset):
            raise ValueError(f"deferred too late: {incoming.record.source} {incoming.record.offset} is done")
        self._deferred.add(incoming)
        source = incoming.record.source
        self._deferred_per[source] += 1
        if self._deferred_per[source] == self._settings.max_deferred:
            self._connected().pause([source])

    async def emit(self, outputs: Sequence[Output]) -> bool:
        """Send from outside ``handle``. Outputs whose source has been taken away are dropped; False if any was."""
        kept = [output for output in outputs if output.source is None or output.source.tracker.current]
        await self._send_all(kept)
        return len(kept) == len(outputs)

    async def complete(self, incoming: Incoming, outputs: Sequence[Outgoing | InvalidRecord] = ()) -> bool:
        """Send the last outputs of a deferred input and let it be committed.

        False, and nothing is sent, when its partition has been taken away: its next owner is given it again.
        """
        if not incoming.tracker.current:
            return False
        await self._send_all(outputs)
        self._finish(incoming)
        return True

    def _finish(self, incoming: Incoming) -> None:
        if incoming not in self._deferred:
            return  # it has gone with its partition, perhaps while sending waited
        self._deferred.discard(incoming)
        incoming.tracker.release(incoming.record.offset)
        source = incoming.record.source
        self._deferred_per[source] -= 1
        if self._deferred_per[source] == self._settings.max_deferred - 1:
            self._connected().resume([source])

    # --- partitions come and go

    async def _assigned(self, partitions: frozenset[TopicPartition]) -> None:
        async with self._turn:
            for tp in partitions:
                self._trackers[tp] = OffsetTracker()
            await self._handler.assigned(partitions, self._connected())

    async def _revoked(self, partitions: frozenset[TopicPartition]) -> None:
        async with self._turn:
            ours = partitions & self._trackers.keys()
            if not ours:
                return
            await self._handler.revoked(ours)
            await self._sending().flush()
            await self._commit()
            for tp in ours:
                self._trackers.pop(tp).current = False
                self._deferred_per.pop(tp, None)
            self._deferred = {incoming for incoming in self._deferred if incoming.tracker.current}

    # --- commit

    async def _commit_regularly(self) -> None:
        while True:
            await self._clock.sleep(self._settings.commit_interval_s)
            await self._commit()

    async def _commit(self) -> None:
        if self._settings.group is None:
            return
        async with self._commit_turn:
            trackers = dict(self._trackers)
            committable = {tp: tracker.committable() for tp, tracker in trackers.items() if self._commits(tp)}
            offsets = {tp: offset for tp, offset in committable.items() if offset is not None}
            if not offsets:
                return
            consumer = self._connected()
            try:
                await self._retrying(lambda: consumer.commit(offsets))
            except CommitRejected as error:
                self._metrics.commit_rejected()
                _log.warning("commit rejected", error=str(error))
                return
            for tp, offset in offsets.items():
                trackers[tp].committed = offset

    # --- small things

    async def _retrying(self, operation: Callable[[], Awaitable[T]]) -> T:
        def report(error: Exception) -> None:
            self._metrics.retried()
            _log.warning("retrying", error=str(error))

        return await retrying(operation, clock=self._clock, backoff=self._settings.backoff, on_retry=report)

    def _connected(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("the consume loop is not running")
        return self._consumer

    def _sending(self) -> Sender:
        if self._sender is None:
            raise RuntimeError("the consume loop is not running")
        return self._sender
