"""A hand with some fingers stretched out and the others folded on the palm."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from training.sight.canvas import Canvas, Point
from training.sight.colours import Rgb, lit

# From the wrist (0, 0), fingers upwards (y < 0), the thumb to the left; the hand is about 1 high.
_ROOTS: tuple[Point, ...] = ((-0.20, -0.22), (-0.165, -0.46), (-0.055, -0.49), (0.055, -0.47), (0.155, -0.42))
_LENGTHS = (0.31, 0.40, 0.45, 0.41, 0.33)
_ANGLES = (-1.0, -0.2, -0.04, 0.12, 0.32)  # from upwards; spread when all are stretched
_SHOWN: dict[
    int, tuple[tuple[int, ...], ...]
] = {  # which fingers people show for a number; the first ones are commonest
    0: ((),),
    1: ((1,), (1,), (0,)),
    2: ((1, 2), (1, 2), (0, 1)),
    3: ((1, 2, 3), (0, 1, 2), (2, 3, 4)),
    4: ((1, 2, 3, 4),),
    5: ((0, 1, 2, 3, 4),),
}
NUMBERS = tuple(_SHOWN)
_SKINS: tuple[Rgb, ...] = (
    (250, 220, 196), (236, 190, 154), (208, 154, 114), (168, 114, 76), (118, 76, 50), (78, 50, 36), (255, 214, 70),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hand:
    """One hand's looks and place; ``wrist`` is in the world, ``size`` how high the stretched hand is there."""

    wrist: Point
    size: float
    angle: float
    mirrored: bool
    thick: float
    spread: float
    skin: Rgb
    sleeve: Rgb

    @classmethod
    def drawn(cls, rng: random.Random, aspect: float, sleeve: Rgb) -> Hand:
        size = rng.uniform(0.5, 0.95) * min(1.0, aspect)
        angle = rng.uniform(-0.4, 0.4)
        middle = (aspect * rng.uniform(0.4, 0.6), rng.uniform(0.46, 0.54))
        wrist = (middle[0] - math.sin(angle) * size * 0.45, middle[1] + math.cos(angle) * size * 0.45)
        thick, spread = rng.uniform(0.046, 0.056), rng.uniform(1.0, 1.35)
        return cls(wrist, size, angle, rng.random() < 0.5, thick, spread, rng.choice(_SKINS), sleeve)

    @property
    def colours(self) -> tuple[Rgb, ...]:
        return (self.skin,)

    def draw(self, canvas: Canvas, stretched: tuple[int, ...], down: float = 0.0) -> None:
        """Draw it with these fingers (0 the thumb … 4 the little one) stretched, ``down`` below its place."""
        radius, edge = self.thick * self.size, lit(self.skin, 0.62)
        canvas.capsule(self._at((0, 0.05), down), self._at((0, 1.2), down), 0.13 * self.size, lit(self.skin, 0.92))
        canvas.capsule(self._at((0, 0.2), down), self._at((0, 1.2), down), 0.17 * self.size, self.sleeve)
        palm = ((-0.10, -0.06), (0.10, -0.06), (0.165, -0.40), (0.0, -0.46), (-0.165, -0.42))
        for start, stop in zip(palm, (*palm[1:], palm[0]), strict=True):
            canvas.capsule(self._at(start, down), self._at(stop, down), 0.055 * self.size, self.skin)
        canvas.polygon([self._at(point, down) for point in palm], self.skin)
        for finger in range(5):
            if finger in stretched:
                self._stretch(canvas, finger, radius, down)
        for finger in (4, 3, 2, 1, 0):
            if finger not in stretched:
                self._fold(canvas, finger, radius, edge, down)

    def _stretch(self, canvas: Canvas, finger: int, radius: float, down: float) -> None:
        root, angle = _ROOTS[finger], _ANGLES[finger] * (self.spread if finger else 1.0)
        length = _LENGTHS[finger]
        tip = (root[0] + length * math.sin(angle), root[1] - length * math.cos(angle))
        start = (0.0, -0.2) if finger == 0 else (root[0] * 0.95, root[1] + 0.1)
        canvas.capsule(self._at(start, down), self._at(tip, down), radius * 1.1, self.skin, radius * 0.9)

    def _fold(self, canvas: Canvas, finger: int, radius: float, edge: Rgb, down: float) -> None:
        """A finger bent onto the palm: its knuckle and its middle joint, with a dark edge."""
        root = _ROOTS[finger]
        if finger == 0:
            start, stop = (-0.17, -0.24), (0.04, -0.33)
        else:
            start, stop = (root[0], root[1] + 0.01), (root[0] * 0.95, root[1] + 0.16)
        canvas.capsule(self._at(start, down), self._at(stop, down), radius * 1.15, edge)
        canvas.capsule(self._at(start, down), self._at(stop, down), radius * 0.8, lit(self.skin, 0.95))

    def _at(self, point: Point, down: float) -> Point:
        right = -point[0] if self.mirrored else point[0]
        cosine, sine = math.cos(self.angle) * self.size, math.sin(self.angle) * self.size
        return (
            self.wrist[0] + right * cosine - point[1] * sine,
            self.wrist[1] + right * sine + point[1] * cosine + down,
        )


def fingers(rng: random.Random, number: int) -> tuple[int, ...]:
    """Which fingers are stretched to show ``number``."""
    return rng.choice(_SHOWN[number])
