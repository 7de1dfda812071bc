"""capture's HTTP side: the web page, health, metrics and the stream, on one FastAPI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.capture.stream import StreamEndpoint
from shared.metrics import Health

STATIC = Path(__file__).with_name("static")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(self)",
}


def create_app(endpoint: StreamEndpoint, health: Health) -> FastAPI:
    """The application; no documentation pages, they would need scripts from elsewhere."""
    app = FastAPI(title="microturn capture", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        if request.url.path == "/" or request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-cache"
        return response

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/health/live")
    async def live() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/health/ready")
    async def ready() -> PlainTextResponse:
        if health.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {health.reason}\n", status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await endpoint.serve(socket)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
