"""One client of ``/v1/stream``: hello, audio in real time, typed messages back, resume at whatever server is up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from schemas import client
from schemas.records import SessionConfig
from schemas.ticks import SAMPLE_BYTES
from shared.clock import Clock, SystemClock

_OPEN_TIMEOUT_S = 10.0
_RESUME_TIMEOUT_S = 4.0  # of one attempt: a server that is paused takes connections and says nothing
_RESUME_WITHIN_S = 12.0  # a session waits about so long
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PING_INTERVAL_S, _PING_TIMEOUT_S = 1.0, 2.0
_CLOSE_S, _BRIEF_CLOSE_S = 2.0, 0.2
_YOUNG_S = 15.0
_PING_TIMED_OUT = 1011  # the close code that websockets gives up with then


class Refusal(Exception):
    """The server refused the session, or ended it with a fatal error."""

    def __init__(self, error: client.Error) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


class Disconnected(Exception):
    """The connection broke before ``ended``; ``StreamClient.resume`` may bring the session back.

    ``silent``: the server did not answer pings.
    """

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


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

    Of several addresses the first one that answers is used, and a session is resumed at any. A ``persistent`` client
    does that by itself whenever its connection breaks or its server falls silent, as long as somebody takes its
    messages: they just go on. What it wants to say meanwhile is lost, but for ``bye``.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        rate_hz: int = 16_000,
        config: SessionConfig | None = None,
        pace: str = "realtime",
        token: str = "",
        persistent: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.urls = [stream_url(one) for one in ([url] if isinstance(url, str) else url)]
        self.url = self.urls[0]
        self.resumes = 0
        self.rate_hz = rate_hz
        self.clock = clock or SystemClock()
        self.last_tick = -1
        self.ended: client.Ended | None = None
        self._hello = client.Hello(rate_hz=rate_hz, config=config or SessionConfig(), pace=pace, token=token)
        self._persistent = persistent
        self._said_bye = False
        self._opened_at = 0.0
        self._welcome: client.Welcome | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        for number, url in enumerate(self.urls):
            try:
                await self._open(self._hello, url, _OPEN_TIMEOUT_S)
                break
            except OSError:
                if number + 1 == len(self.urls):
                    raise
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

    async def resume(self, *, elsewhere: bool = False) -> client.Welcome:
        """Connect again to the same session; what was missed since ``last_tick`` comes first.

        Tries all addresses in turn, with growing pauses for as long as a session may wait. The present one comes
        first, or last (``elsewhere``) where it is known not to answer.

        Raises:
            Refusal: the session is gone, for all servers, or they refuse for another reason that will stay.
            OSError, Disconnected: nobody answers, or none of them well.
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
        deadline = self.clock.monotonic() + _RESUME_WITHIN_S
        pause_s = _FIRST_PAUSE_S
        while True:
            first = self.urls.index(self.url) + elsewhere
            welcome, failures = await self._try_all(hello, self.urls[first:] + self.urls[:first])
            if welcome is not None:
                self.resumes += 1
                if self._said_bye:
                    await self.bye()
                return welcome
            gone = all(isinstance(one, Refusal) and one.error.code == "unknown_session" for one in failures)
            if gone or self.clock.monotonic() > deadline:
                raise failures[0]
            await self.clock.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    async def _try_all(
        self, hello: client.Hello, urls: Sequence[str]
    ) -> tuple[client.Welcome | None, list[Exception]]:
        failures: list[Exception] = []
        for url in urls:
            try:
                return await self._open(hello, url, _RESUME_TIMEOUT_S), []
            except Refusal as error:
                if not error.error.retry_after_ms and error.error.code != "unknown_session":
                    raise
                failures.append(error)
            except (OSError, Disconnected) as error:
                failures.append(error)
        return None, failures

    async def close(self) -> None:
        """Close the socket; the session waits a while for a resume unless ``bye`` was said."""
        if self._socket is not None:
            await self._socket.close()

    def abort(self) -> None:
        """Drop the connection without a closing handshake, as a client that vanishes does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _open(self, hello: client.Hello, url: str, timeout_s: float) -> client.Welcome:
        try:
            socket = await connect(
                url,
                compression=None,
                max_size=4 * client.MAX_MESSAGE_BYTES,
                open_timeout=timeout_s,
                # A server that does not answer pings won't answer a close either, and we have somewhere else to go.
                close_timeout=_BRIEF_CLOSE_S if self._persistent else _CLOSE_S,
                # The server does that, but who has somewhere else to go wants to know when the server is paused.
                ping_interval=_PING_INTERVAL_S if self._persistent else None,
                ping_timeout=_PING_TIMEOUT_S,
                proxy=None,
            )
        except InvalidHandshake as error:
            raise Disconnected(f"{url}: {error}") from error
        try:
            await self._send_on(socket, client.encode(hello))
            async with asyncio.timeout(timeout_s):
                first = await self._receive_from(socket)
            if not isinstance(first, client.Welcome):
                raise Disconnected(f"the server began with {type(first).__name__}")
        except BaseException:
            await socket.close()
            raise
        # Only now: whoever plays audio beside us must not be heard before the hello.
        self.url, self._socket, self._welcome = url, socket, first
        self._opened_at = self.clock.monotonic()
        return first

    # --- sending

    async def send(self, message: client.ClientMessage) -> None:
        """Send one message. Raises ``Disconnected``."""
        await self.send_raw(client.encode(message))

    async def send_raw(self, raw: bytes) -> None:
        """Send bytes as they are. Raises ``Disconnected``."""
        await self._send_on(self._connected(), raw)

    @staticmethod
    async def _send_on(socket: ClientConnection, raw: bytes) -> None:
        try:
            await socket.send(raw)
        except ConnectionClosed as closed:
            raise Disconnected(str(closed)) from None

    async def bye(self) -> None:
        """End the session; a persistent client says so again when it has to come back for the last turns."""
        self._said_bye = True
        with contextlib.suppress(*[Disconnected] if self._persistent else []):
            await self.send(client.Bye())

    async def play(self, pcm: bytes, *, chunk_ms: int = 100, on_chunk: Callable[[int], None] | None = None) -> None:
        """Send PCM16 at the session's rate in real time: each chunk when its first sample is due.

        After a hold-up the overdue chunks go out at once. ``on_chunk`` is told how many milliseconds have been sent.
        A persistent client goes on in time while it has no connection, unheard.
        """
        size = self.rate_hz * chunk_ms // 1000 * SAMPLE_BYTES
        began = self.clock.monotonic()
        for number, start in enumerate(range(0, len(pcm), size)):
            await self.clock.sleep_until(began + number * chunk_ms / 1000)
            with contextlib.suppress(*[Disconnected] if self._persistent else []):
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
            Disconnected: the connection broke before ``ended`` (a persistent client's: and couldn't be mended).
        """
        while self.ended is None:
            try:
                message = await self._receive_from(self._connected())
            except Disconnected as broken:
                if not self._persistent:
                    raise
                await self.resume(elsewhere=broken.silent)
                continue
            except Refusal as refusal:
                if not self._persistent or not self._was_ours(refusal):
                    raise
                await self.resume()
                continue
            yield message

    def _was_ours(self, refusal: Refusal) -> bool:
        """Whether it was an earlier, given up attempt of our own that took the session from the present server.

        On a connection that had lasted it is somebody else who has our token; there is no fighting over it.
        """
        return refusal.error.code == "moved" and self.clock.monotonic() - self._opened_at < _YOUNG_S

    async def turns(self) -> AsyncGenerator[client.Turn, None]:
        """Only the turns; see ``messages``."""
        async with contextlib.aclosing(self.messages()) as messages:
            async for message in messages:
                if isinstance(message, client.Turn):
                    yield message

    async def _receive_from(self, socket: ClientConnection) -> client.ServerMessage:
        try:
            raw: Any = await socket.recv(decode=False)
        except ConnectionClosed as closed:
            silent = closed.sent is not None and closed.sent.code == _PING_TIMED_OUT
            raise Disconnected(str(closed), silent=silent) from None
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
