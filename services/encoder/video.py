"""JPEG pictures to pairs of 40x40 patches; pure, and the only place that decodes pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

PATCH = 40
ROWS, COLUMNS = 2, 3
HEIGHT, WIDTH = ROWS * PATCH, COLUMNS * PATCH
PATCHES = ROWS * COLUMNS

Picture = npt.NDArray[np.uint8]


class UndecodablePicture(ValueError):
    """The bytes are not a picture that can be decoded."""


def decode(jpeg: bytes) -> Picture:
    """One picture as uint8 ``[80, 120, 3]``. Raises ``UndecodablePicture``."""
    try:
        with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
            image.draft("RGB", (WIDTH, HEIGHT))
            small = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UndecodablePicture(str(error)) from None
    return np.asarray(small, dtype=np.uint8)


def pair_patches(first: Picture, second: Picture) -> npt.NDArray[np.uint8]:
    """Two consecutive pictures to ``[6, 2, 40, 40, 3]``, patches row by row."""
    pair = np.stack([first, second]).reshape(2, ROWS, PATCH, COLUMNS, PATCH, 3)
    return np.ascontiguousarray(pair.transpose(1, 3, 0, 2, 4, 5)).reshape(PATCHES, 2, PATCH, PATCH, 3)


def patches_from(
    jpegs: Sequence[bytes], previous: Picture | None = None
) -> tuple[npt.NDArray[np.uint8] | None, Picture | None]:
    """At most one pair a tick: the newest picture after the one before it (itself when it is the stream's first).

    Returns the patches (None when no picture came) and the newest picture, to be given as ``previous`` next time.

    Raises:
        UndecodablePicture: one of the pictures needed is broken.
    """
    if not jpegs:
        return None, previous
    newest = decode(jpegs[-1])
    before = decode(jpegs[-2]) if len(jpegs) > 1 else (newest if previous is None else previous)
    return pair_patches(before, newest), newest
