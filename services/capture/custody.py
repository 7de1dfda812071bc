"""Which capture process has which session: what a client brings is taken over, what was taken is given up.

A session outlives the process that began it. Its client comes to another one, which takes it over; or nobody comes,
and then whoever notices first takes it over to end it, so that the workers can forget it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import zlib
from collections.abc import Iterable
from typing import Protocol

from schemas.partitioning import partition_of
from schemas.records import BackgroundResult, InteractionTurn, SessionEnded
from schemas.ticks import FRAME_MS
from schemas.topics import BACKGROUND_RESULTS, HOUR_MS, INTERACTION_TURNS, SESSION_CONTROL
from services.capture.directory import Directory, Known
from services.capture.past import PastReader
from services.capture.session import Fatal, Session, State
from services.capture.settings import CaptureSettings
from services.capture.takeover import Lost, Takeover
from shared import metrics
from shared.clock import Clock
from shared.log.api import Consumer, Log, LogUnavailable, TopicPartition
from shared.log.loop import Incoming, Outgoing
from shared.logging import get_logger

logger = get_logger(__name__)
LOOK_BACK_MS = 24 * HOUR_MS  # of a session older than that there are no frames any more
SWEEP_S = 1.0
MISSED_HOLDS = 3
_CATCH_UP_S = 5.0


class Holder(Protocol):
    """What is needed of the rest of capture."""

    def session(self, session_id: str) -> Session | None: ...
    def partitions_in_use(self) -> set[int]: ...
    def admit(self, session: Session) -> None: ...
    def lose(self, session_id: str) -> None: ...
    async def tick_from(self, session: Session, overdue: int, due: float) -> None: ...
    async def emit(self, outgoing: Outgoing) -> None: ...
    async def follow(self, partitions: Iterable[TopicPartition]) -> None: ...


class Custody:
    """Follows ``session.control``; takes over and gives up."""

    def __init__(
        self,
        holder: Holder,
        settings: CaptureSettings,
        log: Log,
        clock: Clock,
        *,
        shares: frozenset[int],
        partitions: int,
    ) -> None:
        self._holder = holder
        self._settings = settings
        self._clock = clock
        self._shares = shares
        self._partitions = partitions
        self._guests: set[int] = set()  # partitions beyond the shares, in which sessions were taken over
        self._changing = asyncio.Lock()
        self._ends: dict[TopicPartition, int] = {}  # of partitions whose past is not read yet
        self._read_already: set[TopicPartition] = set()
        self._consumer: Consumer | None = None
        self._caught_up = asyncio.Event()
        self._caught_up_at = float("inf")
        self._swept_at = self._awake_since = clock.monotonic()
        self._adopting: dict[str, asyncio.Task[Session | None]] = {}
        self.directory = Directory()
        self._reader = PastReader(log, partitions=partitions, client_id=f"capture-{settings.instance_id}-past")
        self._takeover = Takeover(settings, clock, self.directory, self._reader, holder.emit)

    # --- what is read

    def followed(self) -> set[TopicPartition]:
        """All of ``session.control``; turns and results of our shares and of sessions that were taken over."""
        control = {TopicPartition(SESSION_CONTROL.name, p) for p in range(self._partitions)}
        topics = (INTERACTION_TURNS.name, BACKGROUND_RESULTS.name)
        return control | {TopicPartition(topic, p) for topic in topics for p in self._shares | self._guests}

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Begin with the sessions of the last hours, before the first record."""
        control = sorted(tp for tp in partitions if tp.topic == SESSION_CONTROL.name)
        if not control:
            return
        self._consumer = consumer
        since_ms = max(0, int(self._clock.wall_ms()) - LOOK_BACK_MS)
        ends = await consumer.end_offsets(control)
        found = await consumer.offsets_for_times(dict.fromkeys(control, since_ms))
        for source in control:
            offset = found[source]
            if offset is not None and offset < ends[source]:
                consumer.seek(source, offset)
                self._ends[source] = ends[source]
        self._check_caught_up()

    def heard(self, incoming: Incoming, now: float) -> None:
        """Take a record of ``session.control`` in; a session that another process has claimed is given up."""
        known = self.directory.apply(incoming.value, now)
        session = None if known is None else self._holder.session(known.session_id)
        if known is not None and session is not None and known.epoch > session.framer.epoch:
            self._holder.lose(known.session_id)
        source = incoming.record.source
        if source in self._ends and incoming.record.offset + 1 >= self._ends[source]:
            del self._ends[source]
            self._check_caught_up()

    async def _look_for_gaps(self) -> None:
        """Past that ends with records which nobody was given (undecodable ones) is over when the reader is past it.

        Seen twice, so that what it has just fetched is handled, too.
        """
        assert self._consumer is not None
        try:
            past = {source for source, end in self._ends.items() if await self._consumer.position(source) >= end}
        except LogUnavailable:
            return
        for source in past & self._read_already:
            del self._ends[source]
        self._read_already = past
        self._check_caught_up()

    def _check_caught_up(self) -> None:
        if not self._ends and not self._caught_up.is_set():
            self._caught_up.set()
            self._caught_up_at = self._clock.monotonic()
            logger.info("sessions_known", sessions=len(self.directory))

    def came_early(self, record: InteractionTurn | BackgroundResult) -> None:
        """A turn or result of a session that is not ours, or not yet."""
        early = self._takeover.early.get(record.session_id)
        if early is not None:
            early.append(record)

    # --- a client brings a session

    async def find(self, session_id: str, resume_hash: bytes) -> Known | None:
        """The session of a client that shows its token; None when there is none to go on with."""
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                await self._caught_up.wait()
        except TimeoutError:
            logger.warning("sessions_not_known_yet", partitions=len(self._ends))
        known = self.directory.get(session_id)
        if known is None or not hmac.compare_digest(known.resume_hash, resume_hash):
            return None
        # One that ended well is played out: its client may have lost its socket just before the last turns.
        return known if known.ended is None or known.ended.reason == "bye" else None

    async def confirm(self, session: Session) -> bool:
        """Whether a session that we hold is still ours, as the log has it.

        A process that was paused does not know yet what others have claimed meanwhile; it learns it from its own word,
        read back in its place. When it is not ours, the session has been given up when this returns.

        Raises:
            Fatal: the log does not answer; coming back may help.
        """
        capture_id = self._settings.instance_id
        verdict = self.directory.claim(session.id, capture_id, session.framer.epoch)
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                await self._holder.emit(Outgoing(SESSION_CONTROL, session.control(capture_id)))
                return await asyncio.shield(verdict)
        except (LogUnavailable, TimeoutError):
            raise Fatal("not_ready", "the log does not answer", close_code=1013, retry_after_ms=1000) from None

    async def adopt(self, known: Known, *, end: bool = False) -> Session | None:
        """Take a session over; None when another process has it. Who asks for the same one meanwhile shares it.

        Raises:
            Fatal: not now; coming back may help.
        """
        task = self._adopting.get(known.session_id)
        if task is None:
            task = self._adopting[known.session_id] = asyncio.create_task(self._adopt(known, end=end))
            task.add_done_callback(lambda _: self._adopting.pop(known.session_id, None))
        try:
            return await asyncio.shield(task)
        except (LogUnavailable, TimeoutError) as error:
            logger.warning("take_over_failed", session=known.session_id, error=repr(error))
            raise Fatal("not_ready", "the log does not answer", close_code=1013, retry_after_ms=1000) from None

    async def _adopt(self, known: Known, *, end: bool) -> Session | None:
        began = self._clock.monotonic()
        await self._follow_guests({partition_of(known.session_id, self._partitions)})
        try:
            session = await self._takeover.take(known, end=end, admit=self._holder.admit)
        except Lost as lost:
            logger.info("take_over_lost", session=known.session_id, reason=str(lost))
            return None
        framer = session.framer
        realtime = framer.realtime and session.state is State.LIVE
        overdue = self._takeover.overdue(session) if realtime else 0
        metrics.SESSIONS_TAKEN_OVER.labels(session.reason or "resumed").inc()
        took_ms = round((self._clock.monotonic() - began) * 1000)
        logger.info(
            "session_taken_over", session=session.id, epoch=framer.epoch, tick=framer.next_tick, gap_ticks=overdue,
            reason=session.reason, took_ms=took_ms,
        )  # fmt: skip
        if session.state is State.PLAYING_OUT and known.ended is None:
            await self._holder.emit(Outgoing(SESSION_CONTROL, _ended(session)))
        await self._holder.tick_from(session, overdue, self._takeover.next_due(session, overdue))
        return session

    # --- partitions beyond our shares

    async def _follow_guests(self, more: set[int]) -> None:
        """Follow these as well, and no longer those in which no session of ours is left."""
        async with self._changing:
            coming = {partition_of(session_id, self._partitions) for session_id in self._takeover.early}
            guests = (more | coming | self._holder.partitions_in_use()) - self._shares
            if not more <= self._guests | self._shares or not self._guests <= guests:
                self._guests = guests
                await self._holder.follow(self.followed())

    # --- sessions without anybody

    async def run(self, stop: asyncio.Event) -> None:
        """End orphans and let go of what is over, until ``stop``."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                pause = asyncio.create_task(self._clock.sleep(SWEEP_S))
                await asyncio.wait({pause, stopping}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
                if stop.is_set():
                    break
                if self._caught_up.is_set():
                    await self._sweep()
                elif self._ends:
                    await self._look_for_gaps()
        finally:
            stopping.cancel()
            for task in self._adopting.values():
                task.cancel()
            await self._reader.close()

    async def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now - self._swept_at > 2 * SWEEP_S:
            self._awake_since = now  # we were held up or paused ourselves, and have heard nobody
        self._swept_at = now
        self.directory.forget_ended(now)
        orphans = [known for known in self.directory.live() if self._is_orphan(known, now)]
        await asyncio.gather(*(self._end(known) for known in orphans))
        await self._follow_guests(set())

    def _is_orphan(self, known: Known, now: float) -> bool:
        """Nobody has said for long that it holds the session, or it was ours before this process was started anew."""
        settings = self._settings
        silent_s = now - max(known.heard_at, self._awake_since)
        if silent_s <= min(settings.capture_resume_grace_s, settings.capture_hold_interval_s):
            return False
        if self._holder.session(known.session_id) is not None or known.session_id in self._adopting:
            return False
        if known.capture_id == settings.instance_id and known.heard_at <= self._caught_up_at:
            return silent_s > settings.capture_resume_grace_s + SWEEP_S
        # Not all processes at the same moment.
        turn = zlib.crc32(f"{settings.instance_id}:{known.session_id}".encode()) % 1024 / 1024
        return silent_s > settings.capture_hold_interval_s * (MISSED_HOLDS + turn)

    async def _end(self, known: Known) -> None:
        with contextlib.suppress(Fatal):  # then the next sweep tries again
            await self.adopt(known, end=True)


def _ended(session: Session) -> SessionEnded:
    framer = session.framer
    return SessionEnded(
        session_id=session.id,
        timestamp_ms=framer.start_ms + framer.next_tick * FRAME_MS,
        ticks=framer.next_tick,
        reason=session.reason,
        capture_epoch=framer.epoch,
    )
