"""Models to compare with, at the place of encoder and interaction: controls, oracle, and the cascade of today.

They exist for the behaviour report alone. No service imports them, and nothing here is any model's path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.eval.agents.protocol import Agent
    from infra.eval.agents.settings import AgentSettings


def _silent(_: AgentSettings) -> Agent:
    from infra.eval.agents import controls

    return controls.always_silent()


def _talking(_: AgentSettings) -> Agent:
    from infra.eval.agents import controls

    return controls.always_talking()


def _vad(hangover_ms: int) -> Callable[[AgentSettings], Agent]:
    def make(_: AgentSettings) -> Agent:
        from infra.eval.agents import controls

        return controls.vad(hangover_ms)

    return make


def _oracle(settings: AgentSettings) -> Agent:
    from infra.eval.agents.oracle import Oracle

    return Oracle(settings.eval_scenarios)


def _harness(settings: AgentSettings) -> Agent:
    from infra.eval.agents.harness.agent import Harness

    return Harness(settings)


AGENTS: dict[str, Callable[[AgentSettings], Agent]] = {
    "harness": _harness,
    "always_silent": _silent,
    "always_talking": _talking,
    "vad_500": _vad(500),
    "vad_1500": _vad(1500),
    "oracle": _oracle,
}
"""Agents by their name in the report, in its order; what one needs is imported when it is made."""
