"""What an agent's process can be told; a service's settings, with the background's for the language model."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.background import settings as background

SCENARIOS = Path("tests/behaviour/scenarios")


class AgentSettings(background.BackgroundSettings):
    """``EVAL_AGENT`` names the agent (see ``AGENTS``)."""

    eval_agent: str = Field(min_length=1)
    eval_chat_llm_url: str = ""
    """The harness chats with this OpenAI-compatible endpoint; empty: SmolLM2 in its process."""
    eval_scenarios: Path = SCENARIOS
    """Where the oracle reads the scripts."""
