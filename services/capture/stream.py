"""``/v1/stream``: one WebSocket's life, from its hello to its close."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from schemas import client
from services.capture.auth import Doorkeeper
from services.capture.framing import Refused
from services.capture.outbox import Closing, Outbox
from services.capture.session import Fatal, Session
from services.capture.settings import CaptureSettings
from services.capture.worker import Capture
from shared import metrics
from shared.clock import Clock
from shared.logging import get_logger
from shared.metrics import Health

logger = get_logger(__name__)
_CLOSE_TIMEOUT_S = 2.0


class StreamEndpoint:
    """Serves native clients. A connection is two tasks: this one reads, the outbox's writes."""

    def __init__(
        self, settings: CaptureSettings, capture: Capture, doorkeeper: Doorkeeper, health: Health, clock: Clock
    ) -> None:
        self._settings = settings
        self._capture = capture
        self._doorkeeper = doorkeeper
        self._health = health
        self._clock = clock
        self._unwelcomed = 0

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection until it is closed, by whomever."""
        if not self._doorkeeper.admits_page(socket.headers.get("origin", ""), socket.headers.get("host", "")):
            metrics.SESSIONS_REFUSED.labels("bad_origin").inc()
            await socket.close(1008)  # before the handshake: the browser sees a 403
            return
        await socket.accept()
        outbox = Outbox()
        writing = asyncio.create_task(outbox.run(socket.send_bytes))
        reading = asyncio.create_task(self._read(socket, outbox))
        closing = asyncio.create_task(outbox.to_be_closed.wait())
        try:
            await asyncio.wait([reading, writing, closing], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()  # a bug should be seen
            if not writing.done() and outbox.closing is None:  # the client has gone
                return
            await self._finish(socket, writing)
        finally:
            for task in (reading, writing, closing):
                task.cancel()
            await asyncio.gather(reading, writing, closing, return_exceptions=True)

    async def _finish(self, socket: WebSocket, writing: asyncio.Task[Closing]) -> None:
        """Let the last messages out, within bounds, and close; one that won't take even that is cut off."""
        abort = socket.scope["extensions"].get("capture.abort")
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                closing = await writing
                await socket.close(closing.code, closing.reason)
        except TimeoutError:
            if abort is not None:
                abort()
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # closed by the other side meanwhile

    async def _read(self, socket: WebSocket, outbox: Outbox) -> None:
        session: Session | None = None
        try:
            session = await self._greet(socket, outbox)
            while (raw := await _receive(socket)) is not None:
                await self._take(session, raw)
        except Fatal as error:
            refusal = client.Error(code=error.code, message=str(error), retry_after_ms=error.retry_after_ms)
            outbox.close(error.close_code, error.code, refusal)
            if session is not None:
                logger.info("session_refused", session=session.id, code=error.code)
                session.end(error.code)
        finally:
            if session is not None:
                self._capture.detach(session, outbox)

    async def _take(self, session: Session, raw: bytes) -> None:
        try:
            message = _decode(raw)
        except Refused as error:
            self._capture.refuse(session, error)
            return
        await self._capture.take(session, message)

    async def _greet(self, socket: WebSocket, outbox: Outbox) -> Session:
        """Wait for the hello and check it. Raises ``Fatal``."""
        if self._unwelcomed >= self._settings.capture_max_sessions:
            raise Fatal("at_capacity", "too many connections are knocking", close_code=1013, retry_after_ms=5000)
        self._unwelcomed += 1
        try:
            async with asyncio.timeout(self._settings.capture_hello_timeout_s):
                raw = await _receive(socket)
        except TimeoutError:
            raise Fatal("no_hello", "the first message, hello, did not come in time") from None
        finally:
            self._unwelcomed -= 1
        if raw is None:
            raise Fatal("gone", "the client left before its hello")
        return await self._admit(self._hello(raw), socket, outbox)

    def _hello(self, raw: bytes) -> client.Hello:
        try:
            message = _decode(raw)
        except Refused as error:
            raise Fatal("bad_message", f"hello: {error}", close_code=1002) from None
        if not isinstance(message, client.Hello):
            raise Fatal("no_hello", "the first message must be hello", close_code=1002)
        if message.v != client.PROTOCOL_VERSION:
            text = f"protocol version {message.v} is not served, this server speaks {client.PROTOCOL_VERSION}"
            raise Fatal("unsupported_version", text, close_code=1002)
        return message

    async def _admit(self, hello: client.Hello, socket: WebSocket, outbox: Outbox) -> Session:
        token = hello.token or socket.headers.get("authorization", "").removeprefix("Bearer ")
        if not self._doorkeeper.admits(token, self._clock.wall_ms() / 1000):
            metrics.SESSIONS_REFUSED.labels("bad_token").inc()
            raise Fatal("bad_token", "the token is missing, wrong or expired")
        if hello.session_id:
            return await self._capture.resume(hello, outbox)
        if not self._health.ready:
            reason = f"not ready: {self._health.reason}"
            raise Fatal("not_ready", reason, close_code=1013, retry_after_ms=2000)
        return await self._capture.open(hello, outbox)


def _decode(raw: bytes) -> client.ClientMessage:
    """Raises ``Refused`` for a message with wrong fields, ``Fatal`` for bytes that are no message at all."""
    try:
        return client.decode_client(raw)
    except msgspec.ValidationError as error:
        code = "text_too_long" if "`$.text`" in str(error) and "length" in str(error) else "bad_message"
        raise Refused(code, str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Fatal("bad_message", f"not a MessagePack message: {error}", close_code=1003) from None


async def _receive(socket: WebSocket) -> bytes | None:
    """The next binary message; None when the client has gone. Raises ``Fatal`` for text and for too much."""
    event = await socket.receive()
    if event["type"] != "websocket.receive":
        return None
    raw: bytes | None = event.get("bytes")
    if raw is None:
        raise Fatal("text_frame", "messages are binary MessagePack, not text", close_code=1003)
    if len(raw) > client.MAX_MESSAGE_BYTES:
        text = f"the message has {len(raw)} bytes, at most {client.MAX_MESSAGE_BYTES} are served"
        raise Fatal("message_too_large", text, close_code=1009)
    return raw
