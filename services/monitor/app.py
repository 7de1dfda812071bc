"""The monitor on any log, without Faust: what runs where all services share one process."""

from __future__ import annotations

import asyncio

from schemas.topics import INTERACTION_TURNS
from services.monitor.intake import Intake
from services.monitor.sessions import sessions_loop
from services.monitor.settings import MonitorSettings
from services.monitor.worker import MonitorWorker
from shared.clock import Clock
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, Incoming, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.service import follow, readiness

MAX_OPEN_TURNS = 20_000  # of one partition: 4,000 sessions of 5 turns in a second


async def run(settings: MonitorSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Summarise turns until ``stop``."""
    name = f"monitor-{settings.instance_id}"
    async with readiness(settings) as health:
        intake: Intake[Incoming] = Intake(settings, clock)
        worker = MonitorWorker(intake, clock)
        loop = ConsumeLoop(
            log,
            worker,
            LoopSettings(
                service=name,
                topics=(INTERACTION_TURNS,),
                group=settings.monitor_group,
                instance_id=name,
                max_deferred=MAX_OPEN_TURNS,
            ),
            clock=clock,
            metrics=PrometheusLoopMetrics("monitor"),
        )
        worker.bind(loop)
        sessions = await sessions_loop(log, intake, clock, name=name)
        await follow(loop, stop, health, worker.close_seconds(stop), run_until(sessions, stop))


async def run_until(loop: ConsumeLoop, stop: asyncio.Event) -> None:
    """Run a second loop until ``stop``."""
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda _: loop.stop())
    try:
        await loop.run()
    finally:
        stopping.cancel()
