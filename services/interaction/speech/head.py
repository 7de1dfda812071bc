"""Text to mel and F0: symbols are encoded as their words come, get a duration each, and are decoded frame by frame.

The encoder is causal but for six symbols ahead, and those only as far as the text is known (``UNKNOWN`` beyond): what a
symbol becomes is settled when its word is begun, and never changes. The manner enters with the symbols and reaches
durations, F0 and mels through their codes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from services.interaction.speech.config import (
    AHEAD,
    FEATURES,
    PLACES,
    TICK_FRAMES,
    SpeechConfig,
)
from services.interaction.speech.g2p import SYMBOLS, UNKNOWN
from services.interaction.speech.layers import Stack

UNKNOWN_ID = SYMBOLS.index(UNKNOWN)
MAX_FRAMES = 80  # of one symbol: a second


class Encoded(NamedTuple):
    """``codes [n, symbols, width]`` and the logarithm of each symbol's frames ``[n, symbols]``."""

    codes: Tensor
    log_frames: Tensor


def ahead(ids: npt.NDArray[np.int64], horizon: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``[symbols]`` to ``[symbols, AHEAD]``: each with what follows it, UNKNOWN from its ``horizon`` (a place) on."""
    place = np.arange(len(ids))[:, None] + np.arange(AHEAD)
    padded = np.concatenate([ids, np.full(AHEAD, UNKNOWN_ID, dtype=np.int64)])
    return np.where(place < horizon[:, None], padded[np.minimum(place, len(ids))], UNKNOWN_ID)


def places(frames: npt.NDArray[np.int64], at: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Features of frame ``at`` (from 0) of a symbol of so many ``frames``, ``[..., PLACES]``."""
    d, k = frames.astype(np.float32), at.astype(np.float32)
    p = (k + 0.5) / d
    left = d - k
    near = [np.minimum(k, 10) / 5, np.minimum(left, 10) / 5]
    return np.stack([p, 1 - p, d / 10, np.log(d) / 2, *near, 4 * p * (1 - p), 1 / d], axis=-1).astype(np.float32)


class SpeechHead(nn.Module):
    """See the module."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        width = config.encoder.width
        self.width = width
        self.symbols = nn.Embedding(len(config.symbols), config.embedding)
        self.voices = nn.Embedding(len(config.voices), width)
        nn.init.normal_(self.voices.weight, std=0.3)
        self.manners = nn.Embedding(len(config.manners), width)
        nn.init.zeros_(self.manners.weight)  # so weights that knew none go on as they were
        self.encoder = Stack(config.encoder, AHEAD * config.embedding + width, width + 32)
        self.decoder = Stack(config.decoder, width + width + PLACES, FEATURES)

    def _inputs(self, following: Tensor, voices: Tensor, manners: Tensor) -> Tensor:
        n, steps, _ = following.shape
        seen = self.symbols(following).view(n, steps, -1)
        return torch.cat([seen, self.voices(voices)[:, None] + self.manners(manners)], dim=-1)

    def _split(self, out: Tensor) -> Encoded:
        return Encoded(out[..., : self.width], out[..., self.width])

    def encode(self, following: Tensor, voices: Tensor, manners: Tensor) -> Encoded:
        """Whole sentences: ``following [n, symbols, AHEAD]`` ids, ``voices [n]``, ``manners [n, symbols]``."""
        return self._split(self.encoder(self._inputs(following, voices, manners)))

    def encode_more(
        self, following: Tensor, voices: Tensor, manners: Tensor, state: Tensor, ends: Tensor
    ) -> tuple[Encoded, Tensor]:
        """The next symbols of each sentence, ``ends [n]`` of them, the rest being padding."""
        out, state = self.encoder.advance(self._inputs(following, voices, manners), state, 1, ends)
        return self._split(out), state

    def decode(self, codes: Tensor, place: Tensor, voices: Tensor) -> Tensor:
        """Whole sentences: the code of each frame's symbol ``[n, frames, width]``, its place; to FEATURES."""
        out: Tensor = self.decoder(self._frames(codes, place, voices))
        return out

    def decode_more(self, codes: Tensor, place: Tensor, voices: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """A tick, or several, or a part of one, of each sentence."""
        return self.decoder.advance(self._frames(codes, place, voices), state, min(codes.shape[1], TICK_FRAMES))

    def _frames(self, codes: Tensor, place: Tensor, voices: Tensor) -> Tensor:
        speaker = self.voices(voices)[:, None].expand(-1, codes.shape[1], -1)
        return torch.cat([codes, speaker, place], dim=-1)
