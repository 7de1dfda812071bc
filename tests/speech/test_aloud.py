"""A closed loop's words said by a real voice: they take their time, and a cut is a cut."""

from __future__ import annotations

import pytest

from services.interaction.protocol import DEFAULT_VOICE, Voice
from tests.speech.voices import speaker
from training.closed_loop import Aloud


@pytest.fixture
def aloud():
    voice = speaker()
    voice.open("s", DEFAULT_VOICE)
    return Aloud(voice, "s")


def test_words_are_welcome_until_enough_are_left_and_it_falls_silent_with_the_last(aloud):
    assert aloud.state is Voice.SILENT
    seen = []
    for word in "one two three four five six seven".split():
        aloud.say(word)
        aloud.tick()
        seen.append(aloud.state)
    assert seen[0] is Voice.READY and Voice.BUSY in seen and Voice.SILENT not in seen
    for _ in range(40):
        aloud.tick()
    assert aloud.state is Voice.SILENT and aloud.left_ms == 0


def test_what_is_said_with_a_cut_is_said_after_it(aloud):
    for word in ("one", "two", "three"):
        aloud.say(word)
        aloud.tick()
    aloud.stop()
    aloud.tick()
    assert aloud.state is Voice.SILENT
    aloud.stop()  # nothing is being said: nothing is cut
    aloud.say("okay")
    aloud.tick()
    assert aloud.state is Voice.READY
