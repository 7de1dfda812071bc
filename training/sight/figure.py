"""A person of sticks or blocks: where the joints are in a pose, and how they are drawn.

A body is 1 high and stands on y = 0 with its feet around x = 0; y is *upwards* here, and `Body.draw` turns it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from training.sight.canvas import Canvas, Point
from training.sight.colours import COLOURS, Rgb, lit, shade

LEG, ARM, TORSO, HEAD = 0.25, 0.165, 0.30, 0.072  # each half of a leg and of an arm; the head's radius
HIP, SHOULDERS, HIPS = 0.5, 0.105, 0.055
_SKINS: tuple[Rgb, ...] = ((247, 212, 184), (226, 178, 142), (191, 134, 96), (141, 90, 58), (84, 54, 38))
Pair = tuple[Point, Point]


@dataclass(frozen=True, slots=True)
class Pose:
    """How a body holds itself. ``arms`` are each arm's two angles from hanging, outwards or forwards (radians)."""

    side: bool = False  # seen from the side, looking to the right; otherwise from the front
    hip: Point = (0.0, HIP)
    lean: float = 0.0  # of the torso, forwards
    arms: Pair = ((0.15, 0.15), (0.15, 0.15))
    hands: Pair | None = None  # instead of ``arms``: where the hands are
    feet: Pair = ((-0.07, 0.0), (0.07, 0.0))
    lift: float = 0.0  # all of it off the floor


def middle_joint(start: Point, stop: Point, length: float, bend: float) -> Point:
    """The knee or elbow between two ends, both halves ``length`` long; to the left of the way for ``bend`` > 0."""
    across, along = stop[0] - start[0], stop[1] - start[1]
    distance = math.hypot(across, along) or 1e-6
    out = math.sqrt(max(0.0, length**2 - (distance / 2) ** 2)) * bend
    return (
        (start[0] + stop[0]) / 2 - along / distance * out,
        (start[1] + stop[1]) / 2 + across / distance * out,
    )


@dataclass(frozen=True, slots=True)
class Joints:
    """Every joint of a posed body; limbs run from the body outwards, the left (or far) one first."""

    head: Point
    neck: Point
    hip: Point
    legs: tuple[list[Point], list[Point]]
    arms: tuple[list[Point], list[Point]]


def joints(pose: Pose) -> Joints:
    """The joints of ``pose`` in the body's units."""
    hip = (pose.hip[0], pose.hip[1] + pose.lift)
    up = (math.sin(pose.lean), math.cos(pose.lean))
    neck = (hip[0] + TORSO * up[0], hip[1] + TORSO * up[1])
    head = (neck[0] + 0.1 * up[0], neck[1] + 0.1 * up[1])
    legs, arms = [], []
    for number, outward in enumerate((-1, 1)):
        wide = 0 if pose.side else outward
        foot = (pose.feet[number][0], pose.feet[number][1] + pose.lift)
        start = (hip[0] + wide * HIPS, hip[1])
        legs.append([start, middle_joint(start, foot, LEG, 1 if pose.side else outward), foot])
        shoulder = (neck[0] + wide * SHOULDERS, neck[1] - 0.02)
        if pose.hands is not None:
            hand = (pose.hands[number][0], pose.hands[number][1] + pose.lift)
            arms.append([shoulder, middle_joint(shoulder, hand, ARM, -1 if pose.side else -outward), hand])
            continue
        arm, at = [shoulder], shoulder
        for angle in pose.arms[number]:
            forward = 1 if pose.side else outward
            at = (at[0] + forward * ARM * math.sin(angle), at[1] - ARM * math.cos(angle))
            arm.append(at)
        arms.append(arm)
    return Joints(head, neck, hip, (legs[0], legs[1]), (arms[0], arms[1]))


