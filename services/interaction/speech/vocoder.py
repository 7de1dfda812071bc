"""Mel and F0 to sound: a harmonic and a noise source, each shaped by a filter that a causal network draws per frame.

Source-filter model with a learned complex filter for the harmonics and a magnitude filter for the noise, both applied
in the short-time Fourier domain (window 1200, hop 300, look-back only: the sound of hop ``k - 3`` is complete with
frame ``k``). Running phase, convolution tails and overlap are the state between ticks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import (
    BINS,
    DELAY_FRAMES,
    F0_PLACE,
    FEATURES,
    HOP,
    MELS,
    PADDED_BINS,
    RATE_HZ,
    TICK_FRAMES,
    VOICED_PLACE,
    WINDOW,
    SpeechConfig,
)
from services.interaction.speech.layers import Stack

LOG_FLOOR = 1e-5
MEL_MEAN, MEL_SCALE = -5.0, 2.5
F0_MEAN, F0_SCALE = 5.1, 0.35  # of the natural logarithm of Hz
SILENCE = (math.log(LOG_FLOOR) - MEL_MEAN) / MEL_SCALE
_NOISE_PERIOD = 1 << 18
_INAUDIBLE = 2  # bins, 0 and 20 Hz: no speech lies there, and what a filter does wrong takes room from what is heard


def mel_edges() -> npt.NDArray[np.float64]:
    """``[MELS + 2]`` Hz, evenly spaced in mels from 0 to 12 kHz: band ``k`` rises from edge ``k`` to the next one and
    falls to the one after."""
    mels = np.linspace(0.0, 2595.0 * math.log10(1.0 + RATE_HZ / 2 / 700.0), MELS + 2)
    edges: npt.NDArray[np.float64] = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return edges


def mel_filters() -> Tensor:
    """``[BINS, MELS]``: triangles of unit area as far as bins allow."""
    edges = mel_edges()
    hz = np.arange(BINS) * RATE_HZ / WINDOW
    up = (hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(up, down))
    total = filters.sum(axis=0)
    return torch.from_numpy((filters / np.maximum(total, 1.0)).astype(np.float32))


def mel_window() -> Tensor:
    """A Hann window of 1024 in the middle of the 1200 samples that a frame looks at."""
    return F.pad(torch.hann_window(1024), ((WINDOW - 1024) // 2, (WINDOW - 1024) // 2))


def log_mel(samples: Tensor) -> Tensor:
    """``[n, frames * HOP]`` to normalised log-mels ``[n, frames, MELS]``; frame ``k`` ends with hop ``k``."""
    stream = F.pad(samples, (WINDOW - HOP, 0)).unfold(1, WINDOW, HOP)
    magnitude = torch.fft.rfft(stream * mel_window()).abs() / 256.0
    return (torch.log((magnitude @ mel_filters()).clamp_min(LOG_FLOOR)) - MEL_MEAN) / MEL_SCALE


def noise_table() -> Tensor:
    """White noise of unit variance from an integer hash: the same on every machine and version."""
    x = np.arange(_NOISE_PERIOD, dtype=np.uint64) + np.uint64(0x9E3779B9)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    uniform = x.astype(np.float64) / 2.0**31 - 1.0
    return torch.from_numpy((uniform * math.sqrt(3.0)).astype(np.float32))


@dataclass(slots=True)
class VocoderState:
    """Of n streams; all zeros at a begin."""

    tails: Tensor  # [blocks, n, kernel - 1, width]
    frame: Tensor  # [n] int64, frames so far
    phase: Tensor  # [n, 1] float64, periods so far
    last: Tensor  # [n, 2] F0 in Hz and voiced of the last frame
    sources: Tensor  # [n, 2, WINDOW - HOP] harmonic and noise source
    overlap: Tensor  # [n, DELAY_FRAMES, WINDOW] filtered frames that are not complete yet

    def pick(self, at: Tensor) -> VocoderState:
        return VocoderState(
            self.tails[:, at], self.frame[at], self.phase[at], self.last[at], self.sources[at], self.overlap[at]
        )

    def put(self, at: Tensor, new: VocoderState) -> None:
        self.tails[:, at] = new.tails
        for mine, theirs in (
            (self.frame, new.frame),
            (self.phase, new.phase),
            (self.last, new.last),
            (self.sources, new.sources),
            (self.overlap, new.overlap),
        ):
            mine[at] = theirs


class Vocoder(nn.Module):
    """See the module. ``features [n, frames, FEATURES]`` are normalised mels, F0, voiced (0 or 1), and
    details: whatever training found to be of use there, 0 where nothing is known."""

    window: Tensor
    noise: Tensor

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.filter = Stack(config.vocoder, FEATURES, 3 * PADDED_BINS)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("noise", noise_table(), persistent=False)

    def empty(self, n: int) -> VocoderState:
        return VocoderState(
            self.filter.empty(n),
            torch.zeros(n, dtype=torch.int64),
            torch.zeros(n, 1, dtype=torch.float64),
            torch.zeros(n, 2),
            torch.zeros(n, 2, WINDOW - HOP),
            torch.zeros(n, DELAY_FRAMES, WINDOW),
        )

    def shaped(self, features: Tensor, filters: Tensor, frame: Tensor, turns: Tensor) -> Tensor:
        """In training: to ``[n, (frames - DELAY_FRAMES) * HOP]``, hop 0 first. Noise begins at ``frame``; the source
        has gone through ``turns [n, frames]`` periods when each frame ends."""
        state = self.empty(len(features))
        state.frame = frame
        state.last = self._pitch(features[:, :1])[:, 0]
        sound, _ = self._sound(features, filters, state, turns)
        return sound[:, DELAY_FRAMES * HOP :]

    def advance(self, features: Tensor, state: VocoderState) -> tuple[Tensor, VocoderState]:
        """Whole ticks: to samples of the hops that are complete, ``DELAY_FRAMES`` behind."""
        filters, tails = self.filter.advance(features, state.tails, TICK_FRAMES)
        sound, new = self._sound(features, filters, state)
        new.tails = tails
        return sound, new

    @staticmethod
    def _pitch(features: Tensor) -> Tensor:
        """F0 in Hz and voiced, ``[n, frames, 2]``."""
        hz = torch.exp(features[..., F0_PLACE : F0_PLACE + 1].clamp(-4.0, 4.0) * F0_SCALE + F0_MEAN)
        return torch.cat([hz, features[..., VOICED_PLACE : VOICED_PLACE + 1]], dim=-1)

    def _sound(
        self, features: Tensor, filters: Tensor, state: VocoderState, turns: Tensor | None = None
    ) -> tuple[Tensor, VocoderState]:
        n, frames, _ = features.shape
        pitch = self._pitch(features)
        harmonic, phase = self._pulses(pitch, state, turns)
        sources = torch.stack([harmonic, self._noise(state.frame, frames)], dim=1)
        stream = torch.cat([state.sources, sources], dim=2)
        pieces = stream.unfold(2, WINDOW, HOP) * self.window  # [n, 2, frames, WINDOW]
        size, turn, breath = filters.view(n, frames, 3, PADDED_BINS).unbind(2)
        size, breath = torch.exp(size.clamp(-12.0, 6.0) - 2.0), torch.exp(breath.clamp(-12.0, 6.0) - 5.0)
        shape = torch.complex(size * torch.cos(turn), size * torch.sin(turn))[..., :BINS]
        spectra = torch.fft.rfft(pieces)
        mixed = spectra[:, 0] * shape + spectra[:, 1] * breath[..., :BINS]
        mixed[..., :_INAUDIBLE] = 0.0
        filtered = torch.cat([state.overlap, torch.fft.irfft(mixed, n=WINDOW) * self.window], dim=1)
        parts = filtered.view(n, -1, WINDOW // HOP, HOP)
        sound = parts[:, DELAY_FRAMES:, 0]
        for back in range(1, DELAY_FRAMES + 1):
            sound = sound + parts[:, DELAY_FRAMES - back : parts.shape[1] - back, back]
        new = VocoderState(
            state.tails,
            state.frame + frames,
            phase,
            pitch[:, -1],
            stream[:, :, -(WINDOW - HOP) :],
            filtered[:, -DELAY_FRAMES:],
        )
        return sound.reshape(n, -1) / 1.5, new

    def _pulses(self, pitch: Tensor, state: VocoderState, turns: Tensor | None) -> tuple[Tensor, Tensor]:
        """A pulse train of all harmonics below 12 kHz, of unit power where voiced, ``[n, frames * HOP]``; its phase
        runs on with F0, or is led to ``turns`` by each frame's end."""
        n, frames, _ = pitch.shape
        before = torch.cat([state.last[:, None], pitch[:, :-1]], dim=1)
        old, new = before[..., 0].double(), pitch[..., 0].double()
        gone = (old + new) * (0.5 * HOP / RATE_HZ)
        start = torch.cat([state.phase, gone], dim=1).cumsum(dim=1)
        begins = start[:, :-1] if turns is None else turns - gone
        at = torch.arange(1, HOP + 1, dtype=torch.float64)
        glide = at * at * (0.5 / HOP)
        phase = begins[..., None] + (old[..., None] * at + (new - old)[..., None] * glide) / RATE_HZ
        turn = (phase - torch.round(phase)).float()  # in [-0.5, 0.5]
        harmonics = torch.floor(0.5 * RATE_HZ / torch.maximum(old, new).clamp_min(20.0)).float()[..., None]
        odd = 2.0 * harmonics + 1.0
        below = torch.sin(math.pi * turn)
        flat = below.abs() < 1e-5
        train = torch.where(flat, odd, torch.sin(math.pi * odd * turn) / torch.where(flat, torch.ones(()), below))
        ramp = (at / HOP).float()
        voiced = before[..., 1, None] + (pitch[..., 1] - before[..., 1])[..., None] * ramp
        pulses = (train - 1.0) * torch.rsqrt(2.0 * harmonics) * voiced
        return pulses.reshape(n, frames * HOP), start[:, -1:]

    def _noise(self, frame: Tensor, frames: int) -> Tensor:
        at = (frame[:, None] * HOP + torch.arange(frames * HOP)) % _NOISE_PERIOD
        return self.noise[at]
