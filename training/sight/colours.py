"""The ordinary colour words that nano knows by sight, and how each varies from thing to thing."""

from __future__ import annotations

import colorsys
import math
import random

Rgb = tuple[int, int, int]

# Neighbours (gold and yellow, violet and purple and blue) lie far enough apart for the variation that `shade` adds.
BASE: dict[str, Rgb] = {
    "red": (208, 28, 32),
    "green": (36, 150, 52),
    "blue": (28, 66, 205),
    "yellow": (248, 230, 36),
    "white": (244, 244, 242),
    "black": (20, 20, 22),
    "purple": (122, 24, 122),
    "orange": (246, 122, 16),
    "pink": (248, 150, 186),
    "brown": (110, 64, 30),
    "grey": (128, 128, 128),
    "turquoise": (48, 204, 196),
    "gold": (196, 148, 44),
    "violet": (146, 92, 226),
}
COLOURS = tuple(BASE)
_UNHUED = {"white": 0.04, "black": 0.05, "grey": 0.08}  # colours without a hue vary in brightness alone


def shade(rng: random.Random, colour: str) -> Rgb:
    """One thing's shade of a colour word: a little other hue, saturation and brightness."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in BASE[colour]))
    if colour in _UNHUED:
        value += rng.uniform(-1, 1) * _UNHUED[colour]
        hue, saturation = rng.random(), rng.uniform(0, 0.03)
    else:
        hue += rng.uniform(-0.014, 0.014)
        saturation *= rng.uniform(0.9, 1.05)
        value *= rng.uniform(0.93, 1.05)
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(1.0, saturation), min(1.0, max(0.0, value)))
    return round(red * 255), round(green * 255), round(blue * 255)


def lit(colour: Rgb, gain: float) -> Rgb:
    """The colour in more light (``gain`` > 1: towards white) or less (< 1: towards black)."""
    if gain <= 1.0:
        red, green, blue = (round(channel * gain) for channel in colour)
    else:
        red, green, blue = (round(255 - (255 - channel) * max(0.0, 2.0 - gain)) for channel in colour)
    return red, green, blue


def apart(one: Rgb, other: Rgb) -> float:
    """How unlike two colours look, roughly: 0 the same, above 100 plainly different (weighted RGB, "redmean")."""
    mean = (one[0] + other[0]) / 2
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return math.sqrt((2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2)


def dull(rng: random.Random) -> Rgb:
    """A wall's, a floor's or a piece of furniture's colour: of little saturation."""
    saturation = rng.choice((0.0, rng.uniform(0.0, 0.15), rng.uniform(0.1, 0.26)))
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.15, 0.92))
    return round(red * 255), round(green * 255), round(blue * 255)


def unlike(rng: random.Random, others: tuple[Rgb, ...], least: float = 150.0) -> Rgb:
    """A dull colour before which all of ``others`` can be seen; the most unlike one of 24 when none is that unlike."""
    drawn = [dull(rng) for _ in range(24)]
    distances = [min((apart(colour, other) for other in others), default=least) for colour in drawn]
    for colour, distance in zip(drawn, distances, strict=True):
        if distance >= least:
            return colour
    return drawn[distances.index(max(distances))]
