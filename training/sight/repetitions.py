"""What is done again and again and can be counted: exercises of a figure, and a few things that bounce and swing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from training.sight.canvas import Canvas, Point
from training.sight.colours import COLOURS, Rgb, lit, shade
from training.sight.figure import HIP, TORSO, Body, Pose

Posed = Callable[[float, float, bool], Pose]  # of how far the repetition is (0 to 1), how deep (0 to 1), seen aside


class Mover(Protocol):
    """Something that repeats: ``phase`` runs from 0 to 1 in a repetition and is 0 at rest, where both look the same."""

    @property
    def colours(self) -> tuple[Rgb, ...]:
        """What must stand out from the ground."""

    def draw(self, canvas: Canvas, phase: float) -> None:
        """Draw it at ``phase``."""


def _squat(_: float, deep: float, side: bool) -> Pose:
    if side:
        feet = ((-0.02, 0.0), (0.02, 0.0))
        arms = ((0.1 + 1.4 * deep,) * 2,) * 2
        return Pose(True, (-0.14 * deep, HIP - 0.22 * deep), 0.65 * deep, arms, feet=feet)
    return Pose(False, (0.0, HIP - 0.01 - 0.23 * deep), arms=((0.15 + deep, 0.15 + 1.2 * deep),) * 2, feet=_feet(0.1))


def _raise(_: float, deep: float, side: bool) -> Pose:
    return Pose(side, arms=((0.12 + 2.8 * deep,) * 2,) * 2, feet=((-0.02, 0.0), (0.02, 0.0)) if side else _feet(0.07))


def _one_raise(_: float, deep: float, side: bool) -> Pose:
    return Pose(side, arms=((0.12, 0.12), (0.12 + 2.7 * deep,) * 2), feet=_feet(0.02 if side else 0.07))


def _jack(_: float, deep: float, side: bool) -> Pose:
    return Pose(False, (0.0, HIP - 0.04 * deep), arms=((0.12 + 2.6 * deep,) * 2,) * 2, feet=_feet(0.06 + 0.15 * deep))


def _jump(phase: float, _: float, side: bool) -> Pose:
    """A crouch, the flight, the landing."""
    flight = (phase - 0.28) / 0.52
    lift = 0.72 * flight * (1 - flight) if 0 < flight < 1 else 0.0
    crouch = math.sin(math.pi * phase / 0.28) if phase < 0.28 else max(0.0, math.sin(math.pi * (phase - 0.8) / 0.2))
    arms = ((0.15 + 9 * lift,) * 2,) * 2 if lift else ((0.15, 0.15),) * 2
    hip = (-0.08 * crouch if side else 0.0, HIP - 0.13 * crouch)
    return Pose(side, hip, 0.4 * crouch if side else 0.0, arms, feet=_feet(0.02 if side else 0.07), lift=lift)


def _kick(_: float, deep: float, side: bool) -> Pose:
    angle = 0.06 + 1.45 * deep
    foot = (0.49 * math.sin(angle) + (0.0 if side else 0.03), HIP - 0.49 * math.cos(angle))
    arms = ((0.15, 0.15), (0.15 + 0.3 * deep,) * 2)
    return Pose(side, lean=-0.15 * deep if side else 0.0, arms=arms, feet=((-0.04, 0.0), foot))


def _knee(_: float, deep: float, side: bool) -> Pose:
    foot = (0.04 + (0.14 * deep if side else 0.05 * deep), 0.3 * deep)
    return Pose(side, arms=((0.15 + 0.5 * deep, 0.4 + 0.8 * deep), (0.15, 0.3)), feet=((-0.04, 0.0), foot))


def _push_up(_: float, deep: float, side: bool) -> Pose:
    rise = 0.36 - 0.28 * deep  # the angle between body and floor
    foot = (-0.42, 0.03)
    hip = (foot[0] + 0.49 * math.cos(rise), foot[1] + 0.49 * math.sin(rise))
    hand = (foot[0] + (0.49 + TORSO) * math.cos(0.36), 0.02)
    return Pose(True, hip, math.pi / 2 - rise, hands=(hand, hand), feet=(foot, foot))


def _clap(_: float, deep: float, side: bool) -> Pose:
    out = 0.3 * (1 - deep) + 0.015
    return Pose(False, hands=((-out, 0.72 - 0.05 * deep), (out, 0.72 - 0.05 * deep)))


def _wave(phase: float, _: float, side: bool) -> Pose:
    sway = math.sin(math.tau * phase)
    return Pose(False, arms=((0.12, 0.12), (1.9 + 0.15 * sway, 2.6 + 0.85 * sway)))


def _bow(_: float, deep: float, side: bool) -> Pose:
    return Pose(True, (-0.05 * deep, HIP), 1.35 * deep, ((0.1, 0.1),) * 2, feet=((-0.01, 0.0), (0.03, 0.0)))


def _lunge(_: float, deep: float, side: bool) -> Pose:
    feet = ((-0.02 - 0.18 * deep, 0.0), (0.02 + 0.26 * deep, 0.0))
    return Pose(True, (0.0, HIP - 0.17 * deep), arms=((0.1, 0.4),) * 2, feet=feet)


def _feet(apart: float) -> tuple[Point, Point]:
    return (-apart, 0.0), (apart, 0.0)


@dataclass(frozen=True, slots=True)
class Exercise:
    """A figure's countable action: its name, its poses, how high it reaches (body heights), where it is seen from."""

    words: tuple[str, ...]
    pose: Posed
    reach: float
    sides: tuple[bool, ...]


