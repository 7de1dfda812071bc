"""Shows: scripted pictures for a session, with what happens in them and when; what training's users show to nano.

A show is drawn from a ``random.Random``; the same generator state gives the same script, and its pictures the same
pixels. Nothing here comes from the evaluation: its pictures are drawn by other code, so that it measures sight and not
memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from services.encoder.video import Picture
from training.sight.canvas import Canvas
from training.sight.colours import COLOURS, shade
from training.sight.film import ASPECTS, Film, Setting, draw_setting
from training.sight.hand import NUMBERS, Hand, fingers
from training.sight.machines import Lamp, Machine, draw_machine
from training.sight.repetitions import draw_mover
from training.sight.scenes import (
    TICK_S,
    Appearance,
    Counting,
    Gallery,
    Moved,
    Repeated,
    Scene,
    Span,
    draw_appearance,
    other_colour,
)

KINDS = ("repetitions", "appears", "action", "hand")
LEAST_TICKS = 15  # between a show's begin and the session's end
SIGHTS = ("repetition", "begin", "end", "appears")
"""What can be seen to happen in a tick: a repetition is complete, an action begins or ends, something is there now."""
NEW_TICKS = 8  # so long a thing is what one sees, though others stand beside it
_BEGUN = 0.4  # of the time between pictures: what has moved for so long can be seen to move
_PERIOD_S = (0.8, 2.0)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that can be seen from ``begin`` until ``end`` (ticks of the session; either may lie outside it).

    ``label`` and ``words`` are the colour and ("red", "ball"); the fingers' number as digits and (); the action's name
    and its words, as ("squats",) or ("the", "wheel", "turns").
    """

    label: str
    words: tuple[str, ...]
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Show:
    """A session's pictures. ``marks`` are the moments to be spoken at, in order, all inside the session:

    ``repetitions``: when each repetition is complete; ``appears``: when the thing of the label's colour does;
    ``action``: begin and end of each motion, alternating; ``hand``: when each number is shown from the label's on.
    """

    kind: str
    ticks: int
    label: str
    words: tuple[str, ...]
    marks: tuple[float, ...]
    told: tuple[float, ...]  # for each mark, the moment from which on a picture can tell of it
    events: tuple[Event, ...]
    every: int  # a picture each so many ticks
    phase: float  # when in its tick a picture is taken, 0 to 1
    scene: Scene
    setting: Setting

    def seen(self, moment: float) -> int:
        """The tick that brings the first picture taken at or after ``moment``; nobody can know of it earlier.
        ``ticks`` when the session ends before."""
        taken = range(0, self.ticks, self.every)
        return next((tick for tick in taken if tick + self.phase >= moment), self.ticks)

    def at(self, tick: int) -> tuple[Event, ...]:
        """What the newest picture of ``tick`` shows."""
        moment = tick - tick % self.every + self.phase
        return tuple(event for event in self.events if event.begin <= moment < event.end)

    def spans(self) -> list[tuple[int, int, Event]]:
        """From and until which tick each event is what the newest picture shows."""
        spans = [(self.seen(event.begin), self.seen(event.end), event) for event in self.events]
        return [(first, until, event) for first, until, event in spans if first < until]

    def sights(self) -> list[tuple[int, str]]:
        """Ticks, and which of ``SIGHTS`` each brings. What stands there from the first picture on has not appeared."""
        if self.kind in ("appears", "hand"):
            happened = [(first, "appears") for first, _, event in self.spans() if event.begin > self.phase]
        else:
            names = ("repetition",) if self.kind == "repetitions" else ("begin", "end")
            happened = [(self.seen(moment), names[n % len(names)]) for n, moment in enumerate(self.told)]
        return sorted((tick, name) for tick, name in happened if tick < self.ticks)

    def colour(self, tick: int) -> str:
        """The colour of the one thing that stands there, or of the one that has just come; "" where it is unclear."""
        there = self.at(tick) if self.kind == "appears" else ()
        newest = max(there, key=lambda event: event.begin, default=None)
        return newest.label if newest and (len(there) == 1 or tick - newest.begin < NEW_TICKS) else ""

    def pictures(self, rng: random.Random, first: int = 0, last: int | None = None) -> list[tuple[int, Picture]]:
        """Tick and picture (uint8 ``[80, 120, 3]``) for the ticks from ``first`` to before ``last``."""
        film = Film(self.setting, rng)
        taken = []
        for tick in range(0, self.ticks if last is None else last, self.every):
            if tick < first:
                continue

            def draw(canvas: Canvas, at: float = tick + self.phase) -> None:
                self.scene.draw(canvas, at)

            taken.append((tick, film.take(draw)))
        return taken


@dataclass(frozen=True, slots=True)
class _Script:
    """A show without how it is filmed."""

    scene: Scene
    label: str
    words: tuple[str, ...]
    marks: tuple[float, ...]
    events: tuple[Event, ...]
    told: tuple[float, ...] = ()  # where it isn't the marks themselves


