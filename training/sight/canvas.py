"""Shapes in the world's units on a picture's pixels: what every drawing is made of.

The world is what the camera sees: x from 0 to ``aspect`` rightwards, y from 0 to 1 downwards. Encoders squeeze whatever
a camera sends to 3:2 (services/encoder/video.py), so circles of a 4:3 or 16:9 camera arrive as ellipses here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from services.encoder.video import HEIGHT, WIDTH
from training.sight.colours import Rgb

OVERSAMPLED = 2
SIZE = (WIDTH * OVERSAMPLED, HEIGHT * OVERSAMPLED)
Point = tuple[float, float]
_CIRCLE = [(math.cos(math.tau * n / 24), math.sin(math.tau * n / 24)) for n in range(24)]
_HALF = [math.pi * (n / 6 - 0.5) for n in range(7)]


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera looks: ``aspect`` is its width over its height, the rest hands that shake."""

    aspect: float
    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def window(self, margin: float) -> tuple[float, float, float, float]:
        """What it sees of a ground that reaches ``margin`` beyond the world: shares (left, top, right, bottom)."""
        wide, high = self.aspect / self.zoom, 1 / self.zoom
        left = (self.aspect - wide) / 2 + self.right + margin
        top = (1 - high) / 2 + self.down + margin
        across, along = self.aspect + 2 * margin, 1 + 2 * margin
        return left / across, top / along, (left + wide) / across, (top + high) / along


class Canvas:
    """Draws on ``image`` what ``camera`` sees."""

    def __init__(self, image: Image.Image, camera: Camera) -> None:
        self.aspect = camera.aspect
        self._draw = ImageDraw.Draw(image)
        width, height = image.size
        self._along, self._high = width / camera.aspect * camera.zoom, height * camera.zoom
        self._left = width / 2 - self._along * (camera.aspect / 2 + camera.right)
        self._top = height / 2 - self._high * (0.5 + camera.down)

    def polygon(self, points: Iterable[Point], fill: Rgb) -> None:
        along, left, high, top = self._along, self._left, self._high, self._top
        self._draw.polygon([(left + x * along, top + y * high) for x, y in points], fill)

    def disc(self, centre: Point, radius: float, fill: Rgb, flat: float = 1.0) -> None:
        """A disc, or an ellipse ``flat`` times as high as wide."""
        x, y = centre
        self.polygon([(x + radius * right, y + radius * flat * down) for right, down in _CIRCLE], fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Rgb) -> None:
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), fill)

    def capsule(self, start: Point, stop: Point, radius: float, fill: Rgb, tip: float | None = None) -> None:
        """A limb with round ends, ``tip`` thick at its far one."""
        angle = math.atan2(stop[1] - start[1], stop[0] - start[0])
        end = radius if tip is None else tip
        points = [(stop[0] + end * math.cos(angle + a), stop[1] + end * math.sin(angle + a)) for a in _HALF]
        angle += math.pi
        points += [(start[0] + radius * math.cos(angle + a), start[1] + radius * math.sin(angle + a)) for a in _HALF]
        self.polygon(points, fill)

    def path(self, points: Sequence[Point], radius: float, fill: Rgb) -> None:
        """A bent line of round ends and joints."""
        for start, stop in pairwise(points):
            self.capsule(start, stop, radius, fill)


def turned(points: Iterable[Point], angle: float, size: float, centre: Point) -> list[Point]:
    """The points turned by ``angle`` (radians), scaled and moved to ``centre``."""
    cosine, sine = math.cos(angle) * size, math.sin(angle) * size
    return [(centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine) for x, y in points]


def regular(corners: int) -> list[Point]:
    """A regular polygon of radius 1, a corner upwards."""
    return [(math.sin(math.tau * n / corners), -math.cos(math.tau * n / corners)) for n in range(corners)]
