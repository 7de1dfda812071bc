"""The controls: models that understand nothing. A row of the report that one of them wins measures nothing.

``always_silent`` and ``always_talking`` do what they are called. ``vad_500`` and ``vad_1500`` do what simple agents do:
when the energy has been low for so many milliseconds, answer something; when the user makes a sound, stop.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from infra.eval.agents.energy import EnergyVad
from infra.eval.agents.protocol import AgentSession, Reply
from infra.eval.agents.speech import Player, Speech, synthesise
from schemas import records as r

BARGE_IN_MS = 200  # so much energy stops the agent
SHORTEST_TURN_MS = 200  # less is answered with nothing

ANSWERS = (
    "okay I see, let me think about that for a moment, there is quite a lot that one could say here",
    "right, got it, that sounds good to me, and I think we can go on from there whenever you like",
    "sure, I understand what you mean, it is not always easy but there is usually a way to do it",
    "all right, thank you for telling me, I will keep that in mind while we talk about the rest",
)
"""What the energy controls say, in turn: four to five seconds each, so that there is something to interrupt."""

TALK = (
    "so the other day I went down to the river because the weather was so nice and everybody was out",
    "and the thing is that nobody had told me about the market, which was right there by the bridge",
    "they had bread and cheese and honey and a man who played the accordion rather badly but with much joy",
    "well I bought some apples and then I met an old friend of mine whom I had not seen in years",
    "we walked along the water for an hour and talked about the house that he is building for his mother",
    "it has a green door and a garden with a pond, and the roof is still missing on the western side",
    "after that we had coffee in a small place round the corner where the chairs are all of different height",
    "and on the way home it began to rain so hard that we had to wait under a tree until it was over",
)
"""What ``always_talking`` says, without an end."""


class SilentSession:
    """Says nothing, hears nothing."""

    def step(self, frame: r.CaptureFrame) -> Reply:
        return Reply()

    def offer(self, result: r.BackgroundResult) -> None:
        pass

    def close(self) -> None:
        pass


class TalkingSession(SilentSession):
    """Talks from the first tick on, whatever happens."""

    def __init__(self, speeches: Sequence[Speech]) -> None:
        self._speeches = itertools.cycle(speeches)
        self._player = Player()

    def step(self, frame: r.CaptureFrame) -> Reply:
        if not self._player.speaking:
            self._player.say(next(self._speeches))
        audio, words = self._player.next()
        return Reply(floor=r.Floor.TAKE, audio=audio, text=words)


class EndpointingSession(SilentSession):
    """Answers when it has been quiet for ``hangover_ms``, stops when it is not quiet."""

    def __init__(self, speeches: Sequence[Speech], hangover_ms: int) -> None:
        self._speeches = itertools.cycle(speeches)
        self._hangover_ms = hangover_ms
        self._vad = EnergyVad()
        self._player = Player()

    def step(self, frame: r.CaptureFrame) -> Reply:
        self._vad.hear(frame.audio)
        if self._player.speaking and self._vad.speech_ms >= BARGE_IN_MS:
            self._player.stop()
            return Reply(floor=r.Floor.YIELD, user=r.UserActivity.SPEAKING)
        user = r.UserActivity.SPEAKING if self._vad.in_speech else r.UserActivity.SILENT
        if self._vad.in_speech and self._vad.silence_ms >= self._hangover_ms:
            user = r.UserActivity.ENDED
            if self._vad.speech_ms >= SHORTEST_TURN_MS:
                self._player.say(next(self._speeches))
            self._vad.end()
        audio, words = self._player.next()
        return Reply(floor=r.Floor.TAKE if audio else r.Floor.HOLD, user=user, audio=audio, text=words)


class Control:
    """An agent made of a few phrases and a rule; ``open_session`` is given the spoken phrases."""

    def __init__(
        self, name: str, open_session: Callable[[Sequence[Speech]], AgentSession], texts: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._open = open_session
        self._texts = texts
        self._speeches: list[Speech] = []

    async def __aenter__(self) -> Self:
        self._speeches = await asyncio.to_thread(lambda: [synthesise(text) for text in self._texts])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def session(self, session_id: str) -> AgentSession:
        return self._open(self._speeches)


def always_silent() -> Control:
    return Control("always_silent", lambda _: SilentSession())


def always_talking() -> Control:
    return Control("always_talking", TalkingSession, TALK)


def vad(hangover_ms: int) -> Control:
    """Energy endpointing after ``hangover_ms`` of quiet."""
    return Control(f"vad_{hangover_ms}", lambda speeches: EndpointingSession(speeches, hangover_ms), ANSWERS)
