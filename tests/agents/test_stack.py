"""An agent takes the place of encoder and interaction in the stack's plan, and nothing else changes."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

import pytest

from infra.eval.agents import AGENTS
from infra.eval.agents.settings import AgentSettings
from infra.local.__main__ import options_from, parse
from infra.local.plan import AGENT, START_ORDER, Addresses, StackOptions, environment, missing_weights, package
from shared.settings import load


def test_an_agent_stands_in_for_encoder_and_interaction() -> None:
    options = options_from(parse(["up", "--agent", "vad_500"]), {})
    assert options.running == (AGENT, "background", "monitor", "capture")
    assert options.before_door == (AGENT,)
    assert options.instances(AGENT) == ["agent-0"]
    assert StackOptions(agent="oracle", services=("capture",)).running == (AGENT, "capture")
    assert StackOptions().running == START_ORDER
    assert StackOptions().before_door == ("interaction", "encoder")


def test_it_needs_no_weights_of_nano(tmp_path: Path) -> None:
    nowhere = {service: {"MODEL_DIR": str(tmp_path)} for service in ("encoder", "interaction")}
    assert missing_weights(StackOptions(env=nowhere)) == tmp_path
    assert missing_weights(StackOptions(agent="always_silent", env=nowhere)) is None


def test_its_environment_is_read_by_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses("127.0.0.1:9092", "redis://127.0.0.1/0", "127.0.0.1", (8080,))
    options = StackOptions(agent="vad_1500", env={AGENT: {"BACKGROUND_LLM_URL": "http://127.0.0.1:9/v1"}})
    for name, value in environment(AGENT, "0", 9100, addresses, options).items():
        monkeypatch.setenv(name, value)
    settings = load(AgentSettings)
    assert (settings.eval_agent, settings.metrics_port) == ("vad_1500", 9100)
    assert settings.background_llm_url == "http://127.0.0.1:9/v1"
    assert AGENTS[settings.eval_agent](settings).name == "vad_1500"
    assert importlib.util.find_spec(f"{package(AGENT)}.__main__") is not None


async def test_an_unknown_agent_is_refused_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", package(AGENT), "nobody")
    assert await process.wait() == 2
    assert "always_silent" in capfd.readouterr().err
