"""A session's user side as data: turns, pictures, results, and what is due when; and the shares of what happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from training.mouth import Mouth
from training.phones import Phone
from training.phrases import Phrase

TICK = 3200
DECIDE_AFTER = 1600  # a turn is answered in the tick that holds its end + 100 ms
HEARD_AFTER = 6400  # a word is written down in the tick that holds its end + 400 ms
SPOKEN_WORD_TICKS = 1.7
DUE_TICKS = 4
SIGN_AFTER = 800  # a sign of listening comes in the tick that holds a sentence's end + 50 ms
YIELD_AFTER = 4800  # an interruption is yielded to in the tick that holds its begin + 300 ms
PATIENCE_TICKS = 4  # after that, in which what it does doesn't count: it may not know yet; then a yield is overdue
RECONSIDER_TICKS = 5  # after an order is answered: its words have been told, and it is thought over once more
Samples = npt.NDArray[np.float32]


@dataclass(slots=True)
class UserTurn:
    """One thing the user does. ``phrase`` is None for a backchannel. Places are samples of the session."""

    kind: str  # plain, pause, interruption, backchannel, typed, or of free speech: stories, carriers, countings, asides
    text: str
    phrase: Phrase | None
    start: int
    stop: int
    pieces: list[tuple[int, int]]  # where there is speech
    word_ends: list[int] | None
    delay_ticks: int = 0
    patience_ticks: int = 0  # nano goes on for so long beyond ``yield_tick``: see ``PATIENCE_TICKS``
    note_tick: int = -1  # in which the word that an order is to say is noted: it was written down before; -1: never
    listen_tick: int = -1  # the same of the word that it waits for
    trigger_tick: int = -1  # in which it can be known which word an order waits for: it has been told; -1: never
    guess: str | None = None  # what an order is taken for until its words have been told: a task, "" for no order
    voice: str = ""
    phones: list[Phone] | None = None
    lapse_s: float = 0.0  # of silence before it, where it is about that

    @property
    def decision_tick(self) -> int:
        return (self.stop + DECIDE_AFTER) // TICK if self.kind != "typed" else self.start // TICK

    @property
    def yield_tick(self) -> int:
        return (self.start + YIELD_AFTER) // TICK if self.kind != "typed" else self.start // TICK


@dataclass(frozen=True, slots=True)
class Due:
    """``word`` is to be said from ``tick`` on, at most ``DUE_TICKS`` later, if ``task`` stands then."""

    tick: int
    word: str
    task: str
    manner: Manner = Manner.STATEMENT
    delay_ticks: int = 0  # nano says it so late, and the ticks before don't count


@dataclass(frozen=True, slots=True)
class Awaited:
    """A word of the user's to which something is to be said as soon as nano has been told of it."""

    turn: UserTurn
    index: int  # of the word in its turn
    word: str  # "" for the next number
    task: str
    manner: Manner
    order: UserTurn | None = None  # of a tally


@dataclass(slots=True)
class Script:
    """A whole session's user side. ``results`` plans each delegation's answer: words and delay, in order."""

    ticks: int
    audio: Samples
    turns: list[UserTurn] = field(default_factory=list)
    pictures: list[tuple[int, npt.NDArray[np.uint8], str]] = field(default_factory=list)
    results: list[tuple[list[str], int, int]] = field(default_factory=list)  # words, delay, ticks between pieces
    gaps: dict[int, int] = field(default_factory=dict)  # tick: milliseconds that never arrived
    dues: list[Due] = field(default_factory=list)
    awaited: list[Awaited] = field(default_factory=list)  # become dues: see ``training.mishearing``
    told: dict[int, str] = field(default_factory=dict)  # by tick, the word that is written down, rightly or not
    unsure: list[tuple[int, int]] = field(default_factory=list)  # ticks in which a due word may stand, or not
    signs: list[int] = field(default_factory=list)  # ticks at which a sign of listening is welcome
    fingers: list[tuple[int, int, int]] = field(default_factory=list)  # from tick, until tick, how many a hand shows
    sights: list[tuple[int, str]] = field(default_factory=list)  # tick, and which of ``sight.SIGHTS`` it brings
    video: bool = False
    listening: bool = False  # speech to learn to hear from; what to do about it is not said
    voice: str = ""  # the name of the user's
    gain: float = 1.0  # of the user's voice
    factor: float = 1.0  # of its tempo and pitch
    throat: float = 0.5  # where in its engine's range it lies: see ``scenes.THROATS``
    mouth: Mouth = field(default_factory=Mouth)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shares of what happens in a session; evaluation sets them to study one skill at a time."""

    pause: float = 0.4
    interrupt: float = 0.45
    backchannel: float = 0.4
    typed: float = 0.17
    story: float = 0.14
    order: float = 0.35
    brief: float = 0.25  # of orders: those that nothing comes of, for something else follows
    misjudged: float = 0.45  # of spoken orders: taken for another one at first, or for none
    lead: float = 0.22  # of what is asked for: announced, and then comes a pause
    aside: float = 0.12  # words to somebody else, or to nobody
    overheard: float = 0.05  # words by somebody else, a little farther away
    cough: float = 0.4
    listening: float = 0.0  # sessions of nothing but speech, without an order
    sight: float = 0.36  # of orders: those about what is seen
    video: float = 0.18  # coloured shapes beside all else
    shown: float = 0.4  # of sessions without pictures so far: a show that nobody has ordered anything about
    delays: float = 0.24  # of what is asked for: answered late
    patience: float = 0.3  # of what is said over nano's voice: yielded to later than it could be
    stubborn: float = 0.5  # of the same: yielded to far too late
    halt: float = 0.2  # of those who interrupt: all that they want is that it stops
    faults: float = 1.0  # of the transcript, as a share of what training has; 0 writes down all that is said
    late_sights: float = 0.35  # of the words that are due for something seen: when it was can't be told to the tick
    noise_db: tuple[float, float] = (-85.0, -38.0)
    digital_silence: float = 0.25
    noise_gate: float = 0.1
    babble: float = 0.25
    gaps: float = 0.1
    stalls: float = 0.1
    reverb: float = 0.2
    equaliser: float = 0.3
    stretch: tuple[float, float] = (0.87, 1.15)
    pause_s: tuple[float, float] = (0.5, 2.0)
    result_delay: tuple[int, int] = (4, 22)
    voiced: float = 0.85  # sessions in which nano's words are spoken, and so take their time
    speech_rate: tuple[float, float] = (0.75, 1.3)
    kinds: dict[str, float] = field(default_factory=lambda: {"fixed": 0.32, "count": 0.28, "open": 0.4})


def written(turns: Iterable[UserTurn]) -> Iterator[tuple[UserTurn, str, int]]:
    """The words whose ends are known, with the ticks in which they are written down: one a tick, none too early."""
    free_from = 0
    for turn in sorted(turns, key=lambda t: t.start):
        if turn.kind == "typed" or turn.word_ends is None:
            continue
        for word, end in zip(turn.text.split(), turn.word_ends, strict=True):
            tick = max((end + HEARD_AFTER) // TICK, free_from)
            free_from = tick + 1
            yield turn, word, tick
