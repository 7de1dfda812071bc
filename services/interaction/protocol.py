"""What the interaction service asks of a model: open a session, step a batch by one tick, prefill from the log, close.

Bring your own model by implementing ``InteractionModel``. No torch here: arrays cross as numpy. A model is
deterministic: an output is a pure function of the session's seed, its inputs and its own former outputs; neither the
neighbours in a batch nor the batch's size change a bit. Everything that a step may depend on is in ``StepInput``
or was fed before, so the log alone rebuilds a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.records import Floor, Manner, SpokenWord, UserActivity

READY_BELOW_MS = 600
"""Of speech left to say: from here on another word is welcome."""


class Voice(IntEnum):
    """What the speech stage is doing when a tick begins: how the model knows that it is still heard, and sets its pace.

    Words are written faster than they are spoken. A model without a voice, or one that is not spoken, sees ``SILENT``.
    """

    SILENT = 0  # nothing is being said
    READY = 1  # speaking, and little enough is left to say that another word is welcome
    BUSY = 2  # speaking, with enough left: a word said now is not taken


@dataclass(frozen=True, slots=True)
class StepInput:
    """One session's micro-turn.

    ``embeddings`` is float16 ``[n_tokens, d]`` and ``kinds`` uint8 ``[n_tokens]`` (``TokenKind``), as encoded.
    ``pending_word`` is the next unsaid word of the background result that waits ("" when none) and ``pending_left``
    how many wait, itself included; ``delegated`` says that a background task is running without a result yet.
    ``voice`` is what of its own words is still being spoken.
    """

    session_id: str
    tick: int
    embeddings: npt.NDArray[np.float16]
    kinds: npt.NDArray[np.uint8]
    gap_ms: int = 0
    pending_word: str = ""
    pending_left: int = 0
    delegated: bool = False
    voice: Voice = Voice.SILENT


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One micro-turn's decision.

    ``text`` is the delta to say now (with its leading space where one belongs); ``say_pending`` asks the worker to
    say the next pending word instead (the pointer); ``drop_pending`` gives the rest of the result up. ``tokens`` are
    the raw ids that determine the step's effect on later steps: ``prefill`` is given them back. ``ui`` is an event
    for the application. ``manner`` is how this tick's words are to sound, the pending one too.
    """

    floor: Floor
    user: UserActivity
    tokens: tuple[int, ...]
    text: str = ""
    user_text: str = ""
    say_pending: bool = False
    drop_pending: bool = False
    delegate: bool = False
    cancel: bool = False
    audio: bytes | None = None
    ui: dict[str, Any] = field(default_factory=dict)
    manner: Manner = Manner.STATEMENT


class InteractionModel(Protocol):
    """A model that a worker serves. All methods are called from one thread, off the event loop."""

    name: str
    """Name and version, e.g. ``nano-0.1.0+3fa2c1``; stamped on every turn."""
    encoder_version: str
    """The only encoder whose embeddings it understands; "" accepts any."""
    d: int
    """Width of the embeddings; 0 accepts any."""
    context_ticks: int
    """How many former ticks can influence a step: what a restore must read back to be exact."""
    capacity: int
    """How many sessions may be open at once."""
    quiet_tokens: tuple[int, ...]
    """``StepOutput.tokens`` of a tick in which nothing is said or done, of a session about which nothing is known."""

    def open(self, session_id: str, seed: int, first_tick: int = 0) -> None:
        """Begin a session whose next step is ``first_tick``. Raises ``ValueError`` when open, or at capacity."""

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        """One tick for each session of ``batch`` (distinct sessions), in order. Raises ``KeyError`` if not open."""

    def prefill(self, inputs: Sequence[StepInput], outputs: Sequence[tuple[int, ...]]) -> None:
        """Rebuild state: each session's consecutive ticks, in order, with the recorded ``StepOutput.tokens`` fed back,
        nothing sampled. Ticks of several sessions may come in turn, so that they can be taken in together. Afterwards
        the state is bit for bit that of a worker that had stepped through them."""

    def quiet(self, session_id: str) -> tuple[int, ...]:
        """``StepOutput.tokens`` of a next tick in which nothing is said or done: what an overloaded worker feeds back
        for ticks that it takes in without asking for an answer. Raises ``KeyError`` if not open."""

    def close(self, session_id: str) -> None:
        """Forget a session; unknown ids are ignored."""


DEFAULT_VOICE = "default"
"""A name for the first of a ``SpeechOut``'s voices."""


@dataclass(frozen=True, slots=True)
class SayInput:
    """One session's tick of speech: ``text`` are the words to say after all before, in this ``manner``. ``cut`` ends
    what sounds, with a short fade in this tick, and forgets what waits; ``text`` then begins anew."""

    session_id: str
    text: str = ""
    cut: bool = False
    manner: Manner = Manner.STATEMENT


@dataclass(frozen=True, slots=True)
class SayOutput:
    """200 ms of speech: PCM16 little endian, 24 kHz, or None for silence. ``words`` sounded in it; about ``left_ms`` of
    speech are left to say, 0 only when there is nothing. ``refused`` words found no room in the queue."""

    audio: bytes | None
    words: list[SpokenWord]
    left_ms: int
    refused: int = 0


class SpeechOut(Protocol):
    """What turns words into audio. Called like a model: from one thread, deterministic, each session for itself: its
    output follows from its own inputs since its last silence alone."""

    name: str
    voices: tuple[str, ...]

    def open(self, session_id: str, voice: str) -> None:
        """Begin a session in silence. Raises ``ValueError`` for an unknown voice."""

    def is_open(self, session_id: str) -> bool:
        """Whether its state is held."""

    def step(self, batch: Sequence[SayInput]) -> list[SayOutput]:
        """One tick of each of some distinct sessions, in order. Raises ``KeyError`` if not open."""

    def close(self, session_id: str) -> None:
        """Forget a session; unknown ids are ignored."""
