"""Voice activity by Silero VAD: probabilities of 32 ms windows, and begin and end of speech with Pipecat's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.eval.agents.harness import weights

WINDOW = 512  # samples at 16 kHz
WINDOW_MS = 32
CONTEXT = 64  # samples of the former window that the network sees again
CONFIDENCE = 0.7
START_WINDOWS = 6  # 0.2 s of voice is speech
STOP_WINDOWS = 6  # 0.2 s without is none any more
RESET_WINDOWS = 62  # 2 s: after that, clear quiet resets the network's memory, which music would dull
RESET_QUIET = 5
RESET_BELOW = 0.1

Samples = npt.NDArray[np.float32]


class Voice:
    """The network; stateless, shared by all sessions (0.2 ms a window)."""

    def __init__(self) -> None:
        """Raises ``WeightsMissing``."""
        self._session = session(str(weights.vad()))
        self._rate = np.array(16_000, np.int64)

    def probability(self, window: Samples, state: npt.NDArray[np.float32]) -> tuple[float, npt.NDArray[np.float32]]:
        """``window`` is context and 512 samples, ``[576]``; returns the probability of voice and the next state."""
        out, after = self._session.run(None, {"input": window[None], "state": state, "sr": self._rate})
        return float(out[0, 0]), after


def session(path: str) -> Any:
    """An inference session on one thread, which does not spin while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@dataclass(slots=True)
class Segmenter:
    """From probabilities to speech. Times are in windows since the begin.

    ``speaking`` from the sixth window of voice in a row to the sixth without; ``began`` is the first of those six,
    ``ended`` the first window after the last voice.
    """

    now: int = 0
    speaking: bool = False
    began: int = 0
    ended: int = 0
    _run: int = 0

    def push(self, probability: float) -> bool:
        """Take one window; True when ``speaking`` changes with it."""
        self.now += 1
        voiced = probability >= CONFIDENCE
        if voiced == self.speaking:
            self._run = 0
            return False
        self._run += 1
        if self._run < (STOP_WINDOWS if self.speaking else START_WINDOWS):
            return False
        self.speaking = not self.speaking
        if self.speaking:
            self.began = self.now - self._run
        else:
            self.ended = self.now - self._run
        self._run = 0
        return True

    @property
    def voiced_ms(self) -> int:
        """Length of the current speech, or of the last one."""
        return ((self.now if self.speaking else self.ended) - self.began) * WINDOW_MS

    @property
    def quiet_ms(self) -> int:
        """How long there has been no speech; 0 while there is."""
        return 0 if self.speaking else (self.now - self.ended) * WINDOW_MS


@dataclass(slots=True)
class Listener:
    """One stream: any number of samples in, the segmenter is moved on by whole windows."""

    voice: Voice
    segments: Segmenter = field(default_factory=Segmenter)
    _rest: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    _context: Samples = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))
    _state: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 1, 128), np.float32))
    _since_reset: int = 0
    _quiet: int = 0

    def hear(self, pcm: bytes) -> list[bool]:
        """PCM16, 16 kHz. Returns the changes in order: True where speech began, False where it ended."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0
        self._rest = np.concatenate([self._rest, samples])
        changes: list[bool] = []
        while len(self._rest) >= WINDOW:
            window, self._rest = self._rest[:WINDOW], self._rest[WINDOW:]
            probability, self._state = self.voice.probability(np.concatenate([self._context, window]), self._state)
            self._context = window[-CONTEXT:]
            if self.segments.push(probability):
                changes.append(self.segments.speaking)
            self._maybe_reset(probability)
        return changes

    def _maybe_reset(self, probability: float) -> None:
        self._since_reset += 1
        self._quiet = self._quiet + 1 if probability < RESET_BELOW else 0
        if self._since_reset >= RESET_WINDOWS and self._quiet >= RESET_QUIET and not self.segments.speaking:
            self._state = np.zeros_like(self._state)
            self._context = np.zeros_like(self._context)
            self._since_reset = 0
