"""An agent as a service: loads it, then answers ``capture.frames`` until told to stop."""

from __future__ import annotations

import asyncio

from infra.eval.agents import AGENTS
from infra.eval.agents.host import AgentHost
from infra.eval.agents.settings import AgentSettings
from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES
from shared.clock import Clock
from shared.log.api import Log
from shared.log.loop import ConsumeLoop, LoopSettings
from shared.log.loop_metrics import PrometheusLoopMetrics
from shared.logging import get_logger
from shared.service import follow, readiness

GROUP = "eval-agent"

logger = get_logger(__name__)


async def run(settings: AgentSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Answer frames until ``stop``. Raises ``KeyError`` for an unknown agent, and what its loading raises."""
    async with readiness(settings) as health, AGENTS[settings.eval_agent](settings) as agent:
        logger.info("agent_loaded", agent=agent.name)
        host = AgentHost(agent, clock)
        name = f"agent-{settings.instance_id}"
        loop = ConsumeLoop(
            log,
            host,
            LoopSettings(service=name, topics=(CAPTURE_FRAMES, BACKGROUND_RESULTS), group=GROUP, instance_id=name),
            clock=clock,
            metrics=PrometheusLoopMetrics("agent"),
        )
        try:
            await follow(loop, stop, health)
        finally:
            host.close()
