"""What is before the camera through a show: which things, and how each of them is at a moment. Moments are ticks."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

from training.sight.canvas import Canvas, Point
from training.sight.colours import BASE, COLOURS, Rgb, shade
from training.sight.hand import Hand
from training.sight.machines import Machine
from training.sight.repetitions import Mover
from training.sight.things import Look

TICK_S = 0.2
Span = tuple[float, float]  # from and until which moment, ticks of the session


class Scene(Protocol):
    """Draws itself as it is at a moment."""

    @property
    def colours(self) -> tuple[Rgb, ...]:
        """What must stand out from the ground."""

    def draw(self, canvas: Canvas, at: float) -> None:
        """Draw everything as it is at the moment ``at`` (ticks)."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A mover that repeats its action once in each span and rests between them."""

    mover: Mover
    spans: tuple[Span, ...]

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.mover.colours

    def phase(self, at: float) -> float:
        """How far the repetition of this moment is, 0 to below 1; 0 at rest."""
        number = bisect_right(self.spans, (at, math.inf)) - 1
        if number < 0:
            return 0.0
        start, stop = self.spans[number]
        return (at - start) / (stop - start) if at < stop else 0.0

    def draw(self, canvas: Canvas, at: float) -> None:
        self.mover.draw(canvas, self.phase(at))


@dataclass(frozen=True, slots=True)
class Moved:
    """A machine that is in motion in each span and stands between them; ``slow`` stretches its motion's time."""

    machine: Machine
    spans: tuple[Span, ...]
    slow: float

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.machine.colours

    def draw(self, canvas: Canvas, at: float) -> None:
        moved = sum(min(max(at - start, 0.0), stop - start) for start, stop in self.spans)
        moving = any(start <= at < stop for start, stop in self.spans)
        self.machine.draw(canvas, moved * TICK_S / self.slow, moving)


@dataclass(frozen=True, slots=True)
class Appearance:
    """A thing that comes at its span's begin (when half of its coming is done) and goes at its end."""

    colour: str
    look: Look
    place: Point
    span: Span
    coming: str  # at once, growing, from a side, from above
    takes: float  # ticks that it takes to come, or to go

    def draw(self, canvas: Canvas, at: float) -> None:
        share = min(self._half(at - self.span[0]), self._half(self.span[1] - at))
        if share <= 0:
            return
        if self.coming == "growing":
            self.look.draw(canvas, self.place, share)
            return
        away, (x, y) = (1 - share) ** 2, self.place
        if self.coming == "side":
            outside = -self.look.size if x < canvas.aspect / 2 else canvas.aspect + self.look.size
            x += (outside - x) * away
        elif self.coming == "above":
            y += (-self.look.size - y) * away
        self.look.draw(canvas, (x, y))

    def _half(self, since: float) -> float:
        if self.coming == "at once":
            return 1.0 if since >= 0 else 0.0
        return min(1.0, max(0.0, since / self.takes + 0.5))


@dataclass(frozen=True, slots=True)
class Gallery:
    """Things that come and go."""

    appearances: tuple[Appearance, ...]

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return tuple(one.look.colour for one in self.appearances)

    def draw(self, canvas: Canvas, at: float) -> None:
        for one in self.appearances:
            one.draw(canvas, at)


@dataclass(frozen=True, slots=True)
class Counting:
    """A hand that shows a number of fingers in each span; between spans it is not there.

    When it comes from below it has come at its span's begin, as nobody can count its fingers before.
    """

    hand: Hand
    shown: tuple[tuple[tuple[int, ...], Span], ...]
    rises: float  # ticks that it takes to come from below; 0 is at once

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.hand.colours

    def draw(self, canvas: Canvas, at: float) -> None:
        for number, (stretched, (start, stop)) in enumerate(self.shown):
            follows = number > 0 and self.shown[number - 1][1][1] == start
            if start - (0.0 if follows else self.rises) <= at < stop:
                down = max(0.0, start - at) / self.rises if self.rises else 0.0
                self.hand.draw(canvas, stretched, 0.8 * down)


def draw_appearance(rng: random.Random, aspect: float, colour: str, span: Span, taken: list[Appearance]) -> Appearance:
    """A thing of ``colour``, where it hides as little as possible of those that were ``taken`` before."""
    look = Look.drawn(rng, shade(rng, colour))
    margin = look.size * 0.8

    def free(place: Point) -> float:
        gaps = (math.dist(place, other.place) - other.look.size - look.size for other in taken)
        return min(0.0, min(gaps, default=0.0))

    places = [
        (rng.uniform(margin, aspect - margin), rng.uniform(margin, 1 - margin)) for _ in range(12 if taken else 1)
    ]
    coming = rng.choice(("at once", "at once", "growing", "side", "above"))
    return Appearance(colour, look, max(places, key=free), span, coming, rng.uniform(1.0, 3.0))


def other_colour(rng: random.Random, than: str) -> str:
    """Any colour but ``than``."""
    assert than in BASE
    return rng.choice([colour for colour in COLOURS if colour != than])
