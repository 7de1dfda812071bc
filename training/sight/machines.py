"""What moves for a while and then stands still: wheels, fans, swings, cars, walkers, lamps, flags, mixers."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Protocol

from training.sight.canvas import Canvas, Point, turned
from training.sight.colours import COLOURS, Rgb, lit, shade
from training.sight.figure import HIP, Body, Pose


class Machine(Protocol):
    """Something that can be in motion. ``moved`` is how many seconds it has been so far; it stands while that stays."""

    @property
    def colours(self) -> tuple[Rgb, ...]:
        """What must stand out from the ground."""

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        """Draw it after it has moved for so long."""


def _colour(rng: random.Random) -> Rgb:
    return shade(rng, rng.choice(COLOURS))


@dataclass(frozen=True, slots=True)
class Rotor:
    """Spokes or blades that turn around a hub: a wheel with a rim, or a fan or windmill on a post."""

    hub: Point
    radius: float
    spokes: int
    speed: float  # radians a second
    rim: bool
    colour: Rgb
    post: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float, rim: bool) -> Rotor:
        radius = rng.uniform(0.22, 0.36) * min(1.0, aspect)
        hub = (rng.uniform(radius, max(radius, aspect - radius)), rng.uniform(radius + 0.02, 0.55))
        spokes = rng.randint(3, 5)
        # A tick moves it by well less than half of what brings it back onto itself: its sense can be seen.
        speed = rng.uniform(0.12, 0.36) * math.tau / spokes * 5 * rng.choice((-1, 1))
        return cls(hub, radius, spokes, speed, rim, _colour(rng), _colour(rng))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.colour,)

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        x, y = self.hub
        if not self.rim:
            canvas.capsule(self.hub, (x, 1.1), 0.03, self.post)
        else:
            rim = [(x + self.radius * math.cos(a), y + self.radius * math.sin(a)) for a in _ROUND]
            canvas.path(rim, 0.025, self.colour)
        for spoke in range(self.spokes):
            angle = self.speed * moved + math.tau * spoke / self.spokes
            if self.rim:
                end = (x + self.radius * math.cos(angle), y + self.radius * math.sin(angle))
                canvas.capsule(self.hub, end, 0.02, self.colour)
            else:
                canvas.polygon(turned(_BLADE, angle, self.radius, self.hub), self.colour)
        canvas.disc(self.hub, 0.05, lit(self.colour, 0.6))


_ROUND = [math.tau * n / 16 for n in range(17)]
_BLADE: list[Point] = [(0.0, -0.08), (0.5, -0.26), (0.95, -0.22), (1.0, 0.0), (0.5, 0.08), (0.0, 0.08)]


@dataclass(frozen=True, slots=True)
class Swing:
    """A seat on two ropes below a beam."""

    top: Point
    length: float
    wide: float
    pace: float
    seat: Rgb
    frame: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Swing:
        top = (rng.uniform(0.4, 0.6) * aspect, rng.uniform(0.05, 0.15))
        return cls(
            top, rng.uniform(0.5, 0.68), rng.uniform(0.4, 0.7), rng.uniform(2.6, 5.0), _colour(rng), _colour(rng)
        )

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.seat, self.frame

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        angle = self.wide * math.sin(self.pace * moved) * min(1.0, 3 * moved)
        x, y = self.top
        canvas.capsule((x - 0.42, y), (x + 0.42, y), 0.02, self.frame)
        for side in (-1, 1):
            canvas.capsule((x + side * 0.42, y), (x + side * 0.5, 0.98), 0.02, self.frame)
        at = (x + self.length * math.sin(angle), y + self.length * math.cos(angle))
        across = (0.14 * math.cos(angle), -0.14 * math.sin(angle))
        for side in (-1, 1):
            end = (at[0] + side * across[0], at[1] + side * across[1])
            canvas.capsule((x + side * 0.12, y), end, 0.01, self.frame)
        canvas.capsule((at[0] - across[0], at[1] - across[1]), (at[0] + across[0], at[1] + across[1]), 0.04, self.seat)


@dataclass(frozen=True, slots=True)
class Car:
    """A car, a bus or a train's carriage that drives to the other side and, when there, back again."""

    left: float
    right: float
    floor: float
    size: float
    speed: float
    high: float
    colour: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Car:
        size = rng.uniform(0.28, 0.4) * min(1.0, aspect)
        ends = [size * 0.6, aspect - size * 0.6]
        if rng.random() < 0.5:
            ends.reverse()
        speed = rng.uniform(0.15, 0.4)
        return cls(ends[0], ends[1], rng.uniform(0.65, 0.95), size, speed, rng.uniform(0.2, 0.45), _colour(rng))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.colour,)

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        way = abs(self.right - self.left)
        gone = self.speed * moved % (2 * way)
        share = gone / way if gone < way else 2 - gone / way
        x, size = self.left + (self.right - self.left) * share, self.size
        y = self.floor - size * 0.12
        canvas.box(x - size * 0.55, y - size * 0.28, x + size * 0.55, y, self.colour)
        roof = y - size * (0.28 + self.high)
        canvas.polygon(((x - size * 0.4, y - size * 0.27), (x - size * 0.28, roof), (x + size * 0.28, roof),
                        (x + size * 0.4, y - size * 0.27)), lit(self.colour, 0.85))  # fmt: skip
        canvas.box(x - size * 0.22, roof + size * 0.06, x + size * 0.22, y - size * 0.28, (190, 215, 230))
        for side in (-0.32, 0.32):
            hub, turn = (x + side * size, y), x / (size * 0.13)
            canvas.disc(hub, size * 0.13, (25, 25, 28))
            spoke = (size * 0.1 * math.cos(turn), size * 0.1 * math.sin(turn))
            canvas.capsule(
                (hub[0] - spoke[0], hub[1] - spoke[1]), (hub[0] + spoke[0], hub[1] + spoke[1]), 0.008, (200,) * 3
            )