def draw_show(rng: random.Random, ticks: int, kind: str, begin_tick: int) -> Show:
    """A show of ``kind`` for a session of ``ticks``, whose event begins within ``begin_tick`` or soon after.

    Raises:
        ValueError: no such kind, or fewer than ``LEAST_TICKS`` are left after ``begin_tick``.
    """
    if kind not in _DRAWN:
        raise ValueError(f"{kind!r} is no kind of show, these are: {', '.join(KINDS)}")
    if not 0 <= begin_tick <= ticks - LEAST_TICKS:
        raise ValueError(f"a show that begins at tick {begin_tick} has no room in {ticks} ticks")
    every, aspect = rng.choice((1, 1, 1, 2)), rng.choice(ASPECTS)
    script = _DRAWN[kind](rng, _Stage(ticks, begin_tick + rng.random(), every, aspect))
    setting = draw_setting(rng, aspect, script.scene.colours, hidden=kind in ("repetitions", "action"))
    return Show(
        kind=kind,
        ticks=ticks,
        label=script.label,
        words=script.words,
        marks=script.marks,
        told=script.told or script.marks,
        events=script.events,
        every=every,
        phase=rng.random(),
        scene=script.scene,
        setting=setting,
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a script is drawn for: the session's length, the begin, how often pictures come (ticks), their aspect."""

    ticks: int
    begin: float
    every: int
    aspect: float

    @property
    def last(self) -> float:
        """The last moment that is surely seen within the session."""
        return self.ticks - 1.0 - self.every


def _repetitions(rng: random.Random, stage: _Stage) -> _Script:
    mover, words = draw_mover(rng, stage.aspect)
    slowest = min(_PERIOD_S[1], (stage.last - stage.begin) * TICK_S / 2.2)  # two fit in without a pause
    fastest = _PERIOD_S[0] if stage.every == 1 else 1.4
    period = rng.uniform(min(fastest, slowest), slowest) / TICK_S
    pause = rng.choice((0.0, 0.0, rng.uniform(1.0, 5.0)))
    spans: list[Span] = []
    at = stage.begin
    for _ in range(rng.randint(2, 12)):
        stop = at + period * rng.uniform(0.93, 1.07)
        if stop > stage.last:
            break
        spans.append((at, stop))
        at = stop + pause * rng.uniform(0.7, 1.3)
        if rng.random() < 0.06:
            at += rng.uniform(5.0, 14.0)  # a rest
    event = Event(" ".join(words), words, spans[0][0], spans[-1][1])
    marks = tuple(stop for _, stop in spans)
    return _Script(Repeated(mover, tuple(spans)), event.label, words, marks, (event,))


def _appears(rng: random.Random, stage: _Stage) -> _Script:
    colour, begin = rng.choice(COLOURS), stage.begin
    things: list[Appearance] = []
    for _ in range(rng.randint(0, 3)):  # before it
        comes = rng.uniform(-5.0, begin - 2.0) if begin > 3.0 else -5.0
        goes = rng.choice((begin, begin - 1.5, begin + rng.uniform(3.0, 20.0), stage.ticks + 9.0))
        things.append(
            draw_appearance(rng, stage.aspect, other_colour(rng, colour), (comes, max(goes, comes + 2)), things)
        )
    stays = rng.choice((rng.uniform(10.0, 30.0), stage.ticks + 9.0))
    things.append(draw_appearance(rng, stage.aspect, colour, (begin, begin + stays), things))
    if rng.random() < 0.4:  # after it
        comes = begin + rng.uniform(6.0, 20.0)
        span = (comes, comes + rng.uniform(8.0, 30.0))
        things.insert(0, draw_appearance(rng, stage.aspect, other_colour(rng, colour), span, things))
    events = tuple(Event(one.colour, (one.colour, one.look.name), *one.span) for one in things)
    words = next(event.words for event in events if event.label == colour)
    return _Script(Gallery(tuple(things)), colour, words, (begin,), events)


def _action(rng: random.Random, stage: _Stage) -> _Script:
    machine, words = draw_machine(rng, stage.aspect)
    spans: list[Span] = []
    at = stage.begin
    for _ in range(rng.choice((1, 1, 2))):
        room = stage.last - at
        if room < 9.0:
            break
        spans.append((at, at + rng.uniform(8.0, min(40.0, room))))
        at = spans[-1][1] + rng.uniform(8.0, 25.0)
    label = " ".join(words)
    events = tuple(Event(label, words, start, stop) for start, stop in spans)
    marks = tuple(moment for span in spans for moment in span)
    begun, ended = _BEGUN * stage.every, stage.every * (1 + _standing(machine))
    told = tuple(moment for start, stop in spans for moment in (start + begun, stop + ended))
    return _Script(Moved(machine, tuple(spans), stage.every), label, words, marks, events, told)


def _standing(machine: Machine) -> float:
    """How long a machine in motion may look as if it stood (ticks): a lamp that blinks is off now and then."""
    return machine.half / TICK_S if isinstance(machine, Lamp) else 0.0


def _hand(rng: random.Random, stage: _Stage) -> _Script:
    hand = Hand.drawn(rng, stage.aspect, shade(rng, rng.choice(COLOURS)))
    numbers = rng.sample(NUMBERS, rng.choice((1, 1, 2, 3)) + 1)
    shown: list[tuple[int, Span]] = []
    if rng.random() < 0.25:
        shown.append((numbers.pop(), (-1.0, stage.begin)))
    else:
        numbers.pop()
    at, earlier = stage.begin, len(shown)
    for number in numbers:
        if at > stage.last - 5.0:
            break
        shown.append((number, (at, at + rng.uniform(9.0, 30.0))))
        at = shown[-1][1][1] + rng.choice((0.0, 0.0, rng.uniform(2.0, 10.0)))
    if rng.random() < 0.5:
        number, (start, _) = shown[-1]
        shown[-1] = number, (start, stage.ticks + 9.0)
    events = tuple(Event(str(number), (), *span) for number, span in shown)
    scene = Counting(hand, tuple((fingers(rng, number), span) for number, span in shown), rng.choice((0.0, 1.5)))
    return _Script(scene, events[earlier].label, (), tuple(event.begin for event in events[earlier:]), events)


_DRAWN: dict[str, Callable[[random.Random, _Stage], _Script]] = {
    "repetitions": _repetitions,
    "appears": _appears,
    "action": _action,
    "hand": _hand,
}
