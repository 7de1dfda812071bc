"""The capture service: owns the clients' sockets; cuts their streams into frames and plays the answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES, INTERACTION_TURNS, SESSION_CONTROL
from services.capture.auth import Doorkeeper
from services.capture.server import listen, make_server
from services.capture.settings import CaptureSettings
from services.capture.stream import StreamEndpoint
from services.capture.web import create_app
from services.capture.worker import Capture
from shared.clock import Clock
from shared.context import SharedContext, WorkerRegistry, WriteBehind
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger
from shared.service import follow, readiness

logger = get_logger(__name__)


async def run(
    settings: CaptureSettings,
    log: Log,
    clock: Clock,
    stop: asyncio.Event,
    *,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve clients until ``stop``. ``on_listening`` is told the address, e.g. ``http://127.0.0.1:8080``.

    Raises:
        OSError: the port is taken.
        LogError: the topics do not exist.
    """
    doorkeeper = Doorkeeper(
        settings.capture_tokens.get_secret_value(),
        settings.capture_token_secret.get_secret_value(),
        settings.capture_origins,
    )
    listener = listen(settings.capture_host, settings.capture_port)
    async with readiness(settings) as health:
        partitions = await retrying(lambda: log.partitions(CAPTURE_FRAMES.name), clock=clock, backoff=Backoff())
        context = SharedContext(settings.redis_url)
        notes = WriteBehind(context, clock, capacity=2 * settings.capture_max_sessions)
        capture = Capture(settings, log, clock, partitions=partitions, notes=notes)
        loop = ConsumeLoop(
            log,
            capture,
            LoopSettings(
                service=f"capture-{settings.instance_id}",
                topics=(INTERACTION_TURNS, BACKGROUND_RESULTS, SESSION_CONTROL),
                poll_timeout_ms=100,
            ),
            clock=clock,
            metrics=PrometheusLoopMetrics("capture"),
            assignment=capture.assignment(),
        )
        capture.bind(loop)
        server = make_server(create_app(StreamEndpoint(settings, capture, doorkeeper, health, clock), health))
        ended = asyncio.Event()

        async def end_gracefully() -> None:
            await stop.wait()
            health.set_unready("stopping")
            await capture.shut_down()
            server.should_exit = True
            ended.set()

        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        logger.info("capture_listening", url=url, partitions=sorted(capture.shares))
        if on_listening is not None:
            on_listening(url)
        registry = WorkerRegistry(context, clock, "capture", settings.instance_id)
        announce = registry.keep(lambda: {"sessions": capture.session_count}, ended, on_lost=capture.note_again)
        serving = capture.ticker.run(ended), capture.custody.run(ended), server.serve([listener]), end_gracefully()
        try:
            await follow(loop, ended, health, *serving, notes.run(ended), announce)
        finally:
            await context.close()
