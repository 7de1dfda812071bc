"""From a drawn scene to what the encoder sees: surroundings, light, a shaky camera, noise, JPEG.

Only the drawing is twice as fine as what the encoder sees, so that edges are smooth: all else is done to the small
picture, and only some films are compressed. That is half of what a picture costs otherwise, and pictures are most of
what a batch costs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from services.encoder.video import HEIGHT, WIDTH, Picture, decode
from training.sight.canvas import OVERSAMPLED, SIZE, Camera, Canvas
from training.sight.colours import Rgb, dull
from training.sight.ground import MARGIN, ground

ASPECTS = (4 / 3, 4 / 3, 16 / 9, 3 / 2, 1.0, 3 / 4)
_NOISES = (1.0, 2.5, 4.5, 7.0)
_COMPRESSED = 0.4
Draw = Callable[[Canvas], None]


@dataclass(frozen=True, slots=True)
class Bar:
    """Something close to the camera that hides a part of what it sees: a post, a branch. World units."""

    left: float
    top: float
    right: float
    bottom: float
    colour: Rgb


@dataclass(frozen=True, slots=True)
class Setting:
    """How a show is filmed; drawn once, the same through the show."""

    aspect: float
    ground: Image.Image
    light: Image.Image
    shake: float  # world units that the hands move from picture to picture; 0 stands on a tripod
    noise: float
    grain: bool  # noise without colour
    quality: int  # of its JPEG; 0 leaves it as it is
    blur: float
    bars: tuple[Bar, ...]


def draw_setting(rng: random.Random, aspect: float, foreground: tuple[Rgb, ...], hidden: bool) -> Setting:
    """A setting before which things of the ``foreground`` colours can be seen; ``hidden`` allows bars before them."""
    bars: tuple[Bar, ...] = ()
    if hidden and rng.random() < 0.15:
        bars = tuple(_bar(rng, aspect) for _ in range(rng.randint(1, 2)))
    return Setting(
        aspect=aspect,
        ground=ground(rng, aspect, foreground),
        light=_light(rng),
        shake=rng.choice((0.0, 0.0, 0.002, 0.006)),
        noise=rng.choice(_NOISES),
        grain=rng.random() < 0.5,
        quality=rng.randint(55, 97) if rng.random() < _COMPRESSED else 0,
        blur=rng.choice((0.0, 0.0, 0.0, 0.5)),
        bars=bars,
    )


class Film:
    """Takes a show's pictures one after the other; the camera moves a little between them."""

    def __init__(self, setting: Setting, rng: random.Random) -> None:
        self._setting, self._rng = setting, rng
        self._zoom, self._right, self._down = rng.uniform(1.0, 1.04), 0.0, 0.0
        self._still = _seen(setting.ground, self._camera()) if not setting.shake else None

    def take(self, draw: Draw) -> Picture:
        """The picture of what ``draw`` draws before the surroundings, uint8 ``[80, 120, 3]``."""
        setting, rng = self._setting, self._rng
        self._move()
        camera = self._camera()
        image = _seen(setting.ground, camera) if self._still is None else self._still.copy()
        canvas = Canvas(image, camera)
        draw(canvas)
        for bar in setting.bars:
            canvas.box(bar.left, bar.top, bar.right, bar.bottom, bar.colour)
        image = image.reduce(OVERSAMPLED)
        if setting.blur:
            image = image.filter(ImageFilter.BoxBlur(setting.blur))
        image = ImageChops.multiply(image, setting.light)
        tile = _noise(setting.noise, setting.grain)
        left, top = rng.randrange(tile.width - WIDTH), rng.randrange(tile.height - HEIGHT)
        tile = tile.crop((left, top, left + WIDTH, top + HEIGHT))
        image = ImageChops.add(image, tile, 1.0, rng.randint(-131, -125))
        return _compressed(image, setting.quality) if setting.quality else np.asarray(image, dtype=np.uint8)

    def _move(self) -> None:
        shake, rng = self._setting.shake, self._rng
        if shake:  # a walk drawn back to the middle, so that the ground never ends
            self._right = 0.9 * self._right + rng.uniform(-shake, shake)
            self._down = 0.9 * self._down + rng.uniform(-shake, shake)
            self._zoom = 1.02 + 0.95 * (self._zoom - 1.02) + rng.uniform(-shake, shake) / 2

    def _camera(self) -> Camera:
        return Camera(self._setting.aspect, self._zoom, self._right, self._down)


def _seen(ground: Image.Image, camera: Camera) -> Image.Image:
    left, top, right, bottom = camera.window(MARGIN)
    box = (left * ground.width, top * ground.height, right * ground.width, bottom * ground.height)
    return ground.resize(SIZE, Image.Resampling.BILINEAR, box=box)


def _compressed(image: Image.Image, quality: int) -> Picture:
    """As a client sends it and the encoder reads it."""
    jpeg = BytesIO()
    image.save(jpeg, "JPEG", quality=quality)
    return decode(jpeg.getvalue())


def _light(rng: random.Random) -> Image.Image:
    """What multiplies the picture: brighter on one side, of a slightly warm or cold tone. RGB, the picture's size."""
    low, high = sorted((rng.uniform(0.8, 1.0), rng.uniform(0.88, 1.0)))
    across, down = rng.choice((-1, 0, 1)), rng.choice((-1, 0, 1))
    rows, columns = np.ogrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    share = (1 + (across * columns + down * rows) / max(1, abs(across) + abs(down))) / 2
    warm = rng.uniform(-0.04, 0.04)
    tone = np.array([1 + min(0.0, warm), 1 - abs(warm) / 3, 1 - max(0.0, warm)])
    field = (low + (high - low) * share)[..., None] * tone
    return Image.fromarray(np.asarray(field * 255, dtype=np.uint8))


@cache
def _noise(sigma: float, grain: bool) -> Image.Image:
    """Noise around 128, larger than the picture: every picture is cut from it elsewhere. Always the same."""
    generator = np.random.default_rng(17)
    noise = generator.normal(128, sigma, (HEIGHT * 2, WIDTH * 2, 1 if grain else 3))
    return Image.fromarray(np.broadcast_to(np.clip(noise, 0, 255), (*noise.shape[:2], 3)).astype(np.uint8))


def _bar(rng: random.Random, aspect: float) -> Bar:
    at, thick, colour = rng.random(), rng.uniform(0.02, 0.05), dull(rng)
    if rng.random() < 0.7:
        return Bar(at * aspect, -0.2, at * aspect + thick, 1.2, colour)
    return Bar(-0.2, at, aspect + 0.2, at + thick, colour)
