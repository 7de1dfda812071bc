"""Resampling by content: any chunking gives the same samples, tones keep pitch and level, rates are refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audio import SILENCE_DBFS, AudioError, Resampler, level_dbfs, samples, stretch, to_pcm16

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def tone(rate_hz: int, seconds: float, hz: float = 440.0, peak: float = 10_000.0) -> bytes:
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    return to_pcm16((peak * np.sin(2 * math.pi * hz * t)).astype(np.float32))


def resample(pcm: bytes, rate_hz: int, sizes: list[int]) -> bytes:
    resampler, out, at, turn = Resampler(rate_hz), [], 0, 0
    while at < len(pcm):
        size = 2 * sizes[turn % len(sizes)]
        out.append(resampler.push(pcm[at : at + size]))
        at, turn = at + size, turn + 1
    out.append(resampler.flush())
    return b"".join(out)


@settings(max_examples=25, deadline=None)
@given(rate_hz=st.sampled_from(RATES), sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_any_chunking_gives_the_same_samples(rate_hz: int, sizes: list[int]) -> None:
    pcm = np.random.default_rng(3).integers(-20_000, 20_000, rate_hz // 5, dtype=np.int16).tobytes()
    assert resample(pcm, rate_hz, sizes) == resample(pcm, rate_hz, [len(pcm)])


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("hz", [200.0, 1000.0, 3400.0])
def test_a_tone_keeps_pitch_level_and_length(rate_hz: int, hz: float) -> None:
    out = samples(resample(tone(rate_hz, 1.0, hz), rate_hz, [rate_hz // 50])).astype(np.float64)
    assert abs(len(out) - 16_000) <= 1
    middle = out[2000:-2000]
    at = np.arange(len(middle)) / 16_000
    basis = np.stack([np.sin(2 * math.pi * hz * at), np.cos(2 * math.pi * hz * at)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, middle, rcond=None)
    assert np.hypot(*weights) == pytest.approx(10_000, rel=0.01)
    noise = middle - basis @ weights
    assert 10 * math.log10(np.mean(middle**2) / np.mean(noise**2)) > 60


def test_what_lies_above_8_khz_does_not_fold_back() -> None:
    out = resample(tone(48_000, 0.5, 10_000.0), 48_000, [960])
    assert level_dbfs(out[4_000:-4_000]) < -80


def test_holds_back_little() -> None:
    resampler = Resampler(48_000)
    given_ms, got = 400, 0
    for start in range(0, given_ms, 20):
        got += len(resampler.push(tone(48_000, given_ms / 1000)[start * 96 : (start + 20) * 96]))
    assert given_ms - got / 32 < 20


@pytest.mark.parametrize("rate_hz", [0, 7_999, 48_001, 96_000, -16_000])
def test_refuses_a_rate_by_name(rate_hz: int) -> None:
    with pytest.raises(AudioError, match=f"{rate_hz} Hz is outside 8000..48000 Hz"):
        Resampler(rate_hz)


def test_refuses_half_a_sample_and_goes_on() -> None:
    resampler = Resampler(16_000)
    with pytest.raises(AudioError, match="3 bytes are not whole PCM16 samples"):
        resampler.push(b"abc")
    assert resampler.push(b"abcd") == b"abcd"


def test_levels() -> None:
    assert level_dbfs(b"") == SILENCE_DBFS
    assert level_dbfs(bytes(6400)) == SILENCE_DBFS
    assert level_dbfs(tone(16_000, 1.0, peak=32_767)) == pytest.approx(-3.01, abs=0.02)


def test_stretch_changes_length_not_content() -> None:
    pcm = tone(16_000, 0.2)
    longer = samples(stretch(pcm[: 3184 * 2], 3200)).astype(np.float64)
    assert len(longer) == 3200
    assert np.abs(np.diff(longer)).max() <= np.abs(np.diff(samples(pcm).astype(np.float64))).max() + 2
    assert longer[0] == 0
    assert longer[-1] == samples(pcm)[3183]