EXERCISES = (
    Exercise(("squats",), _squat, 1.0, (False, True)),
    Exercise(("arm", "raises"), _raise, 1.14, (False, True)),
    Exercise(("arm", "raises"), _one_raise, 1.14, (False,)),
    Exercise(("jumping", "jacks"), _jack, 1.14, (False,)),
    Exercise(("jumps",), _jump, 1.2, (False, True)),
    Exercise(("kicks",), _kick, 1.0, (False, True)),
    Exercise(("knee", "lifts"), _knee, 1.0, (False, True)),
    Exercise(("push-ups",), _push_up, 1.0, (True,)),
    Exercise(("claps",), _clap, 1.0, (False,)),
    Exercise(("waves",), _wave, 1.14, (False,)),
    Exercise(("bows",), _bow, 1.0, (True,)),
    Exercise(("lunges",), _lunge, 1.0, (True,)),
)


@dataclass(frozen=True, slots=True)
class Athlete:
    """A figure that does an exercise."""

    body: Body
    exercise: Exercise
    side: bool
    hold: float  # 1 goes down and up evenly, more stays longer at the deepest

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float, exercise: Exercise) -> Athlete:
        body = Body.drawn(rng, aspect, exercise.reach)
        return cls(body, exercise, rng.choice(exercise.sides), rng.choice((1.0, 1.0, 1.4)))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.body.colours

    def pose(self, phase: float) -> Pose:
        deep = min(1.0, self.hold * math.sin(math.pi * phase) ** 2)
        return self.exercise.pose(phase, deep, self.side)

    def draw(self, canvas: Canvas, phase: float) -> None:
        self.body.draw(canvas, self.pose(phase))


@dataclass(frozen=True, slots=True)
class Bouncer:
    """A ball on the floor that flies up and comes down again."""

    floor: Point
    high: float
    radius: float
    colour: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Bouncer:
        floor = rng.uniform(0.75, 0.97)
        radius = rng.uniform(0.07, 0.15)
        high = rng.uniform(0.35, max(0.36, floor - 2 * radius - 0.02))
        return cls((rng.uniform(0.2, 0.8) * aspect, floor), high, radius, shade(rng, rng.choice(COLOURS)))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.colour,)

    def draw(self, canvas: Canvas, phase: float) -> None:
        x, floor = self.floor
        canvas.disc((x, floor), self.radius, lit(self.colour, 0.4), 0.2)
        centre = (x, floor - self.radius - self.high * 4 * phase * (1 - phase))
        canvas.disc(centre, self.radius, self.colour)
        canvas.disc((x - self.radius * 0.3, centre[1] - self.radius * 0.3), self.radius * 0.35, lit(self.colour, 1.4))


@dataclass(frozen=True, slots=True)
class Pendulum:
    """A weight on a string that swings from one side over to the other and back."""

    top: Point
    length: float
    wide: float  # radians to each side
    radius: float
    colour: Rgb
    string: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Pendulum:
        top = (rng.uniform(0.42, 0.58) * aspect, rng.uniform(-0.02, 0.2))
        colour = shade(rng, rng.choice(COLOURS))
        wide = rng.uniform(0.35, 0.75) * rng.choice((-1, 1))
        return cls(top, rng.uniform(0.45, 0.65), wide, rng.uniform(0.06, 0.12), colour, lit(colour, 0.7))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.colour,)

    def draw(self, canvas: Canvas, phase: float) -> None:
        angle = self.wide * math.cos(math.tau * phase)
        at = (self.top[0] + self.length * math.sin(angle), self.top[1] + self.length * math.cos(angle))
        canvas.capsule(self.top, at, 0.012, self.string)
        canvas.disc(self.top, 0.025, self.string)
        canvas.disc(at, self.radius, self.colour)


@dataclass(frozen=True, slots=True)
class Hammer:
    """A hammer on a hinge that strikes down and is raised again."""

    hinge: Point
    length: float
    facing: int
    head: Rgb
    handle: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float) -> Hammer:
        length, facing = rng.uniform(0.45, 0.6), rng.choice((-1, 1))
        hinge = (aspect / 2 - facing * length / 2, rng.uniform(0.65, 0.85))
        return cls(hinge, length, facing, shade(rng, rng.choice(COLOURS)), shade(rng, rng.choice(COLOURS)))

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.head, self.handle

    def draw(self, canvas: Canvas, phase: float) -> None:
        angle = 1.15 * math.cos(math.pi * phase) ** 2  # above level
        x, y = self.hinge
        end = (x + self.facing * self.length * math.cos(angle), y - self.length * math.sin(angle))
        block = x + self.facing * self.length
        canvas.box(block - 0.1, y + 0.07, block + 0.1, y + 0.4, lit(self.handle, 0.7))
        canvas.capsule(self.hinge, end, 0.025, self.handle)
        across = (0.09 * math.sin(angle) * self.facing, 0.09 * math.cos(angle))
        canvas.capsule(
            (end[0] - across[0], end[1] - across[1]), (end[0] + across[0], end[1] + across[1]), 0.05, self.head
        )


def draw_mover(rng: random.Random, aspect: float) -> tuple[Mover, tuple[str, ...]]:
    """Something that repeats, and what its repetitions are called."""
    if rng.random() < 0.75:
        exercise = rng.choice(EXERCISES)
        return Athlete.drawn(rng, aspect, exercise), exercise.words
    drawn = rng.randrange(3)
    if drawn == 0:
        return Bouncer.drawn(rng, aspect), ("bounces",)
    if drawn == 1:
        return Pendulum.drawn(rng, aspect), ("swings",)
    return Hammer.drawn(rng, aspect), ("strikes",)
