"""Figures and their intervals, against numbers that can be worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from infra.eval import stats
from infra.eval.stats import Sample


def samples(values: list[float], *, per_scenario: int = 1, group: str = "") -> list[Sample]:
    chunks = [values[i : i + per_scenario] for i in range(0, len(values), per_scenario)]
    return [Sample(f"s{i}", tuple(c), (1.0,) * len(c), group) for i, c in enumerate(chunks)]


def test_a_rate_has_the_interval_that_theory_gives() -> None:
    """30 of 100: 0.3 +- 1.96 sqrt(0.3 x 0.7 / 100) = 0.3 +- 0.0898."""
    made = stats.ratio(samples([1.0] * 30 + [0.0] * 70), "seed", binary=True)
    assert (made.value, made.n) == (0.3, 100)
    assert made.low == pytest.approx(0.21, abs=0.015)
    assert made.high == pytest.approx(0.39, abs=0.015)


def test_observations_of_one_scenario_hang_together() -> None:
    """Ten of ten alike in each scenario: there are 10 independent observations, not 100."""
    values = [1.0] * 30 + [0.0] * 70
    alone = stats.ratio(samples(values), "seed", binary=True)
    together = stats.ratio(samples(values, per_scenario=10), "seed", binary=True)
    assert together.value == alone.value
    assert together.low is not None and alone.low is not None
    assert together.low < alone.low - 0.1


def test_all_alike_is_no_certainty() -> None:
    """40 of 40: the exact two-sided bound is 0.025 ** (1/40) = 0.9119."""
    made = stats.ratio(samples([1.0] * 40), "seed", binary=True)
    assert (made.value, made.high) == (1.0, 1.0)
    assert made.low == pytest.approx(0.9119, abs=1e-4)
    none = stats.ratio(samples([0.0] * 40), "seed", binary=True)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.0881, abs=1e-4)


def test_a_rate_of_few_is_hidden() -> None:
    made = stats.ratio(samples([1.0] * 9), "seed", binary=True)
    assert made.value is made.low is made.high is None
    assert made.n == 9 and "9 < 10" in made.note
    assert stats.macro(samples([1.0] * 9), "seed").value is None
    assert stats.ratio(samples([1.0] * 10), "seed", binary=True).value == 1.0


def test_weights_make_a_quotient_of_sums() -> None:
    """F1: (2 + 0 + ... ) over (4 + 1 + ...), not the mean of the quotients."""
    made = stats.ratio([Sample(f"s{i}", (2.0 if i % 2 else 0.0,), (4.0 if i % 2 else 1.0,)) for i in range(10)], "seed")
    assert made.value == pytest.approx(10 / 25)


def test_nothing_to_count_is_no_zero() -> None:
    made = stats.ratio([Sample(f"s{i}", (0.0,), (0.0,)) for i in range(10)], "seed")
    assert made.value is None and made.note


def test_macro_weighs_groups_alike() -> None:
    """90 of 90 in one group, 0 of 10 in the other: 0.5, not 0.9."""
    made = stats.macro([*samples([1.0] * 90, group="a"), *samples([0.0] * 10, group="b")], "seed")
    assert (made.value, made.n) == (0.5, 100)


def test_quantiles() -> None:
    """Of 0..10: the median is 5; the 90th percentile lies at place 0.9 x 10 = 9."""
    values = [float(v) for v in range(11)]
    assert stats.quantile(samples(values), 0.5, "seed").value == 5.0
    p90 = stats.quantile(samples(values), 0.9, "seed")
    assert p90.value == 9.0
    assert p90.low is not None and p90.high is not None and p90.low <= 9.0 <= p90.high
    assert stats.quantile([], 0.5, "seed").value is None


def test_sums_and_maxima_have_no_interval() -> None:
    assert stats.total(samples([1.0, 2.0, 4.0])) == stats.Estimate(7.0, 3)
    assert stats.highest(samples([1.0, 4.0, 2.0])) == stats.Estimate(4.0, 3)
    assert stats.total([]).value is None and stats.highest([]).value is None


def test_the_same_seed_gives_the_same_interval() -> None:
    values = samples([float(i * i) for i in range(40)])
    assert stats.ratio(values, "a") == stats.ratio(values, "a")
    assert stats.ratio(values, "a") != stats.ratio(values, "b")


def test_very_many_values_are_drawn_less_often() -> None:
    made = stats.quantile(samples([float(i % 100) for i in range(6000)], per_scenario=60), 0.99, "seed")
    assert made.n == 6000 and made.value == pytest.approx(98.01, abs=1.0)


def test_counting_values_is_the_same_as_copying_them() -> None:
    """The quantiles of redrawn sets, against sets that are written out."""
    rng = np.random.default_rng(5)
    made = [Sample(f"s{i}", tuple(rng.normal(size=rng.integers(1, 5))), ()) for i in range(12)]
    spread = stats._redrawn_quantiles(made, 0.9, "seed")
    written_out = [
        np.quantile(np.concatenate([made[i].values for i in drawn]), 0.9) for drawn in stats._draws(len(made), "seed")
    ]
    assert spread == pytest.approx(np.array(written_out))
