"""``echo``: no model at all. For plumbing tests and overhead measurements only; it says so in its name.

It answers every tick at once with a tone whose pitch follows the tick, and speaks whatever result is pending. It keeps
the state that the protocol demands (its output depends on all inputs so far), so that restore is exercised.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from schemas.records import Floor, UserActivity
from schemas.ticks import OUTPUT_RATE_HZ, OUTPUT_SAMPLES
from services.interaction.protocol import StepInput, StepOutput

_TAKE, _HOLD = 1, 0
_PITCHES = 44


def _tone(hz: float) -> bytes:
    """One tick of a sine; multiples of 5 Hz have whole periods in 200 ms, so ticks join without a click."""
    t = np.arange(OUTPUT_SAMPLES) / OUTPUT_RATE_HZ
    return (1000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


class EchoModel:
    """Outputs are a function of the session's seed, the tick, the embeddings' bytes and the former output."""

    name = "echo-1 (not a model: for plumbing tests)"
    encoder_version = ""
    d = 0
    context_ticks = 1
    quiet_tokens: tuple[int, ...] = (_HOLD, 0)

    def __init__(self, *, capacity: int = 4096, audio: bool = True) -> None:
        self.capacity = capacity
        self._audio = audio
        self._tones = [_tone(220.0 + 5 * pitch) for pitch in range(_PITCHES)]
        self._state: dict[str, tuple[int, int, int]] = {}  # session -> (seed, next tick, chained checksum)

    def open(self, session_id: str, seed: int, first_tick: int = 0) -> None:
        if session_id in self._state:
            raise ValueError(f"session {session_id} is open")
        if len(self._state) >= self.capacity:
            raise ValueError(f"at capacity: {self.capacity} sessions")
        self._state[session_id] = (seed, first_tick, seed & 0xFFFF)

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        return [self._one(item) for item in batch]

    def _one(self, item: StepInput) -> StepOutput:
        seed, tick, chain = self._state[item.session_id]
        if item.tick != tick:
            raise ValueError(f"session {item.session_id}: tick {item.tick}, expected {tick}")
        heard = zlib.crc32(item.embeddings.tobytes(), chain) & 0x7FFFFFFF
        say = bool(item.pending_word)
        tokens = (_TAKE if say else _HOLD, heard)
        self._state[item.session_id] = (seed, tick + 1, heard & 0xFFFF)
        return StepOutput(
            floor=Floor.TAKE if say else Floor.HOLD,
            user=UserActivity.SILENT,
            tokens=tokens,
            say_pending=say,
            audio=self._tones[tick % _PITCHES] if self._audio else None,
        )

    def prefill(self, inputs: Sequence[StepInput], outputs: Sequence[tuple[int, ...]]) -> None:
        for item, tokens in zip(inputs, outputs, strict=True):
            seed, tick, _ = self._state[item.session_id]
            if item.tick != tick:
                raise ValueError(f"session {item.session_id}: tick {item.tick}, expected {tick}")
            self._state[item.session_id] = (seed, tick + 1, tokens[1] & 0xFFFF)

    def quiet(self, session_id: str) -> tuple[int, ...]:
        _, _, chain = self._state[session_id]
        return (_HOLD, chain)

    def close(self, session_id: str) -> None:
        self._state.pop(session_id, None)
