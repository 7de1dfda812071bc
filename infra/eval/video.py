"""What the camera sees, drawn: a room with a floor of tiles, a figure that jumps, balls, a wheel.

Nothing here is drawn in training, which shows one flat shape on a dull ground.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from io import BytesIO

from PIL import Image, ImageDraw

from infra.eval.scenario import Scenario, VideoEvent

WIDTH, HEIGHT = 240, 160
PICTURE_MS = 200  # one a tick: in its middle
FIRST_MS = 100
FLOOR = 118
_COLOURS = {
    "orange": (245, 140, 20), "violet": (130, 60, 215), "turquoise": (30, 190, 185), "pink": (245, 110, 175),
}  # fmt: skip
_WALLS = ((214, 204, 184), (188, 200, 206), (206, 192, 196), (196, 206, 186))


def pictures(scenario: Scenario) -> list[tuple[int, bytes]]:
    """(ms, JPEG) five times a second; none for a scenario without video."""
    if not scenario.video:
        return []
    times = range(FIRST_MS, scenario.duration_ms, PICTURE_MS)
    return [(ms, _jpeg(draw(scenario.video, ms, scenario.seed))) for ms in times]


def draw(events: Sequence[VideoEvent], ms: int, seed: int) -> Image.Image:
    """The room at this moment."""
    rng = random.Random(seed)
    image = Image.new("RGB", (WIDTH, HEIGHT), rng.choice(_WALLS))
    canvas = ImageDraw.Draw(image)
    _room(canvas, rng)
    for event in events:
        _DRAWINGS[event.kind](canvas, event, ms)
    return image


def _room(canvas: ImageDraw.ImageDraw, rng: random.Random) -> None:
    dark, light = (120, 96, 74), (142, 118, 92)
    for row in range(3):
        for column in range(-1, 9):
            x, y = column * 32 + 16 * (row % 2), FLOOR + row * 14
            canvas.rectangle((x, y, x + 32, y + 14), fill=dark if (row + column) % 2 else light)
    left = rng.randrange(10, WIDTH - 70)
    canvas.rectangle((left, 14, left + 52, 58), fill=(226, 236, 246), outline=(92, 74, 60), width=3)
    canvas.line((left + 26, 14, left + 26, 58), fill=(92, 74, 60), width=2)


def _jumps(canvas: ImageDraw.ImageDraw, event: VideoEvent, ms: int) -> None:
    """A figure; between begin and end it jumps once a period and lands at the period's end."""
    size, period = _number(event, "size"), _number(event, "period_ms")
    lift = 0.0
    if event.start_ms <= ms < event.end_ms:
        phase = (ms - event.start_ms) % period / period
        lift = _number(event, "height") * 2.2 * math.sin(math.pi * max(0.0, (phase - 0.3) / 0.7))
    x, foot = _number(event, "x") * WIDTH, FLOOR + 14 - lift
    body, skin = (54, 62, 92), (222, 178, 146)
    hip, neck = foot - 24 * size, foot - 50 * size
    arms = neck + (6 if lift > 2 else 22) * size
    for side in (-1, 1):
        canvas.line((x, hip, x + side * 9 * size, foot), fill=body, width=5)
        canvas.line((x, neck + 6 * size, x + side * 16 * size, arms - 8 * size), fill=skin, width=4)
    canvas.rounded_rectangle((x - 9 * size, neck, x + 9 * size, hip + 2), radius=4, fill=body)
    canvas.ellipse((x - 8 * size, neck - 17 * size, x + 8 * size, neck - 1), fill=skin)


def _ball(canvas: ImageDraw.ImageDraw, event: VideoEvent, ms: int) -> None:
    """There from its begin to its end, lying on the floor, lit from the left."""
    if not event.start_ms <= ms < event.end_ms:
        return
    radius, x = 21 * _number(event, "size"), _number(event, "x") * WIDTH
    y, colour = FLOOR + 20 - radius, _COLOURS[str(event.params["colour"])]
    canvas.ellipse((x - radius, FLOOR + 15, x + radius * 1.3, FLOOR + 25), fill=(84, 66, 52))
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    shine = tuple(min(255, c + 70) for c in colour)
    canvas.ellipse((x - radius * 0.6, y - radius * 0.7, x - radius * 0.1, y - radius * 0.2), fill=shine)


def _wheel(canvas: ImageDraw.ImageDraw, event: VideoEvent, ms: int) -> None:
    """A wheel with five spokes, one of them red, that turns between begin and end."""
    moved = min(max(ms, event.start_ms), event.end_ms) - event.start_ms
    angle = 2 * math.pi * moved / _number(event, "turn_ms")
    radius, x, y = 40 * _number(event, "size"), _number(event, "x") * WIDTH, 82.0
    canvas.line((x, y, x, FLOOR + 20), fill=(70, 60, 52), width=6)
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(40, 44, 52), width=5)
    for spoke in range(5):
        at = angle + 2 * math.pi * spoke / 5
        end = (x + radius * math.cos(at), y + radius * math.sin(at))
        canvas.line((x, y, *end), fill=(206, 40, 36) if spoke == 0 else (92, 96, 104), width=4)
    canvas.ellipse((x - 6, y - 6, x + 6, y + 6), fill=(40, 44, 52))


def _number(event: VideoEvent, name: str) -> float:
    return float(event.params[name])


def _jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


_DRAWINGS: dict[str, Callable[[ImageDraw.ImageDraw, VideoEvent, int], None]] = {
    "jumps": _jumps,
    "ball": _ball,
    "action_wheel": _wheel,
}
