"""Capture without its socket: sessions in, frames and session records out, turns and results back to their session."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import uuid
from collections.abc import Iterable, Sequence
from typing import NoReturn

from schemas import client
from schemas.partitioning import partition_of
from schemas.records import (
    BackgroundResult,
    InteractionTurn,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    TurnsClaimed,
)
from schemas.ticks import FRAME_MS, floor_to_frame
from schemas.topics import CAPTURE_FRAMES, SESSION_CONTROL
from services.capture.custody import Custody
from services.capture.framing import Framer, Refused
from services.capture.outbox import Outbox
from services.capture.playout import Cut
from services.capture.session import MAX_REFUSALS, MAX_UNANSWERED_TICKS, Fatal, Session, State, hash_of
from services.capture.settings import CaptureSettings
from services.capture.ticker import Ticker
from shared import metrics
from shared.audio import AudioError
from shared.clock import Clock
from shared.context import CONFIG, WriteBehind
from shared.fencing import TurnFence
from shared.log.api import Consumer, Log, TopicPartition
from shared.log.loop import ConsumeLoop, Incoming, InvalidRecord, Outgoing
from shared.logging import get_logger

logger = get_logger(__name__)
_JUMP_MS = 200.0
_NO_ANSWERS_AFTER_S = 30.0


def share_of(partitions: int, share: int, instance_id: str) -> frozenset[int]:
    """Which partitions a process takes: ``share`` of them evenly spread from an offset that its name decides."""
    if partitions <= share:
        return frozenset(range(partitions))
    first = partition_of(instance_id, partitions)
    return frozenset((first + n * partitions // share) % partitions for n in range(share))


class Capture:
    """All sessions of one process; the handler of its consume loop.

    Session ids are minted to hash into ``shares``, the only partitions whose turns and results this process reads.
    """

    def __init__(
        self, settings: CaptureSettings, log: Log, clock: Clock, *, partitions: int, notes: WriteBehind | None = None
    ) -> None:
        """``notes``: where configurations are noted for other processes; never waited for."""
        self._settings = settings
        self._notes = notes
        self._clock = clock
        self._partitions = partitions
        self.shares = share_of(partitions, settings.capture_share, settings.instance_id)
        self._sessions: dict[str, Session] = {}
        self._loop: ConsumeLoop | None = None
        self._fence = TurnFence()
        self.ticker: Ticker[Session] = Ticker(clock, self._on_tick)
        self.custody = Custody(self, settings, log, clock, shares=self.shares, partitions=partitions)
        self._wall_origin_ms = clock.wall_ms() - clock.monotonic() * 1000
        self._stopping = False

    def bind(self, loop: ConsumeLoop) -> None:
        """Frames and session records are sent through this loop, which must be running."""
        self._loop = loop

    def assignment(self) -> dict[TopicPartition, int | None]:
        """What to read: turns and results from the end on, older ones belong to sessions that nobody here knows."""
        return dict.fromkeys(self.custody.followed())

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    # --- sessions begin, come back, end

    async def open(self, hello: client.Hello, outbox: Outbox) -> Session:
        """Begin a session: its first frame is cut one frame from now.

        Raises:
            Fatal: at capacity, stopping, or a wrong rate, pace or configuration.
        """
        self._check_room()
        if hello.pace not in ("realtime", "file"):
            raise Fatal("bad_pace", f"pace {hello.pace!r} is neither 'realtime' nor 'file'")
        wall_ms = self._clock.wall_ms()
        try:
            framer = Framer(
                self._mint(),
                floor_to_frame(wall_ms),
                hello.rate_hz,
                hello.config,
                realtime=hello.pace == "realtime",
            )
        except AudioError as error:
            raise Fatal("bad_rate", str(error)) from None
        except Refused as error:
            raise Fatal(error.code, str(error)) from None
        resume_token = secrets.token_urlsafe(24)
        session = Session(framer, hash_of(framer.session_id, resume_token), resume_token)
        self._sessions[session.id] = session
        session.attach(outbox)
        session.send(session.welcome(resumed=False))
        now = self._clock.monotonic()
        first = self.ticker.add(session)
        session.frame_began = first - FRAME_MS / 1000
        session.hold_at = now + self._settings.capture_hold_interval_s
        session.phase_ms = max(0, round(wall_ms + (first - now) * 1000 - framer.start_ms) - FRAME_MS)
        metrics.SESSIONS_OPEN.set(len(self._sessions))
        started = SessionStarted(
            session_id=session.id,
            timestamp_ms=framer.start_ms,
            capture_id=self._settings.instance_id,
            phase_ms=session.phase_ms,
            config=hello.config,
            pace=hello.pace,
            resume_hash=session.resume_hash,
        )
        self._note(session)
        await self._emit(Outgoing(SESSION_CONTROL, started))
        return session

    def _check_room(self) -> None:
        """Raises ``Fatal`` where coming back later may help."""
        if self._stopping:
            raise Fatal("stopping", "this server is stopping", close_code=1012, retry_after_ms=1000)
        if len(self._sessions) >= self._settings.capture_max_sessions:
            metrics.SESSIONS_REFUSED.labels("at_capacity").inc()
            raise Fatal("at_capacity", "all sessions are taken", close_code=1013, retry_after_ms=5000)

    async def resume(self, hello: client.Hello, outbox: Outbox) -> Session:
        """Play a session to another socket: first what its client missed, then live.

        A session of another process, or of one that died, is taken over.

        Raises:
            Fatal: no such session (any more), or the wrong secret; which of them is not told. Or not just now.
        """
        resume_hash = hash_of(hello.session_id, hello.resume_token)
        session = self._sessions.get(hello.session_id)
        if session is None or not hmac.compare_digest(session.resume_hash, resume_hash):
            session = None if session is not None else await self._adopt(hello.session_id, resume_hash)
        elif session.state in (State.LIVE, State.ENDING) and not await self.custody.confirm(session):
            session = self._sessions.get(hello.session_id) or await self._adopt(hello.session_id, resume_hash)
        if session is None or session.state is State.CLOSED:
            metrics.SESSIONS_REFUSED.labels("unknown_session").inc()
            raise Fatal("unknown_session", "there is no such session to resume, or its resume_token is another")
        session.resume_token = hello.resume_token
        try:
            session.framer.set_rate(hello.rate_hz)
        except AudioError as error:
            raise Fatal("bad_rate", str(error)) from None
        session.attach(outbox)
        session.send(session.welcome(resumed=True))
        gone, missed = session.playout.since(hello.last_tick)
        if gone:
            session.counts["turns_missing"] += gone
        for played in missed:
            session.send_raw(played.message)
        if session.playout.finished:
            self._close(session)
        return session

    async def _adopt(self, session_id: str, resume_hash: bytes) -> Session | None:
        """Another process's session, now ours. Raises ``Fatal`` where coming back later may help."""
        known = await self.custody.find(session_id, resume_hash)
        if known is None:
            return None
        self._check_room()
        session = await self.custody.adopt(known)
        return None if session is None or session.state is State.CLOSED or session.reason == "client_gone" else session

    def session(self, session_id: str) -> Session | None:
        """A session of this process."""
        return self._sessions.get(session_id)

    def partitions_in_use(self) -> set[int]:
        """Where the sessions of this process live."""
        return {partition_of(session_id, self._partitions) for session_id in self._sessions}

    def admit(self, session: Session) -> None:
        """A session that was taken over is ours from now on; its ticks begin with ``tick_from``."""
        self._sessions[session.id] = session
        self._note(session)
        metrics.SESSIONS_OPEN.set(len(self._sessions))

    async def tick_from(self, session: Session, overdue: int, due: float) -> None:
        """Cut what nobody cut in time, then a frame every tick, the first at ``due``."""
        for missed in range(overdue, 0, -1):
            if session.state is State.LIVE:
                await self._on_tick(session, due - missed * FRAME_MS / 1000, behind=True)
        if session.state is not State.CLOSED:
            first = self.ticker.add_at(session, due)
            session.frame_began = first - FRAME_MS / 1000

    def lose(self, session_id: str) -> None:
        """Another process has taken this session over."""
        session = self._sessions.pop(session_id)
        session.state = State.CLOSED
        self.ticker.remove(session)
        metrics.SESSIONS_OPEN.set(len(self._sessions))
        metrics.SESSIONS_LOST.inc()
        logger.info("session_lost", session=session_id, epoch=session.framer.epoch)
        if session.outbox is not None:
            text = "the session was taken over by another server: resume it, if that was not you"
            session.outbox.close(1012, "moved", client.Error(code="moved", message=text, retry_after_ms=200))

    def detach(self, session: Session, outbox: Outbox) -> None:
        """A socket is gone: its session goes on with gap frames and waits for it a while."""
        session.detach(outbox, self._clock.monotonic())

    async def shut_down(self) -> None:
        """End all sessions: each gets its last frame and its remaining turns, as far as they come in time.

        Or leave them (``capture_stop``): their clients are told to come back, to whatever process is there then.
        """
        self._stopping = True
        if self._settings.capture_stop == "hand_over":
            self._hand_over()
        deadline = self._clock.monotonic() + self._settings.capture_stop_timeout_s
        for session in self._sessions.values():
            session.end("server_stopping")
        while self._sessions and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.02)
        for session in list(self._sessions.values()):
            self._close(session)

    def _hand_over(self) -> None:
        for session in list(self._sessions.values()):
            if session.state is State.LIVE:
                del self._sessions[session.id]
                session.state = State.CLOSED
                self.ticker.remove(session)
                if session.outbox is not None:
                    session.outbox.close(1012, "server_stopping")

    # --- what clients send

    async def take(self, session: Session, message: client.ClientMessage) -> None:
        """Take one message of a session's client.

        Raises:
            Fatal: a second hello, or too many refused messages.
        """
        try:
            await self._take(session, message)
        except Refused as error:
            self.refuse(session, error)

    def refuse(self, session: Session, error: Refused) -> None:
        """Tell the client that one message was not taken. Raises ``Fatal`` when it was one too many."""
        session.refusals += 1
        if error.code in ("image_too_large", "bad_image", "video_off"):
            metrics.IMAGES_DROPPED.labels(error.code).inc()
        if session.refusals > MAX_REFUSALS:
            raise Fatal("too_many_errors", f"more than {MAX_REFUSALS} messages were refused; the last: {error}")
        session.send(client.Error(code=error.code, message=str(error), fatal=False))

    async def _take(self, session: Session, message: client.ClientMessage) -> None:
        if session.state is not State.LIVE:
            return  # said good-bye already
        framer = session.framer
        if isinstance(message, client.Audio):
            framer.push_audio(message.pcm)
            if not framer.realtime:
                await self._advance(session)
        elif isinstance(message, client.Picture):
            offset_ms = int((self._clock.monotonic() - session.frame_began) * 1000) if framer.realtime else 0
            framer.push_image(message.jpeg, offset_ms)
        elif isinstance(message, client.Text):
            framer.push_text(message.text)
        elif isinstance(message, client.Event):
            await self._take_event(session, message)
        elif isinstance(message, client.Bye):
            session.end("bye")
            if not framer.realtime:
                await self._advance(session)
        else:
            self._unexpected()

    async def _take_event(self, session: Session, event: client.Event) -> None:
        if event.name != "session.update":
            session.framer.push_event(event.name, event.data)
            return
        config = session.framer.update(event.data.get("config"))
        at = session.framer.next_timestamp_ms
        updated = SessionUpdated(session_id=session.id, timestamp_ms=at, config=config)
        self._note(session)
        await self._emit(Outgoing(SESSION_CONTROL, updated))

    def note_again(self) -> None:
        """The shared context may have lost everything: write the live sessions' configurations again."""
        for session in self._sessions.values():
            self._note(session)

    def _note(self, session: Session) -> None:
        if self._notes is not None:
            self._notes.put(CONFIG, session.id, session.framer.config)

    def _unexpected(self) -> NoReturn:
        raise Fatal("bad_message", "hello comes once, first", close_code=1002)

    # --- frames out

    async def _on_tick(self, session: Session, due: float, behind: bool) -> None:
        now = self._clock.monotonic()
        self._watch_wall_clock(now)
        if session.outbox is None and due - session.detached_at >= self._settings.capture_resume_grace_s:
            session.end("client_gone")
        if session.ticks_unanswered > MAX_UNANSWERED_TICKS:
            session.end("no_answers")
        if session.state is State.LIVE and now >= session.hold_at:
            session.hold_at = now + self._settings.capture_hold_interval_s
            await self._emit(Outgoing(SESSION_CONTROL, session.control(self._settings.instance_id)))
        if session.state in (State.LIVE, State.ENDING):
            # A file's frames are cut as its audio comes; the ticker only ends a session that nobody else will.
            if session.framer.realtime:
                metrics.TICKER_LATE_SECONDS.observe(now - due)
                session.frame_began = due
                await self._cut(session, due, now, behind)
            elif session.state is State.ENDING and (session.outbox is None or session.reason != "bye"):
                await self._cut(session, due, now, behind)
        elif session.playout.finished or now - session.last_cut_at > self._settings.capture_drain_timeout_s:
            self._close(session)
        session.notify(now)

    async def _advance(self, session: Session) -> None:
        """File pace: cut all whole frames (and at the end the last one), but never run far ahead of the turns."""
        while session.state is State.ENDING or (session.state is State.LIVE and session.framer.frame_waiting):
            if session.outbox is None:
                return
            if session.may_cut:
                now = self._clock.monotonic()
                await self._cut(session, now, now, behind=False)
                continue
            session.progress.clear()
            try:
                async with asyncio.timeout(_NO_ANSWERS_AFTER_S):
                    await session.progress.wait()
            except TimeoutError:
                raise Fatal("no_answers", f"no turn came for {_NO_ANSWERS_AFTER_S:.0f} s", close_code=1011) from None

    async def _cut(self, session: Session, due: float, now: float, behind: bool) -> None:
        final = session.next_is_final
        frame = session.framer.cut(final=final, behind=behind)
        frame_end_ms = self._clock.wall_ms() - (now - due) * 1000
        for played in session.playout.expect(frame.tick, Cut(frame_end_ms, due, frame.gap_ms)):
            session.send_raw(played.message)
        session.last_cut_at = now
        if final:
            session.state = State.PLAYING_OUT
        metrics.FRAMES_CUT.inc()
        if frame.gap_ms:
            metrics.GAP_SECONDS.inc(frame.gap_ms / 1000)
        for code, count in session.framer.counts.items():
            _count(code, count)
        session.notify(now)
        await self._emit(Outgoing(CAPTURE_FRAMES, frame))
        if final:
            ended = SessionEnded(
                session_id=session.id,
                timestamp_ms=session.framer.next_timestamp_ms,
                ticks=session.framer.next_tick,
                reason=session.reason,
                capture_epoch=session.framer.epoch,
            )
            await self._emit(Outgoing(SESSION_CONTROL, ended))

    async def emit(self, outgoing: Outgoing) -> None:
        """Send a record. Raises ``LogUnavailable``."""
        await self._emit(outgoing)

    async def follow(self, partitions: Iterable[TopicPartition]) -> None:
        """Read exactly these partitions from now on."""
        await self._bound().follow(partitions)

    async def _emit(self, outgoing: Outgoing) -> None:
        await self._bound().emit([outgoing])

    def _bound(self) -> ConsumeLoop:
        if self._loop is None:
            raise RuntimeError("capture is not bound to a consume loop")
        return self._loop

    def _watch_wall_clock(self, now: float) -> None:
        origin_ms = self._clock.wall_ms() - now * 1000
        if abs(origin_ms - self._wall_origin_ms) > _JUMP_MS:
            metrics.CLOCK_JUMPS.inc()
            logger.warning("wall_clock_jumped", jump_ms=round(origin_ms - self._wall_origin_ms))
            for session in self._sessions.values():
                session.counts["clock_jump"] += 1
        self._wall_origin_ms = origin_ms

    def _mint(self) -> str:
        while True:
            session_id = uuid.uuid4().hex
            if partition_of(session_id, self._partitions) in self.shares:
                return session_id

    def _close(self, session: Session) -> None:
        if self._sessions.pop(session.id, None) is None:
            return
        session.state = State.CLOSED
        self.ticker.remove(session)
        metrics.SESSIONS_OPEN.set(len(self._sessions))
        ticks = session.framer.next_tick
        missing = ticks - session.playout.played_ticks + session.playout.missing
        logger.info("session_ended", session=session.id, ticks=ticks, missing=missing, reason=session.reason)
        if session.outbox is not None:
            if missing:
                session.send(client.Notice(code="turns_missing", message="turns that never came", count=missing))
            code = 1012 if session.reason == "server_stopping" else 1000
            session.outbox.close(code, session.reason, client.Ended(reason=session.reason, ticks=ticks))

    # --- turns and results in (the consume loop's handler)

    async def handle(self, batch: Sequence[Incoming]) -> Iterable[Outgoing | InvalidRecord]:
        now = self._clock.monotonic()
        for incoming in batch:
            record = incoming.value
            if isinstance(record, TurnsClaimed):
                self._fence.claimed(record)
                continue
            if isinstance(record, InteractionTurn) and not self._fence.admits(incoming.record.partition, record):
                metrics.TURNS_IGNORED.labels("stale_epoch").inc()
                continue
            if incoming.topic is SESSION_CONTROL:
                self.custody.heard(incoming, now)
                continue
            session = self._sessions.get(record.session_id)
            if session is None:
                self.custody.came_early(record)
                continue
            if isinstance(record, InteractionTurn):
                self._play(session, record, now)
            elif isinstance(record, BackgroundResult):
                session.send_raw(session.playout.result(record).message)
        return ()

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        for partition in partitions:  # the end is where it is now, before any session begins
            await consumer.position(partition)
        await self.custody.assigned(partitions, consumer)

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Explicit assignment: nothing is taken away while the process lives."""

    def _play(self, session: Session, turn: InteractionTurn, now: float) -> None:
        missing = session.playout.missing
        ignored, played = session.playout.turn(turn)
        if ignored:
            metrics.TURNS_IGNORED.labels(ignored).inc()
            return
        if session.playout.missing > missing:
            session.counts["turns_missing"] += session.playout.missing - missing
        for one in played:
            latency_s = now - one.cut_at
            metrics.TURN_LATENCY.observe(latency_s)
            if latency_s * 1000 > self._settings.turn_budget_ms:
                metrics.DEADLINE_MISSES.inc()
            session.send_raw(one.message)
        session.progress.set()
        if session.playout.finished:
            self._close(session)


def _count(code: str, count: int) -> None:
    if code in ("late_audio", "overrun"):
        metrics.AUDIO_DROPPED_SECONDS.labels(code).inc(count / 1000)
    elif code == "image_dropped":
        metrics.IMAGES_DROPPED.labels("too_many").inc(count)
