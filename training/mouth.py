"""A stand-in for the speech stage while nano learns its pace: how long words take, and what is left to say."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from schemas.ticks import FRAME_MS
from services.interaction.protocol import Voice


@dataclass(slots=True)
class Mouth:
    """``rate`` scales the words' durations; 0 is a model without a voice, whose words are said as they are written.

    ``lag_ticks`` pass between a first word and its sound; ``ready_below_ms`` is how little must be left to say before
    another word is taken.
    """

    rate: float = 0.0
    lag_ticks: int = 0
    ready_below_ms: float = 600.0
    left_ms: float = 0.0
    _silent_for: int = 0

    @classmethod
    def drawn(cls, rng: random.Random, rate: float) -> Mouth:
        return cls(rate, rng.randint(0, 1), rng.uniform(500.0, 700.0)) if rate else cls()

    @property
    def state(self) -> Voice:
        if self.left_ms <= 0:
            return Voice.SILENT
        return Voice.READY if self.left_ms < self.ready_below_ms else Voice.BUSY

    def say(self, word: str) -> None:
        """Take a word; the caller has seen that the state is not ``BUSY``."""
        if not self.rate:
            return
        if self.left_ms <= 0:
            self._silent_for = self.lag_ticks
        self.left_ms += self.rate * word_ms(word)

    def tick(self) -> None:
        """A tick's worth of speech is played."""
        if self._silent_for:
            self._silent_for -= 1
        else:
            self.left_ms = max(0.0, self.left_ms - FRAME_MS)

    def stop(self) -> None:
        """The floor is yielded: what was left is not said."""
        self.left_ms, self._silent_for = 0.0, 0


def word_ms(word: str) -> float:
    """About how long a word takes at an ordinary pace; a result's stand-in ``w123`` takes as long as it says."""
    if word[:1] == "w" and word[1:].isdigit():
        return 180.0 + zlib.crc32(word.encode()) % 420
    return 120.0 + 55.0 * len(word)
