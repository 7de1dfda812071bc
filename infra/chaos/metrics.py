"""What a fault did, from what the clients heard and when. Pure: times are seconds on one monotonic clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

LATE_MS = 400.0
"""A turn later than this after its frame's end is no steady state."""
SILENT_S = 0.6
"""Nor is it when a client hears nothing for so long: three ticks."""
STEADY_S = 2.0
"""How long all must be well for the fault to be over."""


@dataclass(slots=True)
class Heard:
    """One client: its turns in order of arrival. ``digests`` tell whether they are the log's; ``expected`` ticks."""

    session_id: str = ""
    expected: int = 0
    ticks: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    resumes: int = 0
    error: str = ""


def lost(heard: Heard) -> int:
    """Ticks of the session without a turn at the client after everything settled."""
    return len(set(range(heard.expected)) - set(heard.ticks))


def doubled(heard: Heard) -> int:
    """Turns of ticks that the client had a turn of already."""
    return len(heard.ticks) - len(set(heard.ticks))


def order_violations(heard: Heard) -> int:
    """Turns, doubles aside, of ticks before one that came earlier."""
    newest, seen, violations = -1, set[int](), 0
    for tick in heard.ticks:
        violations += tick < newest and tick not in seen
        seen.add(tick)
        newest = max(newest, tick)
    return violations


def longest_gap_ms(heard: Heard, begin: float, end: float) -> float:
    """The longest time without a turn that lies at least partly in the window; silence at its end counts."""
    times = [*heard.arrivals, end] if not heard.arrivals or heard.arrivals[-1] < end else heard.arrivals
    gaps = [b - a for a, b in pairwise(times) if b > begin and a < end]
    return max(gaps, default=end - begin) * 1000


def recovered_s(everybody: Iterable[Heard], begin: float, healed: float, end: float) -> float | None:
    """Time from ``begin`` until all clients have had their turns in time for ``STEADY_S``; None when not by ``end``.

    Whatever is wrong before ``healed`` counts, however late a fault takes effect.
    """
    at = begin
    for since, until in sorted(span for heard in everybody for span in _unwell(heard, begin, end)):
        if since >= max(at + STEADY_S, healed):
            break
        at = max(at, until)
    return at - begin if at + STEADY_S <= end else None


def _unwell(heard: Heard, begin: float, end: float) -> Iterable[tuple[float, float]]:
    """Spans that are no steady state: late turns, as points, and silences."""
    for arrival, latency_ms in zip(heard.arrivals, heard.latencies_ms, strict=True):
        if begin <= arrival <= end and latency_ms > LATE_MS:
            yield arrival, arrival
    # The clock starts with the fault: what had come before is no silence of its making.
    for a, b in pairwise([*(t for t in heard.arrivals if t < end), end]):
        if b > begin and b - a > SILENT_S:
            yield max(a, begin), b


@dataclass(frozen=True, slots=True)
class Verdict:
    """All clients of one fault together."""

    ticks: int
    ticks_lost: int
    ticks_doubled: int
    order_violations: int
    gap_ms_p50: float
    gap_ms_max: float
    recovered_s: float | None
    latency_ms_p50: float
    latency_ms_p99: float
    resumes: int
    errors: list[str]


def judge(everybody: Sequence[Heard], begin: float, healed: float, end: float) -> Verdict:
    """Fold what all clients of a row heard, from the fault's begin to the end of the row's observation."""
    gaps = [longest_gap_ms(heard, begin, end) for heard in everybody]
    quiet = sorted(
        latency
        for heard in everybody
        for arrival, latency in zip(heard.arrivals, heard.latencies_ms, strict=True)
        if arrival < begin
    )
    return Verdict(
        ticks=sum(heard.expected for heard in everybody),
        ticks_lost=sum(map(lost, everybody)),
        ticks_doubled=sum(map(doubled, everybody)),
        order_violations=sum(map(order_violations, everybody)),
        gap_ms_p50=percentile(sorted(gaps), 50),
        gap_ms_max=max(gaps, default=0.0),
        recovered_s=recovered_s(everybody, begin, healed, end),
        latency_ms_p50=percentile(quiet, 50),
        latency_ms_p99=percentile(quiet, 99),
        resumes=sum(heard.resumes for heard in everybody),
        errors=[heard.error for heard in everybody if heard.error],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the ordered values do not exceed; 0 of nothing."""
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
