"""A language model for all tests of the service, and an endpoint that never answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from services.background.local_llm import LocalLlm
from services.background.settings import BackgroundSettings
from tests.background.rig import Rig, settings


@pytest.fixture(scope="session")
def llm() -> Iterator[LocalLlm]:
    """SmolLM2 behind llama.cpp's own OpenAI-compatible server: to the service, an endpoint like any other."""
    local = LocalLlm(slots=2, threads=1)
    yield local
    local.close()


@pytest.fixture
async def rig() -> Rig:
    return await Rig().open()


@pytest.fixture
def options(llm: LocalLlm) -> BackgroundSettings:
    return settings(background_llm_url=llm.url, background_llm_key=llm.key)


@pytest.fixture
async def silent_url() -> AsyncIterator[str]:
    """The address of a server that takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    for writer in writers:
        writer.close()
    server.close()
