"""Controls in ticks: they know nothing, but what they do they do on time."""

from __future__ import annotations

import numpy as np
import pytest

from infra.eval.agents import AGENTS
from infra.eval.agents.controls import EndpointingSession, SilentSession, TalkingSession
from infra.eval.agents.energy import EnergyVad
from infra.eval.agents.protocol import Reply
from infra.eval.agents.settings import AgentSettings
from infra.eval.agents.speech import Player, Speech, speech_from, synthesise
from schemas.records import Floor, UserActivity
from schemas.ticks import FRAME_MS, OUTPUT_SAMPLES
from shared.audio import level_dbfs
from tests.agents.sound import play, scene


def spoken(text: str, ticks: int) -> Speech:
    tone = (3000 * np.sin(np.arange(ticks * OUTPUT_SAMPLES) / 20)).astype(np.int16)
    return Speech(text, tone, tuple(i * OUTPUT_SAMPLES for i in range(len(text.split()))))


def talking(replies: list[Reply]) -> list[int]:
    return [tick for tick, reply in enumerate(replies) if reply.audio]


PHRASES = [spoken("one two three four five", 20), spoken("six seven", 20)]


def test_silent_is_silent_and_talking_talks_in_every_tick() -> None:
    frames = scene(10_000, (1_000, 3_000), (5_000, 6_000))
    assert talking(play(SilentSession(), frames)) == []
    replies = play(TalkingSession(PHRASES), frames)
    assert talking(replies) == list(range(50))
    assert {reply.floor for reply in replies} == {Floor.TAKE}
    assert " ".join("".join(reply.text for reply in replies).split()).startswith(
        "one two three four five six seven one"
    )


@pytest.mark.parametrize("hangover_ms", [500, 1500])
@pytest.mark.parametrize("end_ms", [2_000, 2_090, 2_190])
@pytest.mark.parametrize("noise", [0.0, 8.0, 120.0])
def test_an_answer_begins_the_hangover_after_the_end_of_speech(hangover_ms: int, end_ms: int, noise: float) -> None:
    replies = play(EndpointingSession(PHRASES, hangover_ms), scene(8_000, (1_000, end_ms), noise=noise))
    first = talking(replies)[0]
    heard_ms = (first + 1) * FRAME_MS  # what tick k carries is played from its end on
    # A block or two of doubt about the end, and up to one tick until the next turn.
    assert hangover_ms - 60 <= heard_ms - end_ms < hangover_ms + FRAME_MS + 20
    assert replies[first].user is UserActivity.ENDED
    assert talking(replies) == list(range(first, first + 20))


def test_a_pause_shorter_than_the_hangover_is_sat_out_by_the_patient_one_only() -> None:
    frames = scene(9_000, (1_000, 2_000), (2_900, 4_000))
    hasty, patient = (talking(play(EndpointingSession(PHRASES, ms), frames)) for ms in (500, 1500))
    assert hasty[0] * FRAME_MS < 2_900
    assert patient[0] * FRAME_MS > 4_000


def test_speech_of_200_ms_stops_it_and_is_answered_again() -> None:
    replies = play(EndpointingSession(PHRASES, 500), scene(9_000, (1_000, 2_000), (3_500, 4_500)))
    (stopped,) = [tick for tick, reply in enumerate(replies) if reply.floor is Floor.YIELD]
    assert 3_700 <= (stopped + 1) * FRAME_MS <= 4_000
    assert talking(replies)[0] == 12
    after = [tick for tick in talking(replies) if tick > stopped]
    assert 5_000 <= (after[0] + 1) * FRAME_MS <= 5_200
    assert " six" in replies[after[0]].text


def test_a_click_is_no_speech_and_a_hum_becomes_the_floor() -> None:
    assert talking(play(EndpointingSession(PHRASES, 500), scene(4_000, (1_000, 1_030)))) == []
    hum = scene(12_000, (0, 12_000), level=0.0, noise=400.0)
    assert talking(play(EndpointingSession(PHRASES, 500), hum)) == []


def test_the_detector_counts_from_the_first_to_the_last_loud_block() -> None:
    vad = EnergyVad()
    for pcm in scene(3_000, (1_000, 1_500)):
        vad.hear(pcm)
    assert vad.in_speech
    assert 440 <= vad.speech_ms <= 520
    assert 1_480 <= vad.silence_ms <= 1_560
    vad.end()
    assert (vad.in_speech, vad.speech_ms) == (False, 0)


def test_a_speech_is_cut_into_ticks_without_loss() -> None:
    samples = np.sin(np.arange(11_000) / 9).astype(np.float32)
    speech = speech_from("a few words here", samples, 16_000, [2_000, 5_000, 8_000, 11_000])
    assert speech.starts == (0, 3_000, 7_500, 12_000)
    player = Player()
    player.say(speech)
    parts = [player.next() for _ in range(speech.ticks)]
    assert [words for _, words in parts] == [" a few", " words", " here", ""]
    assert b"".join(audio or b"" for audio, _ in parts).startswith(speech.pcm.astype("<i2").tobytes())
    assert all(len(audio or b"") == 2 * OUTPUT_SAMPLES for audio, _ in parts)
    assert player.next() == (None, "")
    assert -21.0 < level_dbfs(speech.pcm.astype("<i2").tobytes()) < -19.0


async def test_the_controls_speak_real_words(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    speech = synthesise("okay, I see what you mean")
    assert 900 < speech.duration_ms < 2_500
    assert len(speech.starts) == 6
    assert speech.pcm.tobytes() == synthesise("okay, I see what you mean").pcm.tobytes()
    assert len(list((tmp_path / "build/eval/speech").iterdir())) == 1
    for name in ("always_silent", "always_talking", "vad_500", "vad_1500"):
        assert AGENTS[name](AgentSettings(eval_agent=name)).name == name
