"""Has the user finished? smart-turn v3.2 on the last 8 s of the turn (about 0.2 s on one core)."""

from __future__ import annotations

import numpy as np

from infra.eval.agents.harness import weights
from infra.eval.agents.harness.vad import session
from services.background.hearing import log_mel

SAMPLES = 8 * 16_000
FRAMES = 800
COMPLETE = 0.5
_EPSILON = 1e-7


class TurnEnd:
    """The network; call it off the event loop, from one thread at a time."""

    def __init__(self) -> None:
        """Raises ``WeightsMissing``."""
        self._session = session(str(weights.turn_end()))

    def probability(self, pcm: bytes) -> float:
        """That a turn with this audio (PCM16, 16 kHz, up to the pause that raised the question) is complete."""
        samples = np.frombuffer(pcm, "<i2")[-SAMPLES:].astype(np.float32) / 32768.0
        samples = np.pad(samples, (SAMPLES - len(samples), 0))  # the end of the turn lies at the end
        scaled = ((samples - samples.mean()) / np.sqrt(samples.var() + _EPSILON)).astype(np.float32)
        features = log_mel(scaled)[None, :, :FRAMES]
        return float(self._session.run(None, {"input_features": features})[0].reshape(-1)[0])
