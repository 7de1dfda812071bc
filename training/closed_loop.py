"""Plays scripts to an exported model through the services' own classes, and records what it does in every tick.

What it says is said by the shipped voice, where one is given: how long words take decides when the next one has room.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.records import Floor, Manner
from services.encoder import dmel
from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from services.interaction.protocol import (
    DEFAULT_VOICE,
    READY_BELOW_MS,
    SayInput,
    SpeechOut,
    StepInput,
    StepOutput,
    Voice,
)
from training.data import pcm_of, shown
from training.mouth import Mouth
from training.script import TICK, Script


@dataclass(slots=True)
class Aloud:
    """What a real voice does with one session's words: a ``Mouth`` whose words take as long as they take."""

    voice: SpeechOut
    session_id: str
    left_ms: float = 0.0
    manner: Manner = Manner.STATEMENT  # of the words of this tick
    _words: str = ""
    _cut: bool = False

    @property
    def state(self) -> Voice:
        if self.left_ms <= 0:
            return Voice.SILENT
        return Voice.READY if self.left_ms < READY_BELOW_MS else Voice.BUSY

    def say(self, word: str) -> None:
        self._words += f" {word}"

    def stop(self) -> None:
        """As the service cuts: what is said in this very tick is said after it."""
        self._cut = self.left_ms > 0

    def tick(self) -> None:
        item = SayInput(self.session_id, self._words, cut=self._cut, manner=self.manner)
        self.left_ms = self.voice.step([item])[0].left_ms
        self._words, self._cut = "", False


@dataclass(slots=True)
class Played:
    """One session as it went: per tick the output, pending words before it, and results' arrivals."""

    script: Script
    outputs: list[StepOutput] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    delegated: list[bool] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    pending_words: deque[str] = field(default_factory=deque)
    due: list[tuple[int, list[str]]] = field(default_factory=list)
    mouth: Mouth | Aloud = field(default_factory=Mouth)
    left_ms: list[float] = field(default_factory=list)  # of speech still to be heard when the tick began

    def words(self, tick: int) -> str:
        """What was said in a tick; "<copy>" for a result's word."""
        output = self.outputs[tick]
        return "<copy>" if output.say_pending else output.text.strip()


def play(
    scripts: list[Script], encoder: FrameEncoder, model: NanoModel, voice: SpeechOut | None = None
) -> list[Played]:
    """All scripts side by side. Results come as scripted, counted from the model's own delegations. ``voice`` speaks
    in the place of the scripts' stand-ins, where those do."""
    played = [Played(script, mouth=dataclasses.replace(script.mouth)) for script in scripts]
    for number, session in enumerate(played):
        if voice is not None and session.script.mouth.rate:
            voice.open(f"play-{number}", DEFAULT_VOICE)
            session.mouth = Aloud(voice, f"play-{number}")
    audio = [pcm_of(script).reshape(script.ticks, dmel.FRAME_SAMPLES) for script in scripts]
    pictures = [dict(shown(script)) for script in scripts]
    typed = [
        {t.start // TICK: t.text for t in script.turns if t.kind == "typed"} for script in scripts
    ]
    tails = dmel.new_tails(len(scripts))
    for number in range(len(scripts)):
        model.open(f"play-{number}", 0)
    for tick in range(scripts[0].ticks):
        codes, tails = dmel.encode(np.stack([a[tick] for a in audio]), tails)
        frames = encoder.encode(codes, [p.get(tick) for p in pictures], [t.get(tick, "") for t in typed])
        inputs = [_input(f"play-{n}", tick, session, *frames[n]) for n, session in enumerate(played)]
        for session, output in zip(played, model.step(inputs), strict=True):
            _apply(session, tick, output)
    for number, session in enumerate(played):
        model.close(f"play-{number}")
        if isinstance(session.mouth, Aloud):
            session.mouth.voice.close(session.mouth.session_id)
    return played


def _input(
    session_id: str,
    tick: int,
    session: Played,
    kinds: npt.NDArray[np.uint8],
    embeddings: npt.NDArray[np.float16],
) -> StepInput:
    for due, words in session.due:
        if due <= tick:
            session.pending_words.extend(words)
            session.arrived.append(tick)
    session.due = [(due, words) for due, words in session.due if due > tick]
    waiting = session.pending_words
    session.pending.append(len(waiting))
    session.delegated.append(bool(session.due))
    session.left_ms.append(session.mouth.left_ms)
    return StepInput(
        session_id=session_id,
        tick=tick,
        embeddings=embeddings,
        kinds=kinds,
        gap_ms=session.script.gaps.get(tick, 0),
        pending_word=waiting[0] if waiting else "",
        pending_left=len(waiting),
        delegated=bool(session.due),
        voice=session.mouth.state,
    )


def _apply(session: Played, tick: int, output: StepOutput) -> None:
    """What the worker does with an output: run or cancel tasks, advance or drop the pending result."""
    session.outputs.append(output)
    if isinstance(session.mouth, Aloud):
        session.mouth.manner = output.manner
    if output.floor is Floor.YIELD:
        session.mouth.stop()
    if output.say_pending:
        session.mouth.say(session.pending_words.popleft())
    elif output.text.strip():
        session.mouth.say(output.text.strip())
    session.mouth.tick()
    if output.drop_pending:
        session.pending_words.clear()
    if output.cancel:
        session.due.clear()
    if output.delegate:
        results = session.script.results
        words, delay, _ = results[len(session.arrived) % len(results)] if results else (["result"] * 4, 8, 0)
        session.due.append((tick + max(2, delay), list(words)))
