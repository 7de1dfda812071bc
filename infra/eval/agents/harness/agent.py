"""The cascade as an agent: loads the stages once, opens conversations."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from infra.eval.agents.harness import weights
from infra.eval.agents.harness.session import HarnessSession
from infra.eval.agents.harness.stages import Stages
from infra.eval.agents.protocol import AgentSession
from infra.eval.agents.settings import AgentSettings


class Harness:
    """Named as in the report."""

    name = "harness"

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._stages: Stages | None = None

    async def __aenter__(self) -> Self:
        """Load the stages, fetching their weights the first time. Raises what is missing by name."""
        await asyncio.to_thread(weights.fetch)
        self._stages = await asyncio.to_thread(Stages, self._settings)
        await self._stages.warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stages is not None:
            await self._stages.close()

    def session(self, session_id: str) -> AgentSession:
        if self._stages is None:
            raise RuntimeError("enter the agent first")
        return HarnessSession(session_id, self._stages)
