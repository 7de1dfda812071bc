"""The cascade's real stages on real speech, and all of them together in one conversation."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr

from infra.eval.agents.harness import weights
from infra.eval.agents.harness.session import HarnessSession
from infra.eval.agents.harness.stages import Stages
from infra.eval.agents.harness.vad import WINDOW_MS, Listener, Voice
from infra.eval.agents.settings import AgentSettings
from infra.eval.agents.speech import speak
from schemas.ticks import INPUT_SAMPLES
from tests.agents.sound import frame

pytestmark = [pytest.mark.slow, pytest.mark.model]
HELLO = Path(__file__).parents[1] / "fixtures" / "hello.wav"


def pcm_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return soxr.resample(samples.astype(np.float32), file.getframerate(), 16_000).astype("<i2")


def at_16k(text: str) -> np.ndarray:
    return soxr.resample(speak(text).pcm.astype(np.float32), 24_000, 16_000).astype("<i2")


def padded(*parts: np.ndarray | int) -> np.ndarray:
    """Speech with silences (in ms) between."""
    return np.concatenate([np.zeros(p * 16, "<i2") if isinstance(p, int) else p for p in parts]).astype("<i2")


@pytest.fixture(scope="module", autouse=True)
def fetched() -> None:
    weights.fetch()


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    made = Stages(AgentSettings(eval_agent="harness"))
    yield made
    asyncio.run(made.close())


def test_voice_is_found_where_it_is() -> None:
    speech = at_16k("what should we have for dinner tonight")
    listener = Listener(Voice())
    spans = []
    pcm = padded(1_000, speech, 1_000)
    for at in range(0, len(pcm), INPUT_SAMPLES):
        for began in listener.hear(pcm[at : at + INPUT_SAMPLES].tobytes()):
            segments = listener.segments
            spans.append((segments.began if began else segments.ended) * WINDOW_MS)
    assert len(spans) == 2
    assert abs(spans[0] - 1_000) < 200
    assert abs(spans[1] - (1_000 + len(speech) / 16)) < 250


async def test_a_whole_question_is_over_and_half_of_one_is_not(stages: Stages) -> None:
    whole = at_16k("which ocean is the biggest one of them all")
    half = at_16k("um so I was thinking that maybe we")
    assert await stages.complete(padded(300, whole, 200).tobytes())
    assert not await stages.complete(padded(300, half, 200).tobytes())


async def test_what_is_spoken_is_recognised(stages: Stages) -> None:
    said = at_16k("the weather in london is very nice today")
    words = await stages.transcribe(padded(300, said, 200).tobytes())
    assert "weather in london is very nice today" in words.lower()
    assert await stages.transcribe(bytes(32_000)) == ""


async def test_a_greeting_is_answered_by_the_whole_cascade(stages: Stages) -> None:
    session = HarnessSession("s", stages)
    pcm = padded(600, pcm_of(HELLO), 9_000)
    said, heard = "", ""
    for tick, at in enumerate(range(0, len(pcm) - INPUT_SAMPLES, INPUT_SAMPLES)):
        reply = session.step(frame(tick, pcm[at : at + INPUT_SAMPLES].tobytes()))
        said, heard = said + reply.text, heard + reply.user_text
        await session.settled()  # here slow stages take no ticks
    session.close()
    assert "hello" in heard.lower()
    assert len(said.split()) >= 2
