"""How what waits to be said enters a tick: the next word of a result, and how many are left."""

from __future__ import annotations

import zlib

from services.interaction.nano.config import LEFT_STEPS, WORD_BUCKETS


def word_bucket(word: str) -> int:
    """Pending words enter by their hash; 0 is none."""
    return 1 + zlib.crc32(word.encode()) % WORD_BUCKETS if word else 0


def left_step(left: int) -> int:
    """The class of a number of pending words."""
    return sum(left >= step for step in LEFT_STEPS) - 1
