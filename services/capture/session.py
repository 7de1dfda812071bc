"""One client's session: its frames on the way in, its turns on the way out, and whether anybody is listening."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from enum import StrEnum

from schemas import client
from schemas.records import SessionHeld
from schemas.ticks import FRAME_MS, INPUT_RATE_HZ, OUTPUT_RATE_HZ
from services.capture.framing import Framer
from services.capture.outbox import Outbox
from services.capture.playout import Playout

MAX_AHEAD_TICKS = 16
MAX_REFUSALS = 50
MAX_UNANSWERED_TICKS = 1500  # five minutes
_NOTICE_EVERY_S = 1.0
_TEXTS = {
    "late_audio": "audio came too late and was dropped (count: ms)",
    "overrun": "audio came faster than real time and was dropped (count: ms)",
    "image_dropped": "more pictures than a frame can hold (count: pictures)",
    "clock_jump": "the server's wall clock was set; timestamps go on from the session's start (count: jumps)",
    "turns_missing": "turns that never came (count: ticks)",
}


def hash_of(session_id: str, resume_token: str) -> bytes:
    """What may be known of a resume token by everybody who reads the log. The token is random, the salt its session."""
    return hashlib.sha256(f"{session_id}:{resume_token}".encode()).digest()


class Fatal(Exception):
    """A refusal after which the socket is closed; goes to the client as it is."""

    def __init__(self, code: str, message: str, *, close_code: int = 1008, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.code, self.close_code, self.retry_after_ms = code, close_code, retry_after_ms


class State(StrEnum):
    LIVE = "live"  # a frame every tick
    ENDING = "ending"  # what has arrived is still cut into frames
    PLAYING_OUT = "playing_out"  # the last frame is cut, turns are still to come
    CLOSED = "closed"


class Session:
    """State of one session. Methods are synchronous: whoever has it may use it until the next await."""

    def __init__(
        self, framer: Framer, resume_hash: bytes, resume_token: str = "", *, playout: Playout | None = None
    ) -> None:
        """``resume_token`` is empty where only its hash is known: a session that was taken over to be ended."""
        self.id = framer.session_id
        self.framer = framer
        self.playout = playout or Playout()
        self.resume_hash = resume_hash
        self.resume_token = resume_token
        self.phase_ms = 0  # frames are cut so long after their nominal end
        self.hold_at = 0.0  # monotonic s: when the log is told next that this process holds the session
        self.state = State.LIVE
        self.reason = ""
        self.frame_began = 0.0  # monotonic s
        self.detached_at = 0.0  # meaningful while there is no outbox
        self.last_cut_at = 0.0
        self.outbox: Outbox | None = None
        self.progress = asyncio.Event()
        self.refusals = 0
        self.counts: Counter[str] = Counter()
        self._noticed: dict[str, float] = {}

    def control(self, capture_id: str) -> SessionHeld:
        """What the log is told of a session that this process holds."""
        framer = self.framer
        return SessionHeld(
            session_id=self.id,
            timestamp_ms=framer.next_timestamp_ms,
            tick=framer.next_tick,
            capture_id=capture_id,
            capture_epoch=framer.epoch,
            phase_ms=self.phase_ms,
            config=framer.config,
            pace="realtime" if framer.realtime else "file",
            resume_hash=self.resume_hash,
        )

    # --- the client's socket comes and goes

    def attach(self, outbox: Outbox) -> None:
        """Play to this socket from now on; the one before, if any, is closed."""
        if self.outbox is not None:
            error = client.Error(code="replaced", message="the session was resumed by another connection")
            self.outbox.close(1008, "replaced", error)
        self.outbox = outbox
        self.refusals = 0
        outbox.on_progress(self.progress.set)

    def detach(self, outbox: Outbox, now: float) -> None:
        """The socket is gone; a session that was resumed by another is none the wiser."""
        if self.outbox is outbox:
            self.outbox = None
            self.detached_at = now
            self.progress.set()

    def send(self, message: client.ServerMessage) -> None:
        self.send_raw(client.encode(message))

    def send_raw(self, message: bytes) -> None:
        if self.outbox is not None:
            self.outbox.put(message)

    def welcome(self, *, resumed: bool) -> client.Welcome:
        return client.Welcome(
            session_id=self.id,
            start_ms=self.framer.start_ms,
            frame_ms=FRAME_MS,
            input_rate_hz=INPUT_RATE_HZ,
            output_rate_hz=OUTPUT_RATE_HZ,
            resumed=resumed,
            resume_token=self.resume_token,
            next_tick=self.framer.next_tick,
        )

    # --- the end

    def end(self, reason: str) -> None:
        """Cut what has arrived into frames, the last one ``final``; only the first reason counts."""
        if self.state is State.LIVE:
            self.state, self.reason = State.ENDING, reason
            self.framer.drain()
            self.progress.set()

    @property
    def next_is_final(self) -> bool:
        return self.state is State.ENDING and (self.framer.drained or self.reason not in ("bye", "client_gone"))

    # --- what is paced by the client

    @property
    def ticks_unanswered(self) -> int:
        return self.framer.next_tick - self.playout.played_ticks

    @property
    def may_cut(self) -> bool:
        """File pace: few enough frames are ahead of their turns, and of the client's reading."""
        reading = self.outbox is None or len(self.outbox) < MAX_AHEAD_TICKS
        return self.ticks_unanswered < MAX_AHEAD_TICKS and reading

    # --- notices

    def notify(self, now: float) -> None:
        """Tell the client what was dropped, each code at most once a second."""
        counts = self.counts
        if self.framer.counts:
            counts.update(self.framer.counts)
            self.framer.counts.clear()
        if not counts:
            return
        for code, count in list(counts.items()):
            if now - self._noticed.get(code, -_NOTICE_EVERY_S) >= _NOTICE_EVERY_S:
                self._noticed[code] = now
                del counts[code]
                tick = self.framer.next_tick
                self.send(client.Notice(code=code, message=_TEXTS.get(code, code), tick=tick, count=count))
