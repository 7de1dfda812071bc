"""One client of ``/v1/stream``: hello, audio at real-time pace, typed messages back, resume."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from schemas import client
from schemas.records import SessionConfig
from schemas.ticks import SAMPLE_BYTES
from shared.clock import Clock, SystemClock

_OPEN_TIMEOUT_S = 10.0


class Refusal(Exception):
    """The server refused the session, or ended it with a fatal error."""

    def __init__(self, error: client.Error) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


class Disconnected(Exception):
    """The connection broke before ``ended``; ``StreamClient.resume`` may bring the session back."""


def stream_url(url: str) -> str:
    """``http://host:port`` or ``ws://host:port/…`` as the address of the stream."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path if parts.path not in ("", "/") else "/v1/stream"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


class StreamClient:
    """An open session; an async context manager.

    ``async with StreamClient(url, rate_hz=16000) as session: …`` connects and waits for ``welcome``; leaving closes
    the socket without a word (say ``bye`` first to end the session rather than leave it waiting for a resume).
    ``last_tick`` follows the turns that were received.
    """

    def __init__(
        self,
        url: str,
        *,
        rate_hz: int = 16_000,
        config: SessionConfig | None = None,
        pace: str = "realtime",
        token: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.url = stream_url(url)
        self.rate_hz = rate_hz
        self.clock = clock or SystemClock()
        self.last_tick = -1
        self.ended: client.Ended | None = None
        self._hello = client.Hello(rate_hz=rate_hz, config=config or SessionConfig(), pace=pace, token=token)
        self._welcome: client.Welcome | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        await self._open(self._hello)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def welcome(self) -> client.Welcome:
        """What the server said first. Raises ``RuntimeError`` before that."""
        if self._welcome is None:
            raise RuntimeError("the session is not open")
        return self._welcome

    async def resume(self) -> client.Welcome:
        """Connect again to the same session; what was missed since ``last_tick`` comes first.

        Raises:
            Refusal: the session is gone.
            OSError: nobody answers.
        """
        await self.close()
        known = self.welcome
        hello = client.Hello(
            rate_hz=self.rate_hz,
            token=self._hello.token,
            session_id=known.session_id,
            resume_token=known.resume_token,
            last_tick=self.last_tick,
        )
        return await self._open(hello)

    async def close(self) -> None:
        """Close the socket; the session waits a while for a resume unless ``bye`` was said."""
        if self._socket is not None:
            await self._socket.close()

    def abort(self) -> None:
        """Drop the connection without a closing handshake, as a client that vanishes does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _open(self, hello: client.Hello) -> client.Welcome:
        self._socket = await connect(
            self.url,
            compression=None,
            max_size=4 * client.MAX_MESSAGE_BYTES,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=2,
            ping_interval=None,  # the server does that
            proxy=None,
        )
        try:
            await self.send(hello)
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                first = await self._receive()
            if not isinstance(first, client.Welcome):
                raise Disconnected(f"the server began with {type(first).__name__}")
        except BaseException:
            await self._socket.close()
            raise
        self._welcome = first
        return first

    # --- sending

    async def send(self, message: client.ClientMessage) -> None:
        """Send one message. Raises ``Disconnected``."""
        await self.send_raw(client.encode(message))

    async def send_raw(self, raw: bytes) -> None:
        """Send bytes as they are. Raises ``Disconnected``."""
        try:
            await self._connected().send(raw)
        except ConnectionClosed as closed:
            raise Disconnected(str(closed)) from None

    async def bye(self) -> None:
        await self.send(client.Bye())

    async def play(self, pcm: bytes, *, chunk_ms: int = 100, on_chunk: Callable[[int], None] | None = None) -> None:
        """Send PCM16 at the session's rate in real time: each chunk when its first sample is due.

        After a hold-up the overdue chunks go out at once. ``on_chunk`` is told how many milliseconds have been sent.
        """
        size = self.rate_hz * chunk_ms // 1000 * SAMPLE_BYTES
        began = self.clock.monotonic()
        for number, start in enumerate(range(0, len(pcm), size)):
            await self.clock.sleep_until(began + number * chunk_ms / 1000)
            await self.send(client.Audio(pcm=pcm[start : start + size]))
            if on_chunk is not None:
                on_chunk((number + 1) * chunk_ms)

    async def play_fast(self, pcm: bytes, *, chunk_ms: int = 200) -> None:
        """Send as fast as the server takes it; for sessions of ``pace='file'``."""
        size = self.rate_hz * chunk_ms // 1000 * SAMPLE_BYTES
        for start in range(0, len(pcm), size):
            await self.send(client.Audio(pcm=pcm[start : start + size]))

    # --- receiving

    async def messages(self) -> AsyncGenerator[client.ServerMessage, None]:
        """Everything the server says, ``ended`` last.

        Raises:
            Refusal: a fatal error came.
            Disconnected: the connection broke before ``ended``.
        """
        while self.ended is None:
            yield await self._receive()

    async def turns(self) -> AsyncGenerator[client.Turn, None]:
        """Only the turns; see ``messages``."""
        async with contextlib.aclosing(self.messages()) as messages:
            async for message in messages:
                if isinstance(message, client.Turn):
                    yield message

    async def _receive(self) -> client.ServerMessage:
        try:
            raw: Any = await self._connected().recv(decode=False)
        except ConnectionClosed as closed:
            raise Disconnected(str(closed)) from None
        message = client.decode_server(raw)
        if isinstance(message, client.Turn):
            self.last_tick = max(self.last_tick, message.tick)
        elif isinstance(message, client.Ended):
            self.ended = message
        elif isinstance(message, client.Error) and message.fatal:
            raise Refusal(message)
        return message

    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise RuntimeError("not connected")
        return self._socket
