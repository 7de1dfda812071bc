"""What surrounds the voices: sounds that say nothing are short, of a sane level, and as various as promised."""

from __future__ import annotations

import random

import numpy as np

from training.script import TICK
from training.surround import cough, lay_cough
from training.synth import RATE_HZ


def test_sounds_that_say_nothing_are_short_finite_and_never_silent():
    rng, generator = random.Random(3), np.random.default_rng(3)
    sounds = [cough(rng, generator) for _ in range(200)]
    assert all(sound.dtype == np.float32 and np.isfinite(sound).all() for sound in sounds)
    assert all(0.05 * RATE_HZ < len(sound) < 4 * RATE_HZ for sound in sounds)
    levels = np.array([np.abs(sound).max() for sound in sounds])
    assert (levels > 0.01).all() and (levels < 3).all()
    slopes = [float(np.abs(np.diff(sound)).mean() / np.abs(sound).mean()) for sound in sounds]
    assert np.percentile(slopes, 90) > 3 * np.percentile(slopes, 10), "hissing ones and humming ones"


def test_a_cough_lies_where_it_was_asked_for_and_is_cut_at_the_end():
    audio = np.zeros(10 * TICK, np.float32)
    lay_cough(random.Random(1), audio, 9 * TICK)
    assert not audio[: 9 * TICK].any()
    assert audio[9 * TICK :].any()


def test_the_same_seed_gives_the_same_sound():
    one, other = (np.zeros(10 * TICK, np.float32) for _ in range(2))
    lay_cough(random.Random(5), one, 0)
    lay_cough(random.Random(5), other, 0)
    assert np.array_equal(one, other)
