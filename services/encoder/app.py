"""The encoder service: loads the learned half of the encoder, then follows ``capture.frames``."""

from __future__ import annotations

import asyncio

from schemas.topics import CAPTURE_FRAMES
from services.encoder.model import FrameEncoder, set_threads
from services.encoder.settings import EncoderSettings
from services.encoder.worker import GROUP, EncoderWorker
from shared.clock import Clock
from shared.context import SharedContext, WorkerRegistry
from shared.log.api import Log
from shared.log.lease_keeper import LeaseKeeper, LeaseSettings
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import LoopMetrics, PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, leave, readiness

logger = get_logger(__name__)


async def run(settings: EncoderSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Encode frames until ``stop``. Raises what the model folder or the log refuses."""
    async with readiness(settings) as health:
        set_threads(settings.encoder_threads)
        encoder = await asyncio.to_thread(FrameEncoder.load, settings.model_dir)
        logger.info("encoder_loaded", version=encoder.version, d=encoder.d)
        name = f"encoder-{settings.instance_id}"
        worker = EncoderWorker(encoder, log, clock, client_id=name)
        loop = new_loop(log, worker, clock, name=name, metrics=PrometheusLoopMetrics("encoder"))
        leases = LeaseSettings("encoder", settings.instance_id, standby=settings.standby)
        keeper = LeaseKeeper(log, clock, worker, CAPTURE_FRAMES, leases)
        left = asyncio.Event()
        context = SharedContext(settings.redis_url)
        try:
            registry = WorkerRegistry(context, clock, "encoder", settings.instance_id)
            info = {"encoder_version": encoder.version}
            beside = (keeper.run(left), leave(keeper, stop, left), registry.keep(lambda: info, left))
            await follow(loop, left, health, *beside, ready=keeper.settled)
        finally:
            await worker.close()
            await context.close()


def new_loop(
    log: Log, worker: EncoderWorker, clock: Clock, *, name: str, metrics: LoopMetrics | None = None
) -> ConsumeLoop:
    """The consume loop that a worker needs, bound to it; what it reads its leases decide."""
    settings = LoopSettings(service=name, topics=(CAPTURE_FRAMES,), group=GROUP)
    loop = ConsumeLoop(log, worker, settings, clock=clock, metrics=metrics, assignment={})
    worker.bind(loop)
    return loop
