"""uvicorn inside a service: no signal handlers of its own, and sockets that can be cut off."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from schemas.client import MAX_MESSAGE_BYTES


class CuttableWebSocket(WebSocketsSansIOProtocol):
    """Hands the application a way to drop a connection whose client reads nothing, not even the close."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"]["capture.abort"] = self.transport.abort  # type: ignore[assignment]


class QuietServer(uvicorn.Server):
    """The service decides about signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``OSError`` when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def make_server(app: FastAPI) -> QuietServer:
    """A server for ``app``: no compression (it costs more than audio is worth), dead peers found in 20 s."""
    config = uvicorn.Config(
        app,
        ws=CuttableWebSocket,
        ws_per_message_deflate=False,
        # One byte more than is served at most goes through, so that the refusal can name the limit.
        ws_max_size=2 * MAX_MESSAGE_BYTES,
        ws_ping_interval=10.0,
        ws_ping_timeout=10.0,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
    )
    return QuietServer(config)
