"""What the host asks of an agent: a session, its micro-turns one by one, and never to wait.

An *agent* stands in for the encoder and the interaction service: it hears ``capture.frames`` and answers each frame
with one turn. ``step`` is called on the event loop and returns within a few milliseconds. Work that takes longer runs
elsewhere; a later step picks its result up.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from schemas import records as r


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One micro-turn's answer. ``audio`` is 4800 samples of PCM16 at 24 kHz, or None; ``text``: words that begin in it.

    ``sides`` go to ``background.tasks``. ``results`` go to ``background.results``: an agent that thinks by itself
    reports there when its answer was ready, so that a client sees what it would see of the background service.
    """

    floor: r.Floor = r.Floor.HOLD
    user: r.UserActivity = r.UserActivity.SILENT
    text: str = ""
    user_text: str = ""
    audio: bytes | None = None
    events: tuple[r.TurnEvent, ...] = ()
    sides: tuple[r.BackgroundTask | r.BackgroundCancel, ...] = ()
    results: tuple[r.BackgroundResult, ...] = ()


class AgentSession(Protocol):
    """One conversation. Ticks come in order and without a hole (a missing one as silence)."""

    def step(self, frame: r.CaptureFrame) -> Reply:
        """Hear one frame, answer it. Must not block."""

    def offer(self, result: r.BackgroundResult) -> None:
        """A background result of this session has arrived; the next step may use it."""

    def close(self) -> None:
        """The conversation is over; stop what still works for it."""


class Agent(Protocol):
    """Enter it to load what it needs; it then opens sessions. ``name`` is stamped on every turn."""

    name: str

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def session(self, session_id: str) -> AgentSession:
        """A new conversation."""