@dataclass(frozen=True, slots=True)
class Body:
    """A figure's looks and place: ``foot`` is where it stands in the world, ``height`` its size there."""

    foot: Point
    height: float
    mirrored: bool
    thick: float  # radius of limbs, body units; thin ones make a stick figure
    blocky: bool
    skin: Rgb
    hair: Rgb
    shirt: Rgb
    trousers: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float, reach: float) -> Body:
        """One whose head stays in the picture when it is ``reach`` times its height high (arms up, jumps)."""
        height = rng.uniform(0.62, 0.92) / reach
        floor = rng.uniform(max(height * reach + 0.02, 0.8), 0.98)
        room = max(0.0, aspect / 2 - 0.45 * height)
        foot = (aspect / 2 + rng.uniform(-room, room), floor)
        shirt, trousers = (shade(rng, rng.choice(COLOURS)) for _ in range(2))
        skin, hair = rng.choice(_SKINS), shade(rng, rng.choice(("black", "brown", "gold", "grey")))
        if rng.random() < 0.35:  # a stick figure of one colour
            skin = hair = trousers = shirt
            return cls(foot, height, rng.random() < 0.5, rng.uniform(0.016, 0.03), False, skin, hair, shirt, trousers)
        thick = rng.uniform(0.028, 0.045)
        return cls(foot, height, rng.random() < 0.5, thick, rng.random() < 0.5, skin, hair, shirt, trousers)

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return self.shirt, self.trousers, self.skin

    def draw(self, canvas: Canvas, pose: Pose) -> None:
        """Draw the body in ``pose``."""
        body = joints(pose)
        order = (0, 1)
        far = 0.8 if pose.side and self.shirt != self.skin else 1.0
        for number in order if not pose.side else (0,):
            self._leg(canvas, body.legs[number], lit(self.trousers, far), pose.side)
        if pose.side:
            self._arm(canvas, body.arms[0], far)
        self._torso(canvas, body, pose.side)
        canvas.disc(self._at(body.head), HEAD * self.height, self.skin)
        if self.hair != self.skin:
            crown = (body.head[0], body.head[1] + HEAD * 0.45)
            canvas.disc(self._at(crown), HEAD * 0.8 * self.height, self.hair, 0.7)
        if pose.side:
            self._leg(canvas, body.legs[1], self.trousers, True)
        for number in order if not pose.side else (1,):
            self._arm(canvas, body.arms[number], 1.0)

    def _at(self, point: Point) -> Point:
        right = -point[0] if self.mirrored else point[0]
        return self.foot[0] + right * self.height, self.foot[1] - point[1] * self.height

    def _leg(self, canvas: Canvas, leg: list[Point], colour: Rgb, side: bool) -> None:
        radius, foot = self.thick * self.height, leg[2]
        canvas.path([self._at(point) for point in leg], radius, colour)
        toes = (foot[0] + (0.07 if side else math.copysign(0.025, foot[0])), foot[1])
        canvas.capsule(self._at(foot), self._at(toes), radius * 0.9, lit(colour, 0.6))

    def _arm(self, canvas: Canvas, arm: list[Point], light: float) -> None:
        radius = self.thick * 0.85 * self.height
        at = [self._at(point) for point in arm]
        canvas.capsule(at[0], at[1], radius, lit(self.shirt, 0.9 * light))
        canvas.capsule(at[1], at[2], radius, lit(self.skin, light))
        canvas.disc(at[2], radius * 1.3, lit(self.skin, light))

    def _torso(self, canvas: Canvas, body: Joints, side: bool) -> None:
        hip, neck = self._at(body.hip), self._at(body.neck)
        canvas.capsule(neck, self._at(body.head), self.thick * 0.8 * self.height, self.skin)
        if side:
            canvas.capsule(neck, hip, max(self.thick * 1.6, 0.03) * self.height, self.shirt)
            return
        left, right = (self._at(arm[0]) for arm in body.arms)
        near, off = (self._at(leg[0]) for leg in body.legs)
        if self.blocky:
            canvas.polygon((left, right, off, near), self.shirt)
        else:
            canvas.capsule(neck, hip, self.thick * 1.2 * self.height, self.shirt)
        for start, stop in ((left, right), (near, off)):
            canvas.capsule(start, stop, self.thick * self.height, self.shirt)
