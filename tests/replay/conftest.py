"""A conversation with the released model, made once for all tests that replay it."""

from __future__ import annotations

import asyncio

import pytest

from infra.replay.find import read_session
from infra.replay.recorded import Recorded
from tests.pipeline.rig import memory_rig
from tests.replay.conversations import CONFIG, TICKS, Conversation, capture_frames, encoder, released


@pytest.fixture(scope="session")
def spoken() -> Recorded:
    """The demo's first 26 s by the released model, beside a second session, with two delegations answered."""

    async def speak() -> Recorded:
        async with memory_rig() as rig:
            await encoder(rig)
            await rig.interaction("interaction-0", released())
            frames = {"talk": capture_frames("talk", TICKS, config=CONFIG), "other": capture_frames("other", 40)}
            conversation = Conversation(rig, frames)
            await conversation.begin({"talk": CONFIG})
            await conversation.until(TICKS)
            await conversation.end()
            return await read_session(rig.log, "talk")

    return asyncio.run(speak())
