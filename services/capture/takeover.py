"""Taking a session over from another capture process: claim it in the log, read its past, go on where it stopped.

The order matters. The claim comes first, so that whoever still holds the session learns that it lost it, and is
fenced by its older epoch from our first frame on. What is read after that is all that counts of its frames, but for
the few that it cuts until then: their ticks are cut twice, and the first in the log counts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from schemas.records import BackgroundResult, InteractionTurn, SessionHeld
from schemas.ticks import FRAME_MS
from schemas.topics import SESSION_CONTROL
from services.capture.directory import Directory, Known
from services.capture.framing import Framer
from services.capture.past import Past, PastReader
from services.capture.playout import RING_TICKS, Cut, Playout
from services.capture.session import Session, State
from services.capture.settings import CaptureSettings
from shared.clock import Clock
from shared.log.loop import Outgoing

CLAIMS = 5
TIMEOUT_S = 8.0
FRAME_S = FRAME_MS / 1000
_UNKNOWN_RATE_HZ = 16_000  # until the client's hello says another


class Lost(Exception):
    """Another process claimed the session every time, or it ended meanwhile."""


class Takeover:
    """Makes sessions of this process out of those of others; ``early`` holds what comes for them meanwhile."""

    def __init__(
        self,
        settings: CaptureSettings,
        clock: Clock,
        directory: Directory,
        reader: PastReader,
        emit: Callable[[Outgoing], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._reader = reader
        self._emit = emit
        self.early: dict[str, list[InteractionTurn | BackgroundResult]] = {}

    async def take(self, known: Known, *, end: bool, admit: Callable[[Session], None]) -> Session:
        """Claim and rebuild a session; ``admit`` gets it in the moment from which on its turns must reach it.

        The partition's turns must be followed already. With ``end``, or when its client has been gone for longer
        than the grace, it is given back ending: its next frame is its last.

        Raises:
            Lost: somebody else holds it.
            LogUnavailable: its past can't be read now.
            TimeoutError: the log does not answer.
        """
        early = self.early[known.session_id] = []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                epoch = await self._claim(known)
                past = await self._reader.read(known)
            session = self._rebuild(self._directory.get(known.session_id) or known, epoch, past, end=end)
            for record in early:
                if isinstance(record, InteractionTurn):
                    session.playout.turn(record)
                else:
                    session.playout.result(record)
            admit(session)
            return session
        finally:
            del self.early[known.session_id]

    def overdue(self, session: Session) -> int:
        """How many frames of the session nobody cut in time, by the wall clock."""
        newest = math.floor((self._clock.monotonic() - self._origin(session)) / FRAME_S + 1e-6) - 1
        return max(0, newest + 1 - session.framer.next_tick)

    def next_due(self, session: Session, overdue: int) -> float:
        """When the frame after the overdue ones is complete (monotonic s), in a frame's time at the latest.

        Where our wall clock is behind the one of the process before, the session's time slips by that much.
        """
        now = self._clock.monotonic()
        due = self._origin(session) + (session.framer.next_tick + overdue + 1) * FRAME_S
        return due if now < due <= now + FRAME_S else now + FRAME_S

    async def _claim(self, known: Known) -> int:
        """The epoch in which we hold the session, or in which it ended. Raises ``Lost``."""
        capture_id = self._settings.instance_id
        for _ in range(CLAIMS):
            if known.ended:
                return known.epoch
            epoch = known.epoch + 1
            verdict = self._directory.claim(known.session_id, capture_id, epoch)
            await self._emit(Outgoing(SESSION_CONTROL, _claim_of(known, capture_id, epoch)))
            if await verdict:
                return epoch
            known = self._directory.get(known.session_id) or known
        raise Lost(f"session {known.session_id} is held by {known.capture_id}")

    def _rebuild(self, known: Known, epoch: int, past: Past, *, end: bool) -> Session:
        realtime = known.pace != "file"
        framer = Framer(
            known.session_id,
            known.start_ms,
            _UNKNOWN_RATE_HZ,
            known.config,
            realtime=realtime,
            next_tick=past.next_tick,
            epoch=epoch,
        )
        if past.next_tick > 0 and framer.next_timestamp_ms <= known.updated_ms:
            framer.announce_config()  # said by the client, and not in any frame yet
        session = Session(framer, known.resume_hash, playout=_playout(past))
        session.phase_ms = known.phase_ms
        now = self._clock.monotonic()
        session.detached_at = session.last_cut_at = session.frame_began = now
        session.hold_at = now + self._settings.capture_hold_interval_s
        self._play_again(session, past)
        gone_s = self.overdue(session) * FRAME_S if realtime else 0.0
        if known.ended or past.final:
            session.state = State.PLAYING_OUT
            session.reason = known.ended.reason if known.ended else "capture_gone"
        elif end or gone_s > self._settings.capture_resume_grace_s + 1.0:
            session.end("client_gone")
        return session

    def _play_again(self, session: Session, past: Past) -> None:
        """Fill the playout: what the client missed is in its ring then, and later turns find their frames."""
        framer, playout, origin = session.framer, session.playout, self._origin(session)
        for tick in range(playout.played_ticks, framer.next_tick):
            frame_end_ms = framer.start_ms + (tick + 1) * FRAME_MS + session.phase_ms
            playout.expect(tick, Cut(float(frame_end_ms), origin + (tick + 1) * FRAME_S, None))
        for turn in past.turns:
            playout.turn(turn)
        for result in past.results:
            playout.result(result)

    def _origin(self, session: Session) -> float:
        """Monotonic time of the session's begin, its phase included."""
        began_ms = session.framer.start_ms + session.phase_ms
        return self._clock.monotonic() - (self._clock.wall_ms() - began_ms) / 1000


def _playout(past: Past) -> Playout:
    return Playout(max(0, past.next_tick - RING_TICKS), taken_over=True)


def _claim_of(known: Known, capture_id: str, epoch: int) -> SessionHeld:
    return SessionHeld(
        session_id=known.session_id,
        timestamp_ms=known.next_ms,
        tick=(known.next_ms - known.start_ms) // FRAME_MS,
        capture_id=capture_id,
        capture_epoch=epoch,
        phase_ms=known.phase_ms,
        config=known.config,
        pace=known.pace,
        resume_hash=known.resume_hash,
    )


__all__ = ["Lost", "Takeover"]
