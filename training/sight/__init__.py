"""A scripted visual world: what users show to nano in training, drawn as the encoder would see it."""

from training.sight.colours import COLOURS
from training.sight.show import KINDS, LEAST_TICKS, SIGHTS, Event, Show, draw_show

__all__ = ["COLOURS", "KINDS", "LEAST_TICKS", "SIGHTS", "Event", "Show", "draw_show"]
