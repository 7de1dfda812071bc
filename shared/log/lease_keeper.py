"""Keeps a worker's lease, reads everybody's, and has the worker follow, claim and hand over partitions accordingly.

Nobody assigns anything: each worker computes the same plan (``placement``) from the same records (``leases``), claims
what the plan gives it once nobody owns it or it is warm, and goes on with what it has until somebody claims that.
So every move is made before the old owner lets go, and a partition stands still only when its owner died.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from schemas import codec
from schemas.records import OwnedPartition, WorkerLease
from schemas.topics import WORKER_LEASES, Topic
from shared.clock import Clock
from shared.log.api import Consumer, Log, LogError, LogUnavailable, Producer, TopicPartition
from shared.log.leases import LeaseBoard
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger

TAIL = 2_000  # records to read back on start: seconds of signs of life, however many workers there are
IN_FLIGHT = 8  # unacknowledged signs of life; more would only come late in one burst
LONGEST_LEASE_MS = 5_000
FORGET_LAG = 0.97  # of the worst delay a worker remembers that much from one beat to the next: half after 2 s

T = TypeVar("T")
_log = get_logger(__name__)
_SOURCE = TopicPartition(WORKER_LEASES.name, 0)


class Tenant(Protocol):
    """A service's worker: what it owns, and how it takes partitions over. Called from one task at a time."""

    def owned(self) -> Mapping[int, int]:
        """Partitions that it answers for, with the epoch of its claim."""

    def warm(self) -> Collection[int]:
        """Partitions that it follows without owning them and could take over without a pause."""

    def epoch(self, partition: int) -> int:
        """The newest epoch that it knows of this partition from elsewhere; 0 when it knows none."""

    async def follow(self, partitions: frozenset[int]) -> None:
        """Get and stay warm for exactly these besides the owned ones."""

    async def claim(self, epochs: Mapping[int, int]) -> None:
        """Begin to take these partitions over, each with its epoch; ``owned`` tells when that is so."""

    async def superseded(self, partition: int, epoch: int) -> None:
        """Somebody is heard to own this with a newer epoch."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """``beat_s``: time between signs of life while others are there (``idle_beat_s``: alone). ``lease_ms``: silence
    after which others may take this worker for dead; the delays that it sees in itself are added to it."""

    service: str
    instance: str
    standby: bool = False
    beat_s: float = 0.05
    idle_beat_s: float = 0.5
    lease_ms: int = 150
    calm_s: float = 2.0
    """A living owner that stays keeps a partition at least so long."""
    lonely_s: float = 5.0
    """A standby that has heard of no primary does the work itself after this time."""
    leave_s: float = 8.0
    """How long to wait for a successor before leaving anyway."""


class LeaseKeeper:
    """Runs beside the consume loop of ``tenant``."""

    def __init__(self, log: Log, clock: Clock, tenant: Tenant, topic: Topic, settings: LeaseSettings) -> None:
        """``topic`` is the one whose partitions are shared out."""
        self.settled = asyncio.Event()
        """Set once this worker has all that the plan gives it, and is warm where it follows."""
        self._log = log
        self._clock = clock
        self._tenant = tenant
        self._settings = settings
        self._topic = topic
        self.board = LeaseBoard(settings.instance, int(clock.wall_ms()))
        self._started = clock.monotonic()
        self._seq = 0
        self._sent: dict[int, float] = {}  # seq -> when, monotonic
        self._in_flight: set[asyncio.Future[int]] = set()
        self._worst_lag_s = 0.0
        self._moved: dict[int, tuple[str, float]] = {}  # partition -> owner, since when
        self._claims: dict[int, float] = {}  # partition -> when we claimed it
        self._leaving = False
        self._left = asyncio.Event()
        self._hurry = asyncio.Event()
        self._acting: asyncio.Task[None] | None = None

    # --- life

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the lease until ``stop``, then say good-bye.

        Raises:
            LogUnavailable: the log did not answer after bounded retries.
            LogError: another process lives under this instance name.
        """
        name = f"{self._settings.service}-{self._settings.instance}-lease"
        producer = await self._retrying(lambda: self._log.producer(name))
        consumer = await self._retrying(lambda: self._log.consumer(client_id=name, fetch_wait_ms=500))
        self.board.partitions = await self._retrying(lambda: self._log.partitions(self._topic.name))
        try:
            await self._retrying(lambda: self._go_to_tail(consumer))
            while not stop.is_set():
                due = self._clock.monotonic() + self._interval_s
                await self._beat(producer)
                await self._listen(consumer, due)
            await self._stop_acting()
            with contextlib.suppress(LogError):
                await (await self._send(producer, gone=True))
        finally:
            await self._stop_acting()
            await consumer.close()
            await producer.close()

    async def leave(self) -> None:
        """Offer everything to the others; return once it is theirs, or nobody is there to take it."""
        self._leaving = True
        self._hurry.set()
        await self._until(self._clock.monotonic() + self._settings.leave_s, self._left)

    async def _stop_acting(self) -> None:
        if self._acting is not None:
            self._acting.cancel()
            await asyncio.gather(self._acting, return_exceptions=True)

    async def _go_to_tail(self, consumer: Consumer) -> None:
        end = (await consumer.end_offsets([_SOURCE]))[_SOURCE]
        begin = (await consumer.beginning_offsets([_SOURCE]))[_SOURCE]
        consumer.assign({_SOURCE: max(begin, end - TAIL)})

    @property
    def _interval_s(self) -> float:
        calm = self.settled.is_set() and not self._leaving and not self.board.others
        return self._settings.idle_beat_s if calm else self._settings.beat_s

    async def _retrying(self, operation: Callable[[], Awaitable[T]]) -> T:
        return await retrying(operation, clock=self._clock, backoff=Backoff())

    # --- signs of life

    async def _beat(self, producer: Producer) -> None:
        if len(self._in_flight) < IN_FLIGHT:
            with contextlib.suppress(LogUnavailable):
                acknowledged = asyncio.ensure_future(await self._send(producer))
                self._in_flight.add(acknowledged)
                acknowledged.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: asyncio.Future[int]) -> None:
        self._in_flight.discard(future)
        if not future.cancelled() and future.exception() is not None:
            _log.warning("lease_not_renewed", error=str(future.exception()))

    async def _send(self, producer: Producer, *, gone: bool = False) -> Awaitable[int]:
        settings, now_ms = self._settings, int(self._clock.wall_ms())
        lag_ms = int(self._worst_lag_s * 1000)
        self._seq += 1
        lease = WorkerLease(
            service=settings.service,
            instance=settings.instance,
            incarnation=self.board.incarnation,
            seq=self._seq,
            sent_at_ms=now_ms,
            lease_ms=min(LONGEST_LEASE_MS, settings.lease_ms + lag_ms + int(1000 * self._interval_s)),
            standby=settings.standby,
            leaving=self._leaving,
            gone=gone,
            owned=[] if gone else [OwnedPartition(partition=p, epoch=e) for p, e in self._tenant.owned().items()],
            warm=sorted(self._tenant.warm()),
        )
        self._sent[self._seq] = self._clock.monotonic()
        self._sent.pop(self._seq - TAIL, None)
        key = f"{settings.service}:{settings.instance}".encode()
        return await producer.send(
            WORKER_LEASES.name, key, codec.encode(lease), partition=0, timestamp_ms=now_ms
        )

    async def _listen(self, consumer: Consumer, due: float) -> None:
        """Read what has come, once: at the time the next sign of life is due, or at once when there is a hurry.

        Signs of life come many a second; reading each as it comes would cost a request each.
        """
        await self._until(due, self._hurry)
        self._hurry.clear()
        try:
            batch = await consumer.get_batch(timeout_ms=0, max_records=TAIL)
        except LogUnavailable as error:
            _log.warning("leases_unavailable", error=str(error))
            return
        self._worst_lag_s = max(self._worst_lag_s * FORGET_LAG, self._clock.monotonic() - due)
        for records in batch.values():
            for record in records:
                self._hear(record.value)

    def _hear(self, raw: bytes | None) -> None:
        try:
            lease: WorkerLease = codec.decode(WORKER_LEASES, raw)
        except codec.UndecodableRecord as error:
            _log.warning("lease_unreadable", error=str(error))
            return
        if lease.service != self._settings.service:
            return
        now = self._clock.monotonic()
        own = lease.instance == self._settings.instance and lease.incarnation == self.board.incarnation
        sent_at = self._sent.pop(lease.seq, None) if own else None
        self.board.hear(lease, now, sent_at)
        if self.board.fenced:
            raise LogError(f"another process is {self._settings.service} {self._settings.instance} now")
        if sent_at is not None:
            self._worst_lag_s = max(self._worst_lag_s, now - sent_at - self._interval_s)
            self._decide(now, lease)

    async def _until(self, due: float, event: asyncio.Event) -> None:
        """Return at this time, or when the event is set."""
        waits = {asyncio.ensure_future(self._clock.sleep_until(due)), asyncio.ensure_future(event.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- decisions

    def _decide(self, now: float, own: WorkerLease) -> None:
        """As far as this worker has read; not while it still acts on what it decided before."""
        if own.leaving and (not self._tenant.owned() or not self.board.successors):
            self._left.set()
        for partition in range(self.board.partitions):
            owner = self.board.owner(partition)
            name = "" if owner is None else owner.lease.instance
            if self._moved.get(partition, ("", 0.0))[0] != name:
                self._moved[partition] = name, now
        if self._acting is not None:
            if not self._acting.done():
                return
            self._acting.result()
        if not self._leaving:
            self._acting = asyncio.create_task(self._act(now))

    async def _act(self, now: float) -> None:
        tenant, owned = self._tenant, self._tenant.owned()
        for partition, epoch in list(owned.items()):
            if self.board.epochs.get(partition, 0) > epoch:
                await tenant.superseded(partition, self.board.epochs[partition])
        plan = self.board.plan()
        mine = {p for p, name in plan.items() if name == self._settings.instance} - tenant.owned().keys()
        wanted = set(range(self.board.partitions)) - owned.keys() if self._settings.standby else mine
        await tenant.follow(frozenset(wanted))
        warm = set(tenant.warm())
        claims = {p: self._next_epoch(p) for p in sorted(mine) if self._may_claim(p, now, p in warm)}
        if claims:
            self._claims |= dict.fromkeys(claims, self._clock.monotonic())  # following may have taken its time
            _log.info("partitions_claimed", partitions=list(claims), warm=sorted(warm & claims.keys()))
            await tenant.claim(claims)
        if not mine and warm >= wanted:
            self.settled.set()

    def _next_epoch(self, partition: int) -> int:
        """Above all that were seen, also where a clock is wrong; the time, where nobody remembers any."""
        seen = max(self.board.epochs.get(partition, 0), self._tenant.epoch(partition))
        return max(1 + seen, int(self._clock.wall_ms()))

    def _may_claim(self, partition: int, now: float, warm: bool) -> bool:
        settings = self._settings
        if now - self._claims.get(partition, float("-inf")) < settings.calm_s:
            return False  # under way
        owner = self.board.owner(partition)
        if owner is None:
            lonely = settings.standby and not self.board.primaries_known
            return not lonely or now - self._started > settings.lonely_s
        if owner.lease.instance == settings.instance or not warm:
            return False
        return owner.lease.leaving or now - self._moved[partition][1] > settings.calm_s
