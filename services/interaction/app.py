"""The interaction service: loads a model, makes sure that the encoders match it, then follows their frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from schemas.topics import ENCODER_FRAMES
from services.interaction.models import load_model, load_voice
from services.interaction.partitions import GROUP, TOPICS
from services.interaction.protocol import InteractionModel
from services.interaction.settings import InteractionSettings
from services.interaction.worker import InteractionWorker
from shared.clock import Clock
from shared.context import ContextUnavailable, SharedContext, WorkerRegistry, WriteBehind
from shared.log.api import Log
from shared.log.lease_keeper import LeaseKeeper, LeaseSettings
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import LoopMetrics, PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, leave, readiness

MAX_OPEN = 5_000  # frames of a partition without a turn in the log; beyond that, reading on waits
logger = get_logger(__name__)


class EncoderMismatch(RuntimeError):
    """A running encoder makes embeddings that this model does not understand."""


async def run(
    settings: InteractionSettings,
    log: Log,
    clock: Clock,
    stop: asyncio.Event,
    *,
    load: Callable[[InteractionSettings], InteractionModel] = load_model,
) -> None:
    """Answer frames with the model that ``load`` gives until ``stop``.

    Raises:
        EncoderMismatch: naming the encoder and both versions.
    """
    async with readiness(settings) as health:
        model = await asyncio.to_thread(load, settings)
        voice = await asyncio.to_thread(load_voice, settings)
        spoken_by = voice.name if voice else "nobody"
        logger.info("model_loaded", model=model.name, encoder=model.encoder_version or "any", voice=spoken_by)
        name = f"interaction-{settings.instance_id}"
        context = SharedContext(settings.redis_url)
        try:
            registry = WorkerRegistry(context, clock, "interaction", settings.instance_id)
            await _check_encoders(registry, model.name, model.encoder_version)
            notes = WriteBehind(context, clock)
            worker = InteractionWorker(model, log, clock, client_id=name, notes=notes, voice=voice)
            loop = new_loop(log, worker, clock, name=name, metrics=PrometheusLoopMetrics("interaction"))
            leases = LeaseSettings("interaction", settings.instance_id, standby=settings.standby)
            keeper = LeaseKeeper(log, clock, worker.partitions, ENCODER_FRAMES, leases)
            left = asyncio.Event()
            announce = registry.keep(
                lambda: {"model": model.name, "sessions": worker.session_count}, left, on_lost=worker.note_again
            )
            beside = (keeper.run(left), leave(keeper, stop, left), notes.run(left), announce)
            try:
                await follow(loop, left, health, *beside, ready=keeper.settled)
            finally:
                await worker.close()
        finally:
            await context.close()


def new_loop(
    log: Log, worker: InteractionWorker, clock: Clock, *, name: str, metrics: LoopMetrics | None = None, **settings: Any
) -> ConsumeLoop:
    """The consume loop that a worker needs, bound to it; what it follows its leases decide."""
    loop = ConsumeLoop(
        log,
        worker,
        LoopSettings(service=name, topics=TOPICS, group=GROUP, max_deferred=MAX_OPEN, **settings),
        clock=clock,
        metrics=metrics,
        assignment={},
        commits=worker.partitions.commits,
        busy=lambda: worker.busy,
    )
    worker.bind(loop)
    return loop


async def _check_encoders(registry: WorkerRegistry, model: str, wanted: str) -> None:
    """Compare with the encoders that are up; each record is checked again when it comes."""
    try:
        encoders = await registry.live("encoder") if wanted else []
    except ContextUnavailable as error:
        logger.warning("encoders_not_checked", reason=str(error))
        return
    for encoder in encoders:
        version = encoder.info.get("encoder_version")
        if version != wanted:
            raise EncoderMismatch(
                f"encoder {encoder.instance_id} makes embeddings of {version!r}, but {model} understands {wanted!r}"
            )
