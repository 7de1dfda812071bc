"""A contact sheet of shows, for people: one a row, a frame around the first picture that shows each mark."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from PIL import Image, ImageDraw

from services.encoder.video import HEIGHT, WIDTH
from training.sight.show import KINDS, Show, draw_show

_LABEL = 14


def sheet(shows: list[Show], columns: int, rng: random.Random, begin: int) -> Image.Image:
    """``columns`` pictures of each show from a little before ``begin``, below each other."""
    image = Image.new("RGB", (columns * (WIDTH + 2), len(shows) * (HEIGHT + _LABEL)), (20, 20, 20))
    draw = ImageDraw.Draw(image)
    for row, show in enumerate(shows):
        top = row * (HEIGHT + _LABEL)
        marks = ", ".join(f"{mark:.1f}" for mark in show.marks)
        draw.text((2, top), f"{show.kind}: {' '.join(show.words) or show.label}   marks {marks}", (255, 255, 255))
        spoken = {show.seen(mark) for mark in show.marks}
        pictures = [pair for pair in show.pictures(rng) if pair[0] >= begin - 3][:columns]
        for column, (tick, picture) in enumerate(pictures):
            left = column * (WIDTH + 2)
            image.paste(Image.fromarray(picture), (left, top + _LABEL))
            if tick in spoken:
                draw.rectangle((left, top + _LABEL, left + WIDTH - 1, top + _LABEL + HEIGHT - 1), outline=(255, 255, 0))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/sight.png"))
    parser.add_argument("--kind", choices=KINDS, help="only these (default: all)")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--columns", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, begin = random.Random(arguments.seed), 12
    kinds = [arguments.kind] if arguments.kind else KINDS
    shows = [draw_show(rng, 70, kinds[row % len(kinds)], begin) for row in range(arguments.rows)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(shows, arguments.columns, rng, begin).save(arguments.out)


if __name__ == "__main__":
    main()
