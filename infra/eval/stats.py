"""Every figure of the report comes from here: a value, how many observations made it, and a 95 % bootstrap interval.

Whole scenarios are drawn again, not single observations, for what happens in one session hangs together. Draws are
seeded by the metric and the model, so that the same recordings give the same report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_N = 10
RESAMPLES = 2000
MANY = 5000
LEVEL = 0.95

_PARTS = 20  # of the draws, worked on one after the other: so much less memory
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one scenario contributes: ``values[i]`` of weight ``weights[i]`` (1 for plain observations)."""

    scenario: str
    values: tuple[float, ...]
    weights: tuple[float, ...]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``value`` is None where there is nothing to say, and ``note`` says why; ``n`` counts observations."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    note: str = ""


def ratio(samples: Sequence[Sample], seed: str, *, binary: bool = False, by_weight: bool = False,
          least: int = MIN_N) -> Estimate:  # fmt: skip
    """Sum of values over sum of weights: a mean, a rate, an F1, events a minute. Hidden below ``least`` observations.

    ``binary``: the values are 0 or 1; see ``_all_alike``. ``by_weight``: the weights count what was observed (ticks).
    """
    n = round(sum(sum(s.weights) for s in samples)) if by_weight else sum(len(s.values) for s in samples)
    hidden = _hidden(n, least)
    if hidden is not None:
        return hidden
    over, under = _sums(samples)
    if under.sum() <= 0:
        return Estimate(None, n, note="nothing to count")
    value = float(over.sum() / under.sum())
    if binary and value in (0.0, 1.0):
        return _all_alike(value, n)
    drawn = _draws(len(samples), seed)
    low, high = _interval(_quotient(over[drawn].sum(axis=1), under[drawn].sum(axis=1)))
    return Estimate(value, n, low, high)


def macro(samples: Sequence[Sample], seed: str) -> Estimate:
    """The mean over groups of each group's rate of zeros and ones; scenarios are drawn within their group."""
    n = sum(len(sample.values) for sample in samples)
    hidden = _hidden(n, MIN_N)
    if hidden is not None:
        return hidden
    values, spread = [], []
    for group in sorted({sample.group for sample in samples}):
        over, under = _sums([sample for sample in samples if sample.group == group])
        drawn = _draws(len(over), f"{seed}/{group}")
        values.append(float(over.sum() / under.sum()))
        spread.append(_quotient(over[drawn].sum(axis=1), under[drawn].sum(axis=1)))
    value = float(np.mean(values))
    if value in (0.0, 1.0):
        return _all_alike(value, n)
    low, high = _interval(np.mean(spread, axis=0))
    return Estimate(value, n, low, high)


def quantile(samples: Sequence[Sample], q: float, seed: str) -> Estimate:
    """The ``q`` quantile of all values, weights aside (linear between the two nearest, as numpy does it)."""
    values = [value for sample in samples for value in sample.values]
    if not values:
        return Estimate(None, 0, note="never happened")
    spread = _redrawn_quantiles(samples, q, seed)
    low, high = _interval(spread)
    return Estimate(float(np.quantile(values, q)), len(values), low, high)


def total(samples: Sequence[Sample]) -> Estimate:
    """The sum of all values, as counted: no interval."""
    values = [value for sample in samples for value in sample.values]
    return Estimate(float(sum(values)), len(values)) if values else Estimate(None, 0, note="never happened")


def highest(samples: Sequence[Sample]) -> Estimate:
    """The greatest of all values, as counted: no interval."""
    values = [value for sample in samples for value in sample.values]
    return Estimate(float(max(values)), len(values)) if values else Estimate(None, 0, note="never happened")


def _all_alike(value: float, n: int) -> Estimate:
    """All 0 or all 1: the bootstrap knows no spread there, so the exact (Clopper-Pearson) bound stands in its place."""
    bound = ((1 - LEVEL) / 2) ** (1 / n)
    low, high = (bound, 1.0) if value else (0.0, 1 - bound)
    return Estimate(value, n, low, high, "exact interval")


def _redrawn_quantiles(samples: Sequence[Sample], q: float, seed: str) -> _Floats:
    """The quantile of each redrawn set of scenarios; fewer sets where there are very many values.

    Instead of copying a scenario's values as often as it was drawn, each sorted value is counted so often.
    """
    kept = [sample.values for sample in samples if sample.values]
    values = np.concatenate([np.array(each, np.float64) for each in kept])
    owner = np.repeat(np.arange(len(kept)), [len(each) for each in kept])
    order = np.argsort(values)
    values, owner = values[order], owner[order]
    resamples = RESAMPLES if len(values) <= MANY else RESAMPLES // 10
    drawn = _draws(len(kept), seed)[:resamples]
    return np.concatenate([_quantiles(values, owner, part, q) for part in np.array_split(drawn, _PARTS)])


def _quantiles(values: _Floats, owner: _Ints, drawn: _Ints, q: float) -> _Floats:
    """A quantile for each row of ``drawn`` (indices of scenarios); ``values`` are sorted, ``owner`` their scenarios."""
    sets, size = drawn.shape
    counts = np.bincount((drawn + size * np.arange(sets)[:, None]).ravel(), minlength=sets * size).reshape(sets, size)
    seen = np.cumsum(counts[:, owner], axis=1)
    place = q * (seen[:, -1] - 1)
    low, high = (values[(seen <= at[:, None]).sum(axis=1)] for at in (np.floor(place), np.ceil(place)))
    quantiles: _Floats = low + (high - low) * (place - np.floor(place))
    return quantiles


def _hidden(n: int, least: int) -> Estimate | None:
    if n == 0:
        return Estimate(None, 0, note="never happened")
    return None if n >= least else Estimate(None, n, note=f"hidden: n = {n} < {least}")


def _sums(samples: Sequence[Sample]) -> tuple[_Floats, _Floats]:
    return (
        np.array([sum(sample.values) for sample in samples], np.float64),
        np.array([sum(sample.weights) for sample in samples], np.float64),
    )


def _draws(size: int, seed: str) -> npt.NDArray[np.intp]:
    digest = hashlib.sha256(seed.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little")).integers(0, size, (RESAMPLES, size))


def _quotient(over: _Floats, under: _Floats) -> _Floats:
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under > 0)


def _interval(spread: _Floats) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(spread, [tail, 100 - tail])
    return float(low), float(high)
