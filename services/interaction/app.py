"""The interaction service: loads a model, makes sure that the encoders match it, then follows their frames."""

from __future__ import annotations

import asyncio

from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES
from services.interaction.models import load_model
from services.interaction.settings import InteractionSettings
from services.interaction.worker import InteractionWorker
from shared.clock import Clock
from shared.context import ContextUnavailable, SharedContext, WorkerRegistry, WriteBehind
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, readiness

logger = get_logger(__name__)


class EncoderMismatch(RuntimeError):
    """A running encoder makes embeddings that this model does not understand."""


async def run(settings: InteractionSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Answer frames until ``stop``.

    Raises:
        EncoderMismatch: naming the encoder and both versions.
    """
    async with readiness(settings) as health:
        model = await asyncio.to_thread(load_model, settings)
        logger.info("model_loaded", model=model.name, encoder=model.encoder_version or "any")
        name = f"interaction-{settings.instance_id}"
        context = SharedContext(settings.redis_url)
        try:
            registry = WorkerRegistry(context, clock, "interaction", settings.instance_id)
            await _check_encoders(registry, model.name, model.encoder_version)
            notes = WriteBehind(context, clock)
            worker = InteractionWorker(model, log, clock, client_id=name, notes=notes)
            loop = ConsumeLoop(
                log,
                worker,
                LoopSettings(
                    service=name, topics=(ENCODER_FRAMES, BACKGROUND_RESULTS), group="interaction", instance_id=name
                ),
                clock=clock,
                metrics=PrometheusLoopMetrics("interaction"),
            )
            announce = registry.keep(
                lambda: {"model": model.name, "sessions": worker.session_count}, stop, on_lost=worker.note_again
            )
            await follow(loop, stop, health, notes.run(stop), announce)
        finally:
            await context.close()


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
