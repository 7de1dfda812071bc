"""A conversation that was spoken: its sound is compared too, through a crash in mid-sentence."""

from __future__ import annotations

import pytest

from infra.replay.find import read_session
from infra.replay.run import same
from schemas import records as r
from services.interaction.models import load_voice
from services.interaction.settings import InteractionSettings
from tests.pipeline.rig import Rig, memory_rig
from tests.replay.conversations import RELEASED, ROOT, Conversation, capture_frames, encoder, released
from tests.replay.test_replay import changed

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]
TICKS = 50
IN_MID_SENTENCE = 31


async def speaker(rig: Rig, name: str) -> None:
    voice = load_voice(InteractionSettings(speech="on", speech_dir=ROOT / "models" / "speech"))
    await rig.interaction(name, released(), voice=voice)


async def test_the_sound_of_a_session_is_the_same_to_the_byte_through_a_crash() -> None:
    async with memory_rig() as rig:
        await encoder(rig)
        await speaker(rig, "interaction-0")
        conversation = Conversation(rig, {"talk": capture_frames("talk", TICKS)})
        await conversation.begin()
        await conversation.until(IN_MID_SENTENCE)
        await rig.crash("interaction-0")
        await speaker(rig, "interaction-1")
        await conversation.until(TICKS)
        await conversation.end()
        recorded = await read_session(rig.log, "talk")
    sounding = [tick for tick, turn in recorded.turns.items() if turn.audio]
    assert len(sounding) > 10
    assert {IN_MID_SENTENCE - 1, IN_MID_SENTENCE} <= set(sounding)
    verdict = await same(recorded, RELEASED, "encoder")
    assert verdict.identical, verdict.lines
    assert (verdict.report["turns_compared"], verdict.report["epochs"]) == (TICKS, 2)

    tick = sounding[-1]
    audio = recorded.turns[tick].audio
    assert audio is not None
    other = changed(recorded, tick, r.InteractionTurn, audio=audio[:-1] + bytes([audio[-1] ^ 1]))
    verdict = await same(other, RELEASED, "encoder")
    first = verdict.report["first_difference"]
    assert (first["tick"], first["field"]) == (tick, "audio")
    assert "from byte 9599" in first["was"]
