"""What the opinion score is shown of a take: the same whoever left how much silence around it."""

from __future__ import annotations

import numpy as np
import pytest

from services.interaction.speech.config import RATE_HZ
from training.speech.listen import MARGIN_S, framed

MARGIN = round(MARGIN_S * RATE_HZ)
SPOKEN = (0.1 * np.sin(np.arange(RATE_HZ) * 2 * np.pi * 200 / RATE_HZ)).astype(np.float32)  # a second


def _between(before: int, after: int) -> np.ndarray:
    return np.concatenate([np.zeros(before, np.float32), SPOKEN, np.zeros(after, np.float32)])


@pytest.mark.parametrize(("before", "after"), [(0, 0), (480, 0), (0, 2 * RATE_HZ), (RATE_HZ, 960)])
def test_the_pause_around_a_take_is_always_as_long(before, after):
    made = framed(_between(before, after))
    assert len(made) == len(SPOKEN) + 2 * MARGIN
    assert (made[MARGIN:-MARGIN] == SPOKEN).all()
    assert not made[:MARGIN].any()
    assert not made[-MARGIN:].any()


def test_what_lies_around_it_is_kept():
    take = _between(RATE_HZ, RATE_HZ) + np.float32(1e-4)
    assert (framed(take)[:MARGIN] == take[RATE_HZ - MARGIN : RATE_HZ]).all()


def test_of_nothing_nothing_is_cut():
    silence = np.zeros(RATE_HZ, np.float32)
    assert framed(silence) is silence