@dataclass(frozen=True, slots=True)
class Walker:
    """A figure that walks with swinging arms and legs: to and fro, or on the spot, before a camera that goes along."""

    body: Body
    pace: float
    speed: float  # world units a second; 0 is on the spot
    ways: tuple[float, float]  # where it turns round, x

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Walker:
        body = Body.drawn(rng, aspect, 1.0)
        ways = (min(0.15, body.foot[0]), max(aspect - 0.15, body.foot[0]))
        return cls(body, rng.uniform(4.0, 8.0), rng.choice((0.0, rng.uniform(0.1, 0.3))), ways)

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.body.colours

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        body = self._placed(moved)
        if not moving:
            body.draw(canvas, Pose(True, arms=((0.05, 0.1), (0.05, 0.1)), feet=((-0.02, 0.0), (0.02, 0.0))))
            return
        swing, raised = math.sin(self.pace * moved), math.cos(self.pace * moved)
        feet = ((-0.17 * swing, 0.08 * max(0.0, -raised)), (0.17 * swing, 0.08 * max(0.0, raised)))
        arms = ((0.6 * swing, 0.6 * swing + 0.3), (-0.6 * swing, -0.6 * swing + 0.3))
        body.draw(canvas, Pose(True, (0.0, HIP - 0.03), 0.08, arms, feet=feet))

    def _placed(self, moved: float) -> Body:
        """The body where it has walked to, looking where it goes."""
        (left, right), start = self.ways, self.body.foot[0]
        way = right - left
        if not self.speed or way < 0.1:
            return self.body
        begun = right - start + way if self.body.mirrored else start - left
        gone = (begun + self.speed * moved) % (2 * way)
        x = left + gone if gone < way else right - (gone - way)
        return replace(self.body, foot=(x, self.body.foot[1]), mirrored=gone >= way)


@dataclass(frozen=True, slots=True)
class Lamp:
    """A lamp that blinks: on first, then off and on."""

    at: Point
    radius: float
    half: float  # seconds that it is on, and off
    colour: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Lamp:
        at = (rng.uniform(0.25, 0.75) * aspect, rng.uniform(0.25, 0.6))
        colour = shade(rng, rng.choice([c for c in COLOURS if c not in ("black", "grey", "brown")]))
        return cls(at, rng.uniform(0.1, 0.22), rng.choice((0.2, 0.3, 0.4)), colour)

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.colour, lit(self.colour, 0.3)

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        x, y = self.at
        canvas.box(x - 0.05, y, x + 0.05, 1.1, (60, 60, 66))
        canvas.disc(self.at, self.radius * 1.15, (60, 60, 66))
        lighted = moving and int(moved / self.half) % 2 == 0
        canvas.disc(self.at, self.radius, self.colour if lighted else lit(self.colour, 0.3))
        if lighted:
            canvas.disc(self.at, self.radius * 0.6, lit(self.colour, 1.5))


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag on a pole: it hangs, and waves in the wind."""

    top: Point
    size: float
    pace: float
    colour: Rgb
    pole: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Flag:
        size = rng.uniform(0.4, 0.6) * min(1.0, aspect)
        top = (rng.uniform(0.08, max(0.1, aspect - size - 0.05)), rng.uniform(0.08, 0.2))
        return cls(top, size, rng.uniform(4.0, 8.0), _colour(rng), _colour(rng))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.colour,)

    def draw(self, canvas: Canvas, moved: float, moving: bool) -> None:
        (x, y), size = self.top, self.size
        canvas.capsule((x, y - 0.03), (x, 1.1), 0.018, self.pole)
        if not moving:
            canvas.polygon(
                ((x, y), (x + size * 0.22, y + size * 0.2), (x + size * 0.16, y + size), (x, y + size * 0.6)),
                self.colour,
            )
            return
        upper = [(x + size * s / 6, y + 0.1 * size * math.sin(self.pace * moved - s) * s / 3) for s in range(7)]
        canvas.polygon([*upper, *((px, py + size * 0.55) for px, py in reversed(upper))], self.colour)


def draw_machine(rng: random.Random, aspect: float) -> tuple[Machine, tuple[str, ...]]:
    """Something that moves for a while, and the words that say that it does."""
    drawn = rng.randrange(8)
    if drawn == 0:
        return Rotor.drawn(rng, aspect, rim=True), ("the", "wheel", "turns")
    if drawn == 1:
        return Rotor.drawn(rng, aspect, rim=False), ("the", "fan", "turns")
    if drawn == 2:
        return Swing.drawn(rng, aspect), ("the", "swing", "moves")
    if drawn == 3:
        return Car.drawn(rng, aspect), ("the", "car", "drives")
    if drawn in (4, 5):
        return Walker.drawn(rng, aspect), ("the", "person", "walks")
    if drawn == 6:
        return Lamp.drawn(rng, aspect), ("the", "lamp", "blinks")
    return Flag.drawn(rng, aspect), ("the", "flag", "waves")
