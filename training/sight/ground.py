"""Surroundings: plain, graded, patterned, mottled, or a room; drawn once a show, a margin larger than what is seen."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.sight.canvas import SIZE
from training.sight.colours import Rgb, lit, unlike

MARGIN = 0.08  # of the world's height, on each side


def ground(rng: random.Random, aspect: float, foreground: tuple[Rgb, ...]) -> Image.Image:
    """Surroundings, RGB, on which ``foreground`` colours stand out."""
    wide = round(SIZE[0] * (aspect + 2 * MARGIN) / aspect)
    size = (wide, round(SIZE[1] * (1 + 2 * MARGIN)))
    base = unlike(rng, foreground)
    drawn = rng.random()
    if drawn < 0.18:
        return Image.new("RGB", size, base)
    if drawn < 0.36:
        return _graded(rng, size, base)
    if drawn < 0.50:
        return _patterned(rng, size, base)
    if drawn < 0.62:
        return _mottled(rng, size, base)
    return _room(rng, size, base, foreground)


def _graded(rng: random.Random, size: tuple[int, int], base: Rgb) -> Image.Image:
    far = np.array(lit(base, rng.choice((rng.uniform(0.6, 0.85), rng.uniform(1.1, 1.3)))), dtype=np.float32)
    share = np.linspace(0, 1, size[1])[:, None] if rng.random() < 0.5 else np.linspace(0, 1, size[0])[None, :]
    field = np.asarray(base) + (far - np.asarray(base)) * np.broadcast_to(share, size[::-1])[..., None]
    return Image.fromarray(np.asarray(field, dtype=np.uint8))


def _patterned(rng: random.Random, size: tuple[int, int], base: Rgb) -> Image.Image:
    """Stripes, tiles or dots of nearly the same colour."""
    image = Image.new("RGB", size, base)
    draw, other, step = ImageDraw.Draw(image), lit(base, rng.choice((0.78, 0.87, 1.12, 1.2))), rng.randint(14, 44)
    kind = rng.randrange(3)
    for left in range(0, size[0], step):
        if kind == 0:
            draw.rectangle((left, 0, left + step // 2, size[1]), other)
            continue
        for top in range(0, size[1], step):
            if kind == 1:
                draw.rectangle((left, top, left + step - 3, top + step - 3), other)
            else:
                draw.ellipse((left, top, left + step // 2, top + step // 2), other)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


def _mottled(rng: random.Random, size: tuple[int, int], base: Rgb) -> Image.Image:
    """Plaster, grass, cloth: blurred noise."""
    generator = np.random.default_rng(rng.randrange(2**32))
    coarse = rng.choice((3, 6, 12))
    noise = generator.normal(0, rng.uniform(8, 22), (size[1] // coarse + 2, size[0] // coarse + 2, 1))
    field = np.clip(np.asarray(base) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(field).resize(size, Image.Resampling.BICUBIC)


def _room(rng: random.Random, size: tuple[int, int], wall: Rgb, foreground: tuple[Rgb, ...]) -> Image.Image:
    """Wall, floor, and some of window, door, picture, shelf and cupboard."""
    width, height = size
    image = Image.new("RGB", size, wall)
    draw, floor = ImageDraw.Draw(image), round(height * rng.uniform(0.62, 0.85))
    for _ in range(rng.randint(0, 3)):
        _hang(rng, draw, width, floor, foreground)
    draw.rectangle((0, floor, width, height), unlike(rng, foreground))
    draw.rectangle((0, floor, width, floor + rng.randint(1, 4)), lit(wall, 0.7))
    for _ in range(rng.randint(0, 2)):
        _stand(rng, draw, width, floor, foreground)
    return image.filter(ImageFilter.BoxBlur(1)) if rng.random() < 0.4 else image


def _hang(rng: random.Random, draw: ImageDraw.ImageDraw, width: int, floor: int, foreground: tuple[Rgb, ...]) -> None:
    """A window or a picture on the wall."""
    left, top = rng.randrange(width), rng.randrange(floor // 2)
    right, bottom = left + rng.randint(20, 70), top + rng.randint(20, max(21, floor // 2))
    frame = unlike(rng, foreground, 110)
    draw.rectangle((left, top, right, bottom), frame)
    inside = unlike(rng, foreground, 110)
    draw.rectangle((left + 3, top + 3, right - 3, bottom - 3), inside)
    if rng.random() < 0.5:
        middle = (left + right) // 2
        draw.rectangle((middle - 1, top, middle + 1, bottom), frame)
        draw.rectangle((left, (top + bottom) // 2 - 1, right, (top + bottom) // 2 + 1), frame)


def _stand(rng: random.Random, draw: ImageDraw.ImageDraw, width: int, floor: int, foreground: tuple[Rgb, ...]) -> None:
    """A cupboard, a table or a shelf on the floor."""
    left, wide, high = rng.randrange(-20, width), rng.randint(30, 80), rng.randint(20, 70)
    colour, bottom = unlike(rng, foreground, 110), floor + rng.randint(2, 14)
    if rng.random() < 0.5:
        draw.rectangle((left, bottom - high, left + wide, bottom), colour)
        for shelf in range(bottom - high + 8, bottom, rng.randint(10, 18)):
            draw.line((left, shelf, left + wide, shelf), lit(colour, 0.75), 2)
        return
    draw.rectangle((left, bottom - high, left + wide, bottom - high + 5), colour)
    for leg in (left + 3, left + wide - 6):
        draw.rectangle((leg, bottom - high, leg + 3, bottom), lit(colour, 0.8))
