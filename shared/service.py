"""What every service's process does around its work: settings, logging, signals, readiness, a graceful end.

A service is ``async def run(settings, log, clock, stop)`` in ``services/<name>/app.py``; ``main`` wires it to Kafka in
a process of its own, the one-process stack calls it with a log in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shared import logging, metrics
from shared.clock import Clock, SystemClock
from shared.log.api import Log
from shared.log.lease_keeper import LeaseKeeper
from shared.log.loop import ConsumeLoop
from shared.settings import ServiceSettings, load

S = TypeVar("S", bound=ServiceSettings)
Run = Callable[[S, Log, Clock, asyncio.Event], Awaitable[None]]


def main(service: str, kind: type[S], run: Run[S]) -> None:
    """Run a service until SIGTERM or SIGINT. Exit status 2 on wrong settings, 1 on a crash."""
    import uvloop

    settings = load(kind)
    sys.setswitchinterval(0.0005)  # the event loop must not wait 5 ms for a model thread's turn to end
    logging.configure(service, settings.instance_id, log_format=settings.log_format, level=settings.log_level)
    uvloop.run(_main(settings, run))


async def _main(settings: S, run: Run[S]) -> None:
    from shared.log.kafka import KafkaLog
    from shared.log.kafka_settings import KafkaSettings

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = KafkaLog(
        KafkaSettings(settings.kafka_bootstrap_servers, session_timeout_ms=settings.group_session_timeout_ms)
    )
    try:
        await run(settings, log, SystemClock(), stop)
    finally:
        await log.close()


@contextlib.asynccontextmanager
async def readiness(settings: ServiceSettings) -> AsyncIterator[metrics.Health]:
    """Serve metrics and health while the body runs (nothing when ``metrics_port`` is 0)."""
    health = metrics.Health()
    close = (
        await metrics.serve_metrics(settings.metrics_host, settings.metrics_port, health)
        if settings.metrics_port
        else None
    )
    try:
        yield health
    finally:
        health.set_unready("stopping")
        if close is not None:
            close()


async def follow(
    loop: ConsumeLoop,
    stop: asyncio.Event,
    health: metrics.Health,
    *beside: Coroutine[Any, Any, None],
    ready: asyncio.Event | None = None,
) -> None:
    """Run a consume loop, and what has to run beside it, until ``stop``. Any of them failing ends all of them.

    The process says that it is ready once the loop is connected and ``ready``, if there is one, is set.
    """
    main_task = asyncio.create_task(loop.run())
    tasks = [main_task, *(asyncio.create_task(one) for one in beside)]
    stopping: asyncio.Task[Any] = asyncio.create_task(stop.wait())
    announcing = asyncio.create_task(_announce(loop, health, ready))
    try:
        await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # a crash, or the end of something that should not end
        stop.set()
        loop.stop()
        await asyncio.gather(*tasks)
    finally:
        stop.set()
        for task in (*tasks, stopping, announcing):
            task.cancel()
        await asyncio.gather(*tasks, stopping, announcing, return_exceptions=True)


async def leave(keeper: LeaseKeeper, stop: asyncio.Event, left: asyncio.Event) -> None:
    """On ``stop`` hand partitions over, then set ``left``: what serves them runs until that."""
    await stop.wait()
    await keeper.leave()
    left.set()


async def _announce(loop: ConsumeLoop, health: metrics.Health, ready: asyncio.Event | None) -> None:
    await loop.started.wait()
    if ready is not None:
        await ready.wait()
    health.set_ready()
