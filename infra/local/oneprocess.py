"""All services as tasks of this process over the log in memory: what runs where there is no Java.

Nothing outlives the process, and a crash of one service is a crash of all; otherwise the services are the same.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from infra.local import children
from infra.local.events import Events
from infra.local.plan import Addresses, StackOptions, environment, package
from infra.local.redis import LocalRedis, RedisUnavailable
from infra.local.stack import StackFailed, check_weights
from infra.local.supervised import probe
from shared import logging
from shared.clock import SystemClock
from shared.log.memory import MemoryLog
from shared.settings import ServiceSettings, load

NO_REDIS = "redis://127.0.0.1:1/0"  # nobody listens there: the services go on without the shared context


async def run(options: StackOptions, events: Events, stop: asyncio.Event) -> None:
    """Run one instance of every service until ``stop``.

    Raises:
        StackFailed: a service ended, with its error as the cause.
    """
    check_weights(options)
    with ExitStack() as cleanup:
        redis_url = options.redis_url or _start_redis(options, events, cleanup)
        addresses = Addresses("in-memory", redis_url, options.host, (options.port or children.free_port(),))
        logging.configure("all", "0", level=options.log_level)
        log = MemoryLog()
        await log.create_topics(options.partitions)
        services = {}
        ports = {}
        for service in options.running:
            ports[service] = children.free_port()
            settings = _settings(service, environment(service, "0", ports[service], addresses, options))
            app = importlib.import_module(f"{package(service)}.app")
            services[asyncio.create_task(app.run(settings, log, SystemClock(), stop), name=service)] = service
        ready = asyncio.create_task(_report(ports, addresses, events))
        try:
            await _until(stop, services)
        finally:
            stop.set()
            ready.cancel()
            await _wind_down(set(services) | {ready})
            await log.close()
            events.say("stack", "stopped", "stopped, nothing left running")


async def _until(stop: asyncio.Event, services: Mapping[asyncio.Task[Any], str]) -> None:
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({*services, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        error = task.exception()
        if error is not None or not stop.is_set():
            raise StackFailed(f"{services[task]} ended: {error!r}") from error


async def _wind_down(tasks: set[asyncio.Task[Any]]) -> None:
    """Services end by themselves once ``stop`` is set; those that take longer than 3 s are cancelled."""
    _, late = await asyncio.wait(tasks, timeout=3)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _report(ports: Mapping[str, int], addresses: Addresses, events: Events) -> None:
    waiting = dict(ports)
    while waiting:
        for service, port in list(waiting.items()):
            if (await probe(port))[0]:
                del waiting[service]
                events.say(service, "ready", "ready")
        await asyncio.sleep(0.1)
    page = addresses.page
    events.say("stack", "up", f"ready, in one process: {page}   (Ctrl-C stops it)", page=page, stream=addresses.stream)


def _start_redis(options: StackOptions, events: Events, cleanup: ExitStack) -> str:
    # Always a fresh one: notes about conversations that the log no longer has are worth nothing.
    directory = Path(tempfile.mkdtemp(prefix="microturn-"))
    cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
    redis = LocalRedis(directory)
    try:
        redis.start()
    except RedisUnavailable as reason:
        events.say("redis", "missing", f"{reason}; going on without the shared context")
        return NO_REDIS
    cleanup.callback(redis.stop, grace_s=1.0)
    events.say("redis", "ready", f"ready on {redis.url}", address=redis.url, pid=redis.pid)
    return redis.url


def _settings(service: str, values: Mapping[str, str]) -> ServiceSettings:
    """The service's settings, read as its own process would read them."""
    module = importlib.import_module(f"{package(service)}.settings")
    (kind,) = (
        candidate
        for candidate in vars(module).values()
        if isinstance(candidate, type) and issubclass(candidate, ServiceSettings) and candidate is not ServiceSettings
    )
    with _environ(values):
        return load(kind)


@contextmanager
def _environ(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
