"""Streaming dMel: 200 ms of 16 kHz PCM to four tokens of 8 x 80 codes, batched over sessions, plain numpy.

Windows of 25 ms (periodic Hann, FFT of 512) every 10 ms, 80 Slaney mel bands (Slaney scale and area normalisation, 0 to
8 kHz) over the *amplitude* spectrum (its square floored at 1e-10, as is the mel value), log10 clamped to [-7, 2], the
nearest of 128 levels, 1.4 dB apart. Token ``j`` of a stream holds the eight windows that lie within the samples
``[800 (j - 1), 800 (j + 1))``: it looks back only, shares three windows with the token before it, a frame of 3200
samples gives exactly 4 tokens, and 800 samples are all the state. Why so fine: ADR 16.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
HOP = 800  # of tokens
STEP, WINDOW, FFT = 160, 400, 512  # of windows
BANDS = 80
LEVELS = 128
LOG_MIN, LOG_MAX = -7.0, 2.0
FRAME_SAMPLES = 3200
TOKENS = FRAME_SAMPLES // HOP
WINDOWS = 8  # of a token
_STEPS = HOP // STEP  # windows from one token to the next
_FIRST = 2 * HOP - WINDOW - (WINDOWS - 1) * STEP  # where a token's first window begins

Pcm = npt.NDArray[np.int16]
Codes = npt.NDArray[np.uint8]

_LINEAR_HZ = 200.0 / 3.0  # the Slaney scale is linear below 1 kHz, logarithmic above
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * np.maximum(mel - _BREAK_MEL, 0.0))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


def band_edges() -> npt.NDArray[np.float64]:
    """Where bands begin, peak and end, in hertz, ``[82]``: band ``b`` spans ``edges[b : b + 3]``."""
    top = _BREAK_MEL + np.log(RATE_HZ / 2 / _BREAK_HZ) / _LOG_STEP
    return np.asarray(_mel_to_hz(np.linspace(0.0, top, BANDS + 2)))


def mel_filters() -> npt.NDArray[np.float32]:
    """Triangular filters ``[257, 80]``, each of unit area over hertz."""
    edges = band_edges()
    hz = np.arange(FFT // 2 + 1) * (RATE_HZ / FFT)
    rising = (hz[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - hz[:, None]) / np.diff(edges)[None, 1:]
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return np.asarray(filters, dtype=np.float32)


_FILTERS = mel_filters()
_HANN = np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW), dtype=np.float32) / np.float32(32768.0)
# A code rises where log10 crosses the middle between two levels; comparing amplitudes spares the logarithm.
_LEVEL = (LOG_MAX - LOG_MIN) / (LEVELS - 1)
_CROSSINGS = np.asarray(10.0 ** (LOG_MIN + _LEVEL * (np.arange(LEVELS - 1) + 0.5)), dtype=np.float32)


def new_tails(sessions: int) -> Pcm:
    """The state of streams that have not begun: silence."""
    return np.zeros((sessions, HOP), dtype=np.int16)


def encode(pcm: Pcm, tails: Pcm) -> tuple[Codes, Pcm]:
    """One frame of each session: int16 ``[B, 3200]`` and ``[B, 800]`` to codes uint8 ``[B, 4, 8, 80]`` and new tails.

    A session's codes do not depend on its neighbours: every product has the same shape, ``[23, 257] x [257, 80]``.

    Raises:
        ValueError: wrong shapes.
    """
    if pcm.ndim != 2 or pcm.shape[1] != FRAME_SAMPLES or tails.shape != (len(pcm), HOP):
        raise ValueError(f"want [B, {FRAME_SAMPLES}] and [B, {HOP}], got {pcm.shape} and {tails.shape}")
    stream = np.concatenate([tails, pcm], axis=1)
    codes = np.empty((len(pcm), TOKENS, WINDOWS, BANDS), dtype=np.uint8)
    for session, samples in enumerate(stream):
        codes[session] = _codes(samples)
    return codes, np.ascontiguousarray(stream[:, -HOP:])


def encode_session(pcm: Pcm) -> Codes:
    """A whole session at once, int16 ``[800 n]`` to ``[n, 8, 80]``: for training, where speed counts, not bits."""
    return _codes(np.concatenate([np.zeros(HOP, dtype=np.int16), pcm]))


def _codes(samples: Pcm) -> Codes:
    """``[800 (n + 1)]`` to ``[n, 8, 80]``."""
    windows = np.lib.stride_tricks.sliding_window_view(samples[_FIRST:], WINDOW)[::STEP]
    spectrum = np.fft.rfft(windows * _HANN, FFT, axis=1)
    power = spectrum.real * spectrum.real + spectrum.imag * spectrum.imag
    amplitude = np.sqrt(np.maximum(power, np.float32(1e-10)))
    levels = np.searchsorted(_CROSSINGS, amplitude @ _FILTERS, side="right").astype(np.uint8)
    tokens = np.lib.stride_tricks.sliding_window_view(levels, WINDOWS, axis=0)[::_STEPS]
    return np.ascontiguousarray(tokens.swapaxes(1, 2))
