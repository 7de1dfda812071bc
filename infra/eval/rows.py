"""From observations to the rows of the report, and what the rows say about the metrics themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from infra.eval import stats
from infra.eval.metrics import ALONE, BY_NAME, METRICS, NOT, How, Metric
from infra.eval.stats import Estimate, Sample
from infra.eval.take import Observation

TEXT = "_text"
ORACLE = "oracle"
CONTROLS = ("always_silent", "always_talking")
ORACLE_SHARE = 0.99
_QUANTILES = {How.P50: 0.5, How.P90: 0.9, How.P99: 0.99}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one model, as ``behaviour.json`` has it."""

    row: int
    metric: str
    model: str
    value: float | None
    unit: str
    n: int
    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check on a metric found: ``kind`` is ``defect`` (a control wins), ``oracle`` (it fails), ``unchecked`` (no
    figure of the oracle to hold it against) or ``passed``."""

    kind: str
    metric: str
    text: str


def rows_of(model: str, observations: Iterable[Observation], *, suffix: str = "") -> list[Row]:
    """All metrics of one model. ``suffix`` marks the cross-check by its own text: only what depends on words."""
    by_name: dict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        by_name[observation.metric].append(observation)
    estimates: dict[str, Estimate] = {}
    for metric in METRICS:
        if metric.how != How.WEAKEST:
            seed = f"{metric.name}/{model}{suffix}"
            estimates[metric.name] = estimate(metric, by_name.get(metric.observed, []), seed)
    for metric in METRICS:
        if metric.how == How.WEAKEST:
            estimates[metric.name] = weakest([(name, estimates[name]) for name in metric.of])
    chosen = [metric for metric in METRICS if metric.words or not suffix]
    return [_row(metric, model, estimates[metric.name], suffix) for metric in chosen]


def _row(metric: Metric, model: str, made: Estimate, suffix: str) -> Row:
    name = f"{metric.name}{suffix}"
    return Row(metric.row, name, model, made.value, metric.unit, made.n, made.low, made.high, made.note)


def estimate(metric: Metric, observations: Sequence[Observation], seed: str) -> Estimate:
    """One figure from what was observed."""
    samples = samples_of(observations)
    if metric.how in _QUANTILES:
        return stats.quantile(samples, _QUANTILES[metric.how], seed)
    if metric.how == How.MACRO:
        return stats.macro(samples, seed)
    if metric.how == How.MAX:
        return stats.highest(samples)
    if metric.how == How.SUM:
        return stats.total(samples)
    least = stats.MIN_N if metric.is_rate else 1
    return stats.ratio(samples, seed, binary=metric.how == How.RATE, by_weight=metric.by_weight, least=least)


def samples_of(observations: Iterable[Observation]) -> list[Sample]:
    """Observations by scenario (and group)."""
    found: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for seen in observations:
        found[(seen.scenario, seen.group)].append(seen)
    return [
        Sample(scenario, tuple(o.value for o in seen), tuple(o.weight for o in seen), group)
        for (scenario, group), seen in sorted(found.items())
    ]


def weakest(parts: Sequence[tuple[str, Estimate]]) -> Estimate:
    """The worst of several rates, with its own interval; none where one of them is missing."""
    for name, part in parts:
        if part.value is None:
            return Estimate(None, part.n, note=f"{name}: {part.note}")
    name, worst = min(parts, key=lambda part: part[1].value or 0.0)
    return replace(worst, note=name)


# --- what the controls and the oracle say about the metrics -------------------------------------------------------


def check(rows: Iterable[Row]) -> list[Finding]:
    """Does a control win something, and does the oracle nearly reach the best? Without an oracle nobody can say."""
    values = {(row.metric, row.model): row.value for row in rows}
    models = {model for _, model in values}
    if ORACLE not in models:
        return [Finding("unchecked", "every metric", "no recordings of the oracle")]
    findings = [finding for metric in METRICS for finding in _oracle(metric, values)]
    for control in sorted(models & set(CONTROLS)):
        judged = (metric for metric in METRICS if metric.better and metric.judged)
        findings += [finding for metric in judged for finding in _control(metric, control, values)]
    return findings


_Values = Mapping[tuple[str, str], float | None]


def _oracle(metric: Metric, values: _Values) -> list[Finding]:
    value = values.get((metric.name, ORACLE))
    if metric.judged == NOT or metric.unit != "share":
        return []
    if value is None:
        return [Finding("unchecked", metric.name, "the oracle has no value, or too few observations for one")]
    reached = value if metric.better > 0 else 1 - value
    if reached >= ORACLE_SHARE:
        return [Finding("passed", metric.name, f"oracle {value:.3f}")]
    return [Finding("oracle", metric.name, f"the oracle has {value:.3f}: scenario, scorer or oracle is wrong")]


def _control(metric: Metric, control: str, values: _Values) -> list[Finding]:
    """A control wins where it is at least as good as the oracle in what decides for this metric."""
    deciding = metric if metric.judged == ALONE else BY_NAME[metric.judged]
    own, best = values.get((deciding.name, control)), values.get((deciding.name, ORACLE))
    if own is None or best is None:
        return []
    if (own - best) * deciding.better >= 0:
        return [Finding("defect", metric.name, f"{control} ({own:.3f}) is as good as the oracle ({best:.3f})")]
    return []
