"""The generator of the teacher by torch: its parts and the whole do what the packaged graph does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training import kokoro
from training.kokoro_fast import FastSession, _activated, _Conv, fast
from training.speech import teacher


def test_normalises_and_bends_like_the_formula() -> None:
    rows, style = 5.0 + torch.randn(1300, 8), torch.randn(16)
    alpha = 0.5 + torch.rand(8)
    mean, deviation = rows.mean(0), torch.sqrt(rows.var(0, correction=0) + 1e-5)
    x = (1.0 + style[:8]) * (rows - mean) / deviation + style[8:]
    expected = x + torch.sin(alpha * x) ** 2 / alpha
    assert torch.allclose(_activated(rows, style, alpha).float(), expected, rtol=0.01, atol=0.02)


def test_a_convolution_over_rows_is_one_over_time() -> None:
    weight, bias = torch.randn(8, 8, 3), torch.randn(8)
    rows = torch.randn(50, 8).bfloat16()
    made = _Conv(weight[:, :, None].bfloat16(), bias.bfloat16(), 3)(rows)
    line = rows.float().t()[None]
    expected = torch.nn.functional.conv1d(line, weight.bfloat16().float(), bias, padding=3, dilation=3)[0].t()
    assert torch.allclose(made.float(), expected, rtol=0.02, atol=0.1)


@pytest.mark.skipif(
    not (kokoro.kokoro_ready() and (kokoro.CACHE / "package/voices").is_dir() and fast()),
    reason="without Kokoro in its cache, or without bfloat16 products",
)
def test_durations_are_the_same_and_the_sound_nearly() -> None:
    _, fed = teacher.inputs("what time is the meeting tomorrow?", teacher.VOICES[0])
    path = kokoro.model()
    audio, durations = FastSession(path).run(None, fed)
    expected, steps = kokoro.plain_session(path).run(None, fed)
    assert np.array_equal(durations, steps)
    assert audio.shape == expected.shape
    assert np.corrcoef(audio.reshape(-1), expected.reshape(-1))[0, 1] > 0.95
