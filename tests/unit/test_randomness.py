"""Chance by counter: the same pair gives the same numbers, for ever; and words are drawn as often as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from services.interaction.randomness import choose, uniforms


def test_the_numbers_are_these_for_ever():
    """Recorded sessions depend on them: a change here is a new model version, or a mistake."""
    assert uniforms(7, 3, 4).tolist() == [
        0.43900223090044976,
        0.1656586882435429,
        0.98230470040924,
        0.46465544928992797,
    ]
    assert uniforms(2**63 - 1, 10**9, 2, stream=1).tolist() == [0.2774424290364761, 0.4404270173046001]


def test_more_numbers_change_no_earlier_one_and_ticks_and_streams_are_told_apart():
    assert uniforms(1, 2, 9)[:3].tolist() == uniforms(1, 2, 3).tolist()
    seen = {float(uniforms(seed, tick, 1, stream=s)[0]) for seed in range(20) for tick in range(20) for s in range(3)}
    assert len(seen) == 1200
    # A tick's numbers do not run into the next one's, however many are drawn.
    assert not set(uniforms(1, 2, 1000).tolist()) & set(uniforms(1, 3, 1000).tolist())


def test_they_are_uniform():
    values = np.array([uniforms(11, tick, 1)[0] for tick in range(20_000)])
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi squared, 19 degrees of freedom, 0.1 %


def test_temperature_zero_takes_the_most_likely():
    logits = np.array([0.1, 2.0, 2.0, -1.0], np.float32)
    assert choose(logits, 0.0, 0.999) == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_words_are_drawn_by_their_share(temperature):
    logits = np.array([0.0, 1.0, -2.0, 0.5], np.float32)
    drawn = [choose(logits, temperature, float(u)) for u in (np.arange(10_000) + 0.5) / 10_000]
    share = np.bincount(drawn, minlength=4) / 10_000
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    np.testing.assert_allclose(share, expected, atol=2e-4)


def test_the_edges_of_the_unit_interval_are_classes_that_can_be_said():
    logits = np.array([-np.inf, 0.0, 0.0, -np.inf], np.float32)
    assert choose(logits, 1.0, 0.0) == 1
    assert choose(logits, 1.0, 1.0 - 2.0**-53) == 2


def test_a_negative_temperature_is_refused():
    with pytest.raises(ValueError, match="negative"):
        choose(np.zeros(3, np.float32), -0.1, 0.5)
