"""Plays a recording through one session in real time and keeps everything that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.client import StreamClient
from infra.demo.recording import Recording
from schemas import client
from schemas.records import Floor
from schemas.ticks import FRAME_MS
from shared.clock import Clock

_QUIET_TICKS = 5
_CHUNK_MS = 100
_SETTLED = frozenset({"weave_finished", "weave_dropped", "cancelled"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A turn and when it came, epoch ms."""

    turn: client.Turn
    received_ms: float

    @property
    def latency_ms(self) -> float:
        """From the frame's end, by the server's clock, to the turn here."""
        return self.received_ms - self.turn.frame_end_ms


@dataclass(slots=True)
class Conversation:
    """What a session gave. ``ticks`` is how many frames the server says it had, None when it broke off."""

    welcome: client.Welcome | None = None
    heard: list[Heard] = field(default_factory=list)
    results: list[tuple[int, client.Result]] = field(default_factory=list)
    notices: list[client.Notice] = field(default_factory=list)
    ticks: int | None = None
    open_tasks: set[str] = field(default_factory=set)
    quiet_ticks: int = 0

    @property
    def last_tick(self) -> int:
        return self.heard[-1].turn.tick if self.heard else -1

    @property
    def settled(self) -> bool:
        """Nothing runs in the background, nothing waits to be said, and the model has been quiet for a second."""
        return not self.open_tasks and self.quiet_ticks >= _QUIET_TICKS

    def add(self, message: client.ServerMessage, now_ms: float) -> None:
        """Take one message of the server."""
        if isinstance(message, client.Turn):
            self.heard.append(Heard(message, now_ms))
            for event in message.events:
                if event.name == "delegated":
                    self.open_tasks.add(event.task_id)
                elif event.name in _SETTLED:
                    self.open_tasks.discard(event.task_id)
            self.quiet_ticks = self.quiet_ticks + 1 if message.floor == Floor.HOLD and not message.events else 0
        elif isinstance(message, client.Result):
            self.results.append((self.last_tick, message))
            if message.kind in ("error", "cancelled"):
                self.open_tasks.discard(message.task_id)
        elif isinstance(message, client.Notice):
            self.notices.append(message)
        elif isinstance(message, client.Ended):
            self.ticks = message.ticks


async def play(
    session: StreamClient,
    recording: Recording,
    conversation: Conversation,
    clock: Clock,
    on_message: Callable[[client.ServerMessage], None],
    *,
    tail_s: float,
) -> None:
    """Stream the recording, then silence for as long as the model still has something to say (at most ``tail_s``).

    Raises:
        Refusal: the server ended the session.
        Disconnected: the connection broke.
    """
    conversation.welcome = session.welcome
    sending = asyncio.create_task(_send(session, recording, conversation, clock, tail_s))
    try:
        async for message in session.messages():
            conversation.add(message, clock.wall_ms())
            on_message(message)
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(
    session: StreamClient, recording: Recording, conversation: Conversation, clock: Clock, tail_s: float
) -> None:
    ended = clock.monotonic() + recording.seconds
    await session.play(recording.pcm, chunk_ms=_CHUNK_MS)
    silence = bytes(recording.frame_bytes)
    spoken_ticks = len(recording.pcm) // recording.frame_bytes
    for n in range(int(tail_s * 1000) // FRAME_MS):
        if conversation.settled and conversation.last_tick >= spoken_ticks + _QUIET_TICKS:
            break
        await clock.sleep_until(ended + n * FRAME_MS / 1000)
        await session.send(client.Audio(pcm=silence))
    await session.bye()
