"""The bounded queue between a session and one client's socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas import client

MAX_WAITING_BYTES = 1_048_576
MAX_WAITING_MESSAGES = 512


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a socket is closed: a WebSocket close code and what goes with it."""

    code: int
    reason: str


class Outbox:
    """Messages on their way to one client, in order.

    ``put`` never waits. A client that lets more than a megabyte pile up, twenty seconds of speech, is too slow: what
    waits is thrown away, it is told so if it listens at all, and the socket is closed; nobody else waits for it.
    """

    def __init__(self, on_progress: Callable[[], None] | None = None) -> None:
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._on_progress = on_progress
        self.closing: Closing | None = None
        self.to_be_closed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: bytes) -> bool:
        """Queue an encoded message; False when the socket is closing, or is now because this was too much."""
        if self.closing is not None:
            return False
        self._waiting.append(message)
        self._bytes += len(message)
        self._wake.set()
        if self._bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_WAITING_MESSAGES:
            self._waiting.clear()
            error = client.Error(code="slow_client", message="you read too slowly: too much was waiting for you")
            self._waiting.append(client.encode(error))
            self._close(Closing(1008, "slow_client"))
            return False
        return True

    def close(self, code: int, reason: str, *last: client.ServerMessage) -> None:
        """Send what waits and ``last``, then close. Only the first call counts."""
        if self.closing is None:
            for message in last:
                self._waiting.append(client.encode(message))
            self._close(Closing(code, reason))

    def _close(self, closing: Closing) -> None:
        self.closing = closing
        self._bytes = sum(map(len, self._waiting))
        self._wake.set()
        self.to_be_closed.set()

    def on_progress(self, callback: Callable[[], None]) -> None:
        """Call this whenever everything that waited has been handed to the socket."""
        self._on_progress = callback

    async def run(self, send: Callable[[bytes], Awaitable[None]]) -> Closing:
        """Hand messages to the socket until it is to be closed, and say how."""
        waiting = self._waiting
        while True:
            while waiting:
                message = waiting.popleft()
                self._bytes -= len(message)
                await send(message)
            if self._on_progress is not None:
                self._on_progress()
            if self.closing is not None:
                return self.closing
            self._wake.clear()
            await self._wake.wait()
