"""A running stack for each model of the report: the product's services, or an agent for encoder and interaction."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from infra.eval.agents.harness import weights
from infra.local.events import Silent
from infra.local.jars import PROJECT
from infra.local.plan import AGENT, SCALABLE, Addresses, StackOptions, model_dir
from infra.local.stack import LocalStack

PRODUCT = ("nano", "echo")
AGENTS = ("harness", "always_silent", "always_talking", "vad_500", "vad_1500", "oracle")
MODELS = ("nano", *AGENTS)
READER = "reader"
"""Reads suite ``speech`` aloud: the product's services and voice, with a script in nano's place."""
SESSIONS = {"nano": 12, "harness": 3, READER: 8}
MANY_SESSIONS = 40
_JOBS = "32"


def speech_dir() -> Path:
    """Where the product's voice is looked for."""
    return Path(os.environ.get("SPEECH_DIR") or PROJECT / "models" / "speech")


def sessions_of(model: str) -> int:
    """How many conversations at once this model can hold on two cores with its deadlines kept."""
    return SESSIONS.get(model, MANY_SESSIONS)


@asynccontextmanager
async def stack_for(model: str, llm_url: str) -> AsyncIterator[Addresses]:
    """Where a stack with this model is, ready; it is taken down at the end of the block.

    Raises:
        StackFailed, KafkaUnavailable: it could not be brought up.
        WeightsMissing: the harness's networks could not be fetched.
        ValueError: no such model.
    """
    if model not in (*PRODUCT, *AGENTS, READER):
        raise ValueError(f"no model {model!r}; there are {', '.join((*MODELS, READER))}")
    language = {"BACKGROUND_LLM_URL": llm_url, "BACKGROUND_LLM_MODEL": "scripted", "BACKGROUND_CONCURRENCY": _JOBS}
    if model == "harness":
        await asyncio.to_thread(weights.fetch)
    product = model not in AGENTS
    services = (*SCALABLE, "background", "capture") if product else ("background", "capture")
    options = StackOptions(
        model="echo" if model == "echo" else "nano",
        agent="" if product else model,
        services=services,
        env={"background": language, AGENT: language},
        packages={"interaction": "infra.eval.reader"} if model == READER else {},
        log_level="warning",
    )
    async with LocalStack(options, Silent()) as stack:
        yield stack.addresses


@lru_cache(maxsize=16)
def identity(model: str) -> str:
    """Changes when the model, the pipeline or the player do: what was recorded with another one is played again."""
    folders = ["schemas", "shared", "services"]
    files = [PROJECT / "infra" / "eval" / f"{name}.py" for name in ("player", "playout", "render", "video", "clips")]
    if model == READER:
        folders.append("infra/eval/reader")
    if model not in AGENTS:
        files += [*decides(model_dir(StackOptions(), "interaction")), *decides(speech_dir())]
    else:
        folders.append("infra/eval/agents")
    sources = (path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py")))
    return _digest([*files, *sources])


def decides(folder: Path) -> list[Path]:
    """A model folder's files that decide what it does: weights, rules of decision (``config.json``), lexicons."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in (".safetensors", ".txt", ".xz") or path.name == "config.json"
    ]


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        total.update(str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path.name).encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
