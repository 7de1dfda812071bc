"""A scenario: to the sample, what the user's side says, does and shows, and what a good partner would do when.

Scenarios are data: one JSON file each suite under ``tests/behaviour/scenarios/``, written by ``infra.eval.generate``
from seeded templates. Scorers read the script and the recording of what a client received, never the server's inside.

Times are integers. ``*_sample`` counts samples of the user's channel (16 kHz) from the begin of the session's tick 0;
``*_ms`` counts milliseconds from there.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

import msgspec

SCHEMA_VERSION = 1
RATE_HZ = 16_000


class Role(StrEnum):
    """What a clip of sound in the user's channel is."""

    TURN = "turn"  # the user speaks to the model and expects a reaction at its end (or during it: cues)
    CONTINUATION = "continuation"  # the same turn goes on after a pause for thought
    INTERRUPTION = "interruption"  # the user takes the floor while the model speaks
    BACKCHANNEL = "backchannel"  # "mm-hm" while the model speaks: no wish for the floor
    TIC = "tic"  # cough, throat, laugh
    ASIDE = "aside"  # the user talks to somebody else
    BACKGROUND = "background"  # another voice in the room, a radio
    NOISE = "noise"  # no voice at all


SPEECH_TO_MODEL = frozenset({Role.TURN, Role.CONTINUATION, Role.INTERRUPTION})


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One spoken word, to the sample."""

    text: str
    start_sample: int
    end_sample: int


class Clip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stretch of sound. ``voice`` is a name of ``training/split.json`` (held out) or an evaluation-only voice;
    for noises it is ``noise:<kind>``. ``end_sample`` is one past the last audible sample. ``words`` only where the
    engine tells exact times. ``sha256`` is that of the clip's PCM16, so that a cache that differs is found out.

    A piece of a longer take names the take's text in ``take`` and its samples ``[take_begin, take_end)``; the cut sides
    are faded over 10 ms."""

    id: str
    role: Role
    voice: str
    start_sample: int
    end_sample: int
    text: str = ""
    gain_db: float = 0.0
    words: list[Word] = []
    sha256: str = ""
    take: str = ""
    take_begin: int = 0
    take_end: int = 0


class VideoEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the camera sees from ``start_ms`` to ``end_ms``; ``kind`` names a drawing of ``infra.eval.video``.

    ``params`` draw it (colour, number of fingers, period of a repetition in ms, …); ``marks_ms`` are the moments that
    count (each repetition's end, an appearance)."""

    kind: str
    start_ms: int
    end_ms: int
    params: dict[str, float | str] = {}
    marks_ms: list[int] = []


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """Text that the user types at ``at_ms``."""

    at_ms: int
    text: str


class Want(StrEnum):
    """What is expected. What each scorer makes of it stands in ``infra/eval/scorers``."""

    REPLY = "reply"  # a reply (any of ``meanings``) to the clip ``clip``, begun in the window
    SILENCE = "silence"  # nothing is said in the window (a pause, a monologue without cue, an aside)
    BACKCHANNEL = "backchannel"  # a short sign of listening is welcome in the window
    GO_ON = "go_on"  # the model was speaking and goes on speaking: clip ``clip`` is no reason to stop
    YIELD = "yield"  # the model was speaking and stops because of ``clip``
    RESPOND = "respond"  # after yielding it answers the interruption: one of ``meanings``
    RESUME = "resume"  # it goes on with what it was saying
    SAY = "say"  # one of ``meanings`` in the window, with or without anybody speaking (cues, time, pictures)
    DELEGATE = "delegate"  # a background task begins in the window
    WEAVE = "weave"  # the result's key words (``meanings``) are said in the window
    DROP = "drop"  # the pending result is not said any more


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Windows are final: whatever tolerance a suite grants (and publishes) is in ``from_ms`` and ``to_ms`` already.

    ``meanings``: any of them counts; each is a set of words, all of which must be said ("|" separates alternatives
    within a word, e.g. ``"four|4 seconds"``). ``simultaneous``: it must be said while the user speaks.
    ``number`` is the true count for counting scenarios at that moment."""

    want: Want
    from_ms: int
    to_ms: int
    clip: str = ""
    meanings: list[str] = []
    simultaneous: bool = False
    number: int = -1


class LineKind(StrEnum):
    """What a line that is read aloud is for."""

    SENTENCE = "sentence"  # a sentence that the voice was not trained on
    PHRASE = "phrase"  # what nano says of itself
    INTERRUPTION = "interruption"  # a sentence that is broken off
    PICTURE = "picture"  # the same sentence by every voice, to be looked at


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What suite ``speech`` has read aloud. At ``from_ms`` "say" and the ``key`` are typed, for which ``results`` has
    the text; it must be over by ``to_ms``. At ``stop_ms`` the reader is told to stop (-1: never)."""

    key: str
    kind: LineKind
    from_ms: int
    to_ms: int
    stop_ms: int = -1


class Scenario(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scripted session. ``rows`` are the rows of the behaviour report that it counts for (``docs/behaviour.md``
    says what each row reads). ``template`` names what it was made from: macro averages weigh all templates alike.
    ``spoken_reply`` is what the oracle says where the model has to be speaking (for barge-in and backchannel
    scenarios), word by word; ``results`` scripts the background where a row needs it: text by key
    word of the question, ready ``delays_ms`` later (``infra.eval.scripted_llm``), the same in all suites.
    ``model_voice`` is the voice that the client asks for, ``lines`` what it has read aloud (suite ``speech`` only)."""

    v: int = SCHEMA_VERSION
    id: str
    suite: str
    template: str = ""
    rows: list[int]
    seed: int
    duration_ms: int
    clips: list[Clip] = []
    video: list[VideoEvent] = []
    typed: list[Typed] = []
    expect: list[Expectation] = []
    spoken_reply: str = ""
    results: dict[str, str] = {}
    delays_ms: dict[str, int] = {}
    model_voice: str = ""
    lines: list[Line] = []
    note: str = ""

    def clip(self, clip_id: str) -> Clip:
        """Raises ``KeyError``."""
        for clip in self.clips:
            if clip.id == clip_id:
                return clip
        raise KeyError(f"{self.id} has no clip {clip_id!r}")


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """All scenarios of one suite, as they lie in one file."""

    v: int = SCHEMA_VERSION
    name: str
    scenarios: list[Scenario]


class BadScenario(ValueError):
    """A scenario file that cannot be read; names the file and the place."""


def ms_to_sample(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


def sample_to_ms(sample: int) -> float:
    return sample * 1000 / RATE_HZ


def fingerprint(scenario: Scenario) -> str:
    """Names this very script: a recording of another one is not scored by it."""
    return hashlib.sha256(msgspec.json.encode(scenario)).hexdigest()[:16]


def load_suite(path: Path) -> Suite:
    """Raises ``BadScenario``."""
    try:
        suite = msgspec.json.decode(path.read_bytes(), type=Suite)
    except (msgspec.DecodeError, OSError) as error:
        raise BadScenario(f"{path}: {error}") from None
    if suite.v != SCHEMA_VERSION:
        raise BadScenario(f"{path}: schema version {suite.v}, this code reads {SCHEMA_VERSION}")
    return suite
