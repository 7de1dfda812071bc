"""An energy voice activity detector with an adaptive noise floor: the *control's*, never the product's.

20 ms blocks. The floor follows the quietest block of the last seconds; a block is loud when it stands 10 dB above it.
Speech begins after three loud blocks of five, so that a click is none, and its end is the last loud block.
"""

from __future__ import annotations

from collections import deque

import numpy as np

BLOCK_MS = 20
BLOCK_SAMPLES = 320
BLOCKS = 10  # in one tick
MARGIN_DB = 10.0
QUIETEST_DBFS = -55.0  # a digital silence is no noise floor
FLOOR_BLOCKS = 150  # 3 s: longer than the syllables of a word hold together, shorter than a turn without a breath
START_LOUD, START_OF = 3, 5
_EPSILON = 1e-9


class EnergyVad:
    """One stream. ``hear`` takes 3200 samples; then the properties say how things stand at their end, in ms."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=FLOOR_BLOCKS)
        self._recent: deque[bool] = deque(maxlen=START_OF)
        self._began_ms = -1
        self._loud_ms = 0  # end of the last loud block
        self._now_ms = 0

    @property
    def speech_ms(self) -> int:
        """How long the current speech has lasted, from its first to its last loud block; 0 when there is none."""
        return self._loud_ms - self._began_ms if self._began_ms >= 0 else 0

    @property
    def silence_ms(self) -> int:
        """How long it has been quiet since the last loud block of the current speech."""
        return self._now_ms - self._loud_ms

    @property
    def in_speech(self) -> bool:
        """Whether speech has begun and ``end`` has not been called since."""
        return self._began_ms >= 0

    def end(self) -> None:
        """The current speech is taken as over: what comes next is a new one."""
        self._began_ms = -1
        self._recent.clear()

    def hear(self, pcm: bytes) -> None:
        """Take one tick: PCM16, 16 kHz."""
        blocks = np.frombuffer(pcm, "<i2").astype(np.float32).reshape(-1, BLOCK_SAMPLES) / 32768.0
        for level in 10 * np.log10(np.mean(blocks**2, axis=1) + _EPSILON):
            self._block(max(float(level), QUIETEST_DBFS))

    def _block(self, level: float) -> None:
        self._levels.append(level)
        self._now_ms += BLOCK_MS
        loud = level > min(self._levels) + MARGIN_DB
        self._recent.append(loud)
        if not loud:
            return
        self._loud_ms = self._now_ms
        if self._began_ms < 0 and sum(self._recent) >= START_LOUD:
            self._began_ms = self._now_ms - (len(self._recent) - self._recent.index(True)) * BLOCK_MS
