"""Flat coloured shapes on a dull ground: what nano is asked the colour of."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from services.encoder.video import HEIGHT, WIDTH
from training.script import Script

_RGB = {
    "red": (215, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 70, 210),
    "yellow": (230, 210, 40),
    "white": (240, 240, 240),
    "purple": (140, 50, 170),
}

SHAPE_COLOURS = tuple(_RGB)


def show_shapes(rng: random.Random, script: Script) -> None:
    """A picture every few ticks; now and then the colour changes."""
    every, tick, until = rng.choice((2, 3, 5)), rng.randrange(3), 0
    colour, shape = "", (0, 0, 0, 0)
    while tick < script.ticks:
        if tick >= until:
            if until:
                script.sights.append((tick, "appears"))
            colour = rng.choice(SHAPE_COLOURS)
            shape = (rng.randrange(10, 60), rng.randrange(15, 95), rng.randrange(14, 40), rng.randrange(2))
            until = tick + rng.randint(18, 45)
        script.pictures.append((tick, picture(rng, colour, shape), colour))
        tick += every


def picture(rng: random.Random, colour: str, shape: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """A shape (row, column, radius, round or square) of a colour on a dull ground, uint8 ``[80, 120, 3]``."""
    generator = np.random.default_rng(rng.randrange(2**32))
    ground = rng.uniform(20, 130)
    image = ground + generator.normal(0, 6, (HEIGHT, WIDTH, 1)) + np.linspace(-15, 15, WIDTH)[None, :, None]
    image = np.repeat(image, 3, axis=2)
    row, column, radius, square = shape
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    down, across = abs(rows - row - rng.randint(-2, 2)), abs(columns - column - rng.randint(-2, 2))
    inside = np.maximum(down, across) < radius if square else down**2 + across**2 < radius**2
    image[inside] = np.array(_RGB[colour]) * rng.uniform(0.75, 1.05) + generator.normal(0, 8, 3)
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)
