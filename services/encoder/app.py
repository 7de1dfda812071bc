"""The encoder service: loads the learned half of the encoder, then follows ``capture.frames``."""

from __future__ import annotations

import asyncio

from schemas.topics import CAPTURE_FRAMES
from services.encoder.model import FrameEncoder, set_threads
from services.encoder.settings import EncoderSettings
from services.encoder.worker import EncoderWorker
from shared.clock import Clock
from shared.context import SharedContext, WorkerRegistry
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, readiness

logger = get_logger(__name__)


async def run(settings: EncoderSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Encode frames until ``stop``. Raises what the model folder or the log refuses."""
    async with readiness(settings) as health:
        set_threads(settings.encoder_threads)
        encoder = await asyncio.to_thread(FrameEncoder.load, settings.model_dir)
        logger.info("encoder_loaded", version=encoder.version, d=encoder.d)
        name = f"encoder-{settings.instance_id}"
        worker = EncoderWorker(encoder, log, clock, client_id=name)
        loop = ConsumeLoop(
            log,
            worker,
            LoopSettings(service=name, topics=(CAPTURE_FRAMES,), group="encoder", instance_id=name),
            clock=clock,
            metrics=PrometheusLoopMetrics("encoder"),
        )
        context = SharedContext(settings.redis_url)
        try:
            registry = WorkerRegistry(context, clock, "encoder", settings.instance_id)
            info = {"encoder_version": encoder.version}
            await follow(loop, stop, health, registry.keep(lambda: info, stop))
        finally:
            await context.close()
