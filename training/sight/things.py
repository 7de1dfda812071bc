"""Coloured things: balls, boxes, cups and so on, flat or shaded, of one colour each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from training.sight.canvas import Canvas, Point, regular, turned
from training.sight.colours import Rgb, lit

Outline = list[Point]
_SQUARE: Outline = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
_STAR: Outline = [
    (radius * math.sin(math.pi * n / 5), -radius * math.cos(math.pi * n / 5))
    for n, radius in enumerate((1.0, 0.45) * 5)
]
_HEART: Outline = [
    (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
    for t in (math.tau * n / 28 for n in range(28))
]


@dataclass(frozen=True, slots=True)
class Look:
    """How one thing looks: about ``size`` (its radius, world units) around where it is drawn."""

    name: str
    colour: Rgb
    size: float
    angle: float
    shaded: bool

    @classmethod
    def drawn(cls, rng: random.Random, colour: Rgb) -> Look:
        size = rng.choice((rng.uniform(0.1, 0.2), rng.uniform(0.15, 0.34)))
        return cls(rng.choice(NAMES), colour, size, rng.uniform(-0.35, 0.35), rng.random() < 0.6)

    def draw(self, canvas: Canvas, at: Point, size: float = 1.0) -> None:
        """Draw it around ``at``, ``size`` times as large as it is."""
        if size > 0.05:
            _DRAWN[self.name](canvas, self, at, self.size * size)


def _ball(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    if not look.shaded:
        canvas.disc(at, size, look.colour)
        return
    canvas.disc(at, size, lit(look.colour, 0.72))
    for share, light in ((0.84, 0.88), (0.66, 1.0), (0.3, 1.22)):
        shift = size * (1 - share) * 0.55
        canvas.disc((at[0] - shift, at[1] - shift), size * share, lit(look.colour, light))


def _flat(outline: Outline) -> Callable[[Canvas, Look, Point, float], None]:
    def draw(canvas: Canvas, look: Look, at: Point, size: float) -> None:
        points = turned(outline, look.angle, size, at)
        if look.shaded:  # a darker edge to the right and below: a slab
            deep = size * 0.14
            canvas.polygon([(x + deep, y + deep) for x, y in points], lit(look.colour, 0.65))
        canvas.polygon(points, look.colour)

    return draw


def _box(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    front = turned(_SQUARE, look.angle / 3, size * 0.9, at)
    if look.shaded:
        deep = (size * 0.4, -size * 0.35)
        back = [(x + deep[0], y + deep[1]) for x, y in front]
        canvas.polygon((front[0], front[1], back[1], back[0]), lit(look.colour, 1.18))
        canvas.polygon((front[1], front[2], back[2], back[1]), lit(look.colour, 0.7))
    canvas.polygon(front, look.colour)


def _cup(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    x, y = at
    canvas.disc((x + size * 0.75, y), size * 0.42, lit(look.colour, 0.85))
    canvas.disc((x + size * 0.75, y), size * 0.22, lit(look.colour, 0.4))
    foot = size * 0.6
    outline = ((x - size * 0.75, y - size * 0.8), (x + size * 0.75, y - size * 0.8), (x + foot, y + size * 0.85))
    canvas.polygon((*outline, (x - foot, y + size * 0.85)), look.colour)
    if look.shaded:
        outline = ((x + size * 0.35, y - size * 0.8), (x + size * 0.75, y - size * 0.8), (x + foot, y + size * 0.85))
        canvas.polygon((*outline, (x + size * 0.25, y + size * 0.85)), lit(look.colour, 0.8))
    canvas.disc((x, y - size * 0.8), size * 0.75, lit(look.colour, 0.6), 0.25)


def _ring(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    points = [(at[0] + size * 0.8 * x, at[1] + size * 0.8 * y) for x, y in (*regular(16), regular(16)[0])]
    canvas.path(points, size * 0.2, look.colour)


def _bottle(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    x, y = at
    canvas.box(x - size * 0.16, y - size, x + size * 0.16, y, look.colour)
    canvas.capsule((x, y - size * 0.1), (x, y + size * 0.6), size * 0.42, look.colour)
    canvas.box(x - size * 0.2, y - size * 1.1, x + size * 0.2, y - size * 0.85, lit(look.colour, 0.7))
    if look.shaded:
        canvas.capsule((x - size * 0.2, y), (x - size * 0.2, y + size * 0.5), size * 0.08, lit(look.colour, 1.3))


def _balloon(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    x, y = at
    canvas.path(((x, y + size), (x + size * 0.12, y + size * 1.4), (x, y + size * 1.8)), 0.008, (90, 90, 90))
    canvas.polygon(
        ((x - size * 0.15, y + size * 1.1), (x + size * 0.15, y + size * 1.1), (x, y + size * 0.8)), look.colour
    )
    canvas.disc((x, y), size * 0.85, look.colour, 1.15)
    if look.shaded:
        canvas.disc((x - size * 0.3, y - size * 0.4), size * 0.2, lit(look.colour, 1.4))


def _book(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    cover: Outline = [(-0.75, -1.0), (0.75, -1.0), (0.75, 1.0), (-0.75, 1.0)]
    pages: Outline = [(0.66, -0.92), (0.84, -0.86), (0.84, 1.08), (-0.6, 1.08), (-0.6, 0.92)]
    canvas.polygon(turned(pages, look.angle, size * 0.85, at), (225, 220, 205))
    canvas.polygon(turned(cover, look.angle, size * 0.85, at), look.colour)
    spine = [(-0.75, -1.0), (-0.6, -1.0), (-0.6, 1.0), (-0.75, 1.0)]
    canvas.polygon(turned(spine, look.angle, size * 0.85, at), lit(look.colour, 0.75))


def _shirt(canvas: Canvas, look: Look, at: Point, size: float) -> None:
    half: Outline = [(0.0, -0.72), (0.3, -0.9), (0.95, -0.55), (0.75, -0.1), (0.52, -0.25), (0.52, 0.95)]
    outline = half + [(-x, y) for x, y in reversed(half)]
    canvas.polygon(turned(outline, look.angle / 2, size, at), look.colour)


_DRAWN: dict[str, Callable[[Canvas, Look, Point, float], None]] = {
    "ball": _ball,
    "box": _box,
    "triangle": _flat(regular(3)),
    "square": _flat(_SQUARE),
    "star": _flat(_STAR),
    "heart": _flat(_HEART),
    "cup": _cup,
    "ring": _ring,
    "bottle": _bottle,
    "balloon": _balloon,
    "book": _book,
    "shirt": _shirt,
}
NAMES = tuple(_DRAWN)
