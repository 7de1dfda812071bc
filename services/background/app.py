"""The background service: loads what thinks and what hears, then takes tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.topics import BACKGROUND_TASKS, SESSION_CONTROL
from services.background.answer import Answerer, Limits
from services.background.hearing import Hearing, HearingMissing
from services.background.llm import ChatEndpoint
from services.background.local_llm import LocalLlm
from services.background.notes import MAX_SESSIONS, Notebook
from services.background.settings import BackgroundSettings
from services.background.worker import BackgroundWorker
from shared.clock import Clock
from shared.context import SharedContext, WorkerRegistry, WriteBehind
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, readiness

_log = get_logger(__name__)


async def run(settings: BackgroundSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Answer tasks until ``stop``.

    Raises:
        ModelMissing: no endpoint is configured and the built-in model is not installed.
    """
    name = f"background-{settings.instance_id}"
    async with readiness(settings) as health, _language_model(settings) as llm, _hearing(settings) as hearing:
        context = SharedContext(settings.redis_url)
        try:
            notebook = Notebook(notes := WriteBehind(context, clock, capacity=4 * MAX_SESSIONS))
            limits = Limits(settings.background_max_words, settings.background_max_sentences)
            worker = BackgroundWorker(
                log,
                clock,
                Answerer(log, clock, llm, hearing, limits, client_id=name),
                notebook,
                concurrency=settings.background_concurrency,
                queue=settings.background_queue,
                client_id=name,
            )
            loop = ConsumeLoop(
                log,
                worker,
                # The worker bounds what is deferred in all: no partition is ever paused, cancels get through.
                LoopSettings(
                    service=name,
                    topics=(BACKGROUND_TASKS, SESSION_CONTROL),
                    group="background",
                    instance_id=name,
                    max_deferred=settings.background_concurrency + settings.background_queue + 1,
                ),
                clock=clock,
                metrics=PrometheusLoopMetrics("background"),
            )
            worker.bind(loop)
            registry = WorkerRegistry(context, clock, "background", settings.instance_id)
            announce = registry.keep(
                lambda: {"tasks": worker.running, "hearing": hearing is not None}, stop, on_lost=notebook.note_again
            )
            try:
                await follow(loop, stop, health, notes.run(stop), announce, _until_failed(worker, stop))
            finally:
                await worker.close()
        finally:
            await context.close()


@asynccontextmanager
async def _language_model(settings: BackgroundSettings) -> AsyncIterator[ChatEndpoint]:
    """The configured endpoint, or the built-in model behind one of its own."""
    timeout_s = settings.background_llm_timeout_s
    local: LocalLlm | None = None
    if settings.background_llm_url:
        key = settings.background_llm_key.get_secret_value()
        endpoint = ChatEndpoint(
            settings.background_llm_url, model=settings.background_llm_model, key=key, timeout_s=timeout_s
        )
    else:
        local = await asyncio.to_thread(
            LocalLlm, slots=settings.background_concurrency, threads=settings.background_llm_threads
        )
        endpoint = ChatEndpoint(local.url, model=local.model, key=local.key, timeout_s=timeout_s)
    _log.info(
        "language_model_ready", url=settings.background_llm_url or "built-in", model=settings.background_llm_model
    )
    try:
        yield endpoint
    finally:
        await endpoint.close()
        if local is not None:
            await asyncio.to_thread(local.close)


@asynccontextmanager
async def _hearing(settings: BackgroundSettings) -> AsyncIterator[Hearing | None]:
    hearing: Hearing | None = None
    if settings.background_hearing == "auto":
        try:
            hearing = await asyncio.to_thread(Hearing)
        except HearingMissing as error:
            _log.warning("hearing_unavailable", reason=str(error))
    try:
        yield hearing
    finally:
        if hearing is not None:
            hearing.close()


async def _until_failed(worker: BackgroundWorker, stop: asyncio.Event) -> None:
    """End with the error of a task that met a bug, or at ``stop``."""
    stopping = asyncio.create_task(stop.wait())
    try:
        waiting: set[asyncio.Future[None] | asyncio.Task[bool]] = {worker.failed, stopping}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if worker.failed.done():
            worker.failed.result()
    finally:
        stopping.cancel()
