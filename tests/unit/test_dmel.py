"""Streaming dMel against an independent offline computation, any chunking, and batch neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.encoder import dmel


def _hz(mel: float) -> float:
    """Slaney's scale, written from its definition: 200/3 Hz a mel up to 1 kHz, then 27 mels for a factor of 6.4."""
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def offline(pcm: np.ndarray) -> np.ndarray:
    """float64, one band and one window at a time, by a direct transform: log10 values ``[n, 8, 80]``, clamped."""
    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = [_hz(top * k / 81) for k in range(82)]
    window = [0.5 * (1 - math.cos(2 * math.pi * n / 400)) for n in range(400)]
    padded = np.concatenate([np.zeros(800), pcm.astype(np.float64) / 32768])
    turns = np.exp(-2j * np.pi * np.outer(np.arange(400), np.arange(257)) / 512)
    values = []
    for token in range(0, len(pcm), 800):
        rows = []
        for end in range(token + 480, token + 1601, 160):  # the last window ends with the token
            amplitude = np.abs((padded[end - 400 : end] * window) @ turns)
            amplitude = np.maximum(amplitude, 1e-5)
            row = []
            for band in range(80):
                low, middle, high = edges[band : band + 3]
                total = 0.0
                for k in range(math.ceil(low / 31.25), min(256, math.floor(high / 31.25)) + 1):
                    hz = 31.25 * k
                    height = min((hz - low) / (middle - low), (high - hz) / (high - middle))
                    total += max(0.0, height) * 2 / (high - low) * amplitude[k]
                row.append(min(2.0, max(-7.0, math.log10(max(total, 1e-10)))))
            rows.append(row)
        values.append(rows)
    return np.array(values)


def _sound(kind: str, samples: int = 6400) -> np.ndarray:
    rng = np.random.default_rng(5)
    t = np.arange(samples) / 16_000
    signal = {
        "silence": np.zeros(samples),
        "full scale": np.sign(np.sin(2 * np.pi * 440 * t)),
        "chirp": 0.4 * np.sin(2 * np.pi * (80 * t + 3000 * t**2)),
        "noise": 0.05 * rng.standard_normal(samples),
        "faint": 2e-4 * rng.standard_normal(samples),
    }[kind]
    return np.clip(np.round(signal * 32767), -32768, 32767).astype(np.int16)


def _stream(pcm: np.ndarray) -> np.ndarray:
    tails, tokens = dmel.new_tails(1), []
    for frame in pcm.reshape(-1, 1, dmel.FRAME_SAMPLES):
        codes, tails = dmel.encode(frame, tails)
        tokens.append(codes[0])
    return np.concatenate(tokens)


@pytest.mark.parametrize("kind", ["silence", "full scale", "chirp", "noise", "faint"])
def test_codes_equal_an_independent_offline_computation(kind):
    pcm = _sound(kind)
    levels = (offline(pcm) + 7) / (9 / 127)
    codes = _stream(pcm)
    assert codes.shape == (8, 8, 80)
    nearest = np.round(levels)
    # float32 may fall to the other side only where the exact value lies on the border between two levels
    on_border = np.abs(levels - nearest) > 0.5 - 5e-3
    assert (codes == nearest)[~on_border].all()
    assert on_border.mean() < 0.03


def test_the_five_sounds_use_the_scale():
    """Guards the test above against comparing constants."""
    seen = np.unique(np.concatenate([_stream(_sound(k)) for k in ("silence", "full scale", "chirp", "noise", "faint")]))
    assert len(seen) >= 90
    assert seen.max() >= 105


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_whole_sessions_and_frames_give_the_same_codes_however_cut(cuts, seed):
    """The stream's codes depend on its samples alone: cutting it into sessions that hand their tail on is invisible."""
    frames = sum(cuts)
    pcm = (np.random.default_rng(seed).standard_normal(frames * 3200) * 3000).astype(np.int16)
    expected = _stream(pcm)
    tails, tokens = dmel.new_tails(1), []
    at = 0
    for count in cuts:
        for frame in pcm[at * 3200 : (at + count) * 3200].reshape(-1, 1, 3200):
            codes, tails = dmel.encode(frame, tails.copy())
            tokens.append(codes[0])
        at += count
    assert (np.concatenate(tokens) == expected).all()
    assert (dmel.encode_session(pcm) == expected).mean() > 0.999


def test_a_token_depends_on_its_own_and_the_former_50_ms_only():
    pcm = _sound("noise")
    changed = pcm.copy()
    changed[4000:] = 0
    before, after = _stream(pcm), _stream(changed)
    assert (before[:5] == after[:5]).all()
    assert (before[5:] != after[5:]).any(axis=(1, 2)).all()


def test_batch_neighbours_and_batch_size_change_no_code():
    rng = np.random.default_rng(0)
    pcm = (rng.standard_normal((33, 3200)) * 2000).astype(np.int16)
    tails = (rng.standard_normal((33, 800)) * 2000).astype(np.int16)
    together, new_tails = dmel.encode(pcm, tails)
    for row in range(33):
        alone, tail = dmel.encode(pcm[row : row + 1], tails[row : row + 1])
        assert (alone[0] == together[row]).all()
        assert (tail[0] == new_tails[row]).all()
        assert (tail[0] == pcm[row, -800:]).all()


@pytest.mark.parametrize("shapes", [((1, 3199), (1, 800)), ((2, 3200), (1, 800)), ((3200,), (800,))])
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="3200"):
        dmel.encode(np.zeros(shapes[0], np.int16), np.zeros(shapes[1], np.int16))
