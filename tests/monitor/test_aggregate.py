"""The pure aggregation: any order, any duplicates, the same summaries."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Floor, InteractionTurn
from services.monitor.aggregate import Aggregation, Summary, Verdict
from tests.monitor.turns import turn

T0 = 1_700_000_000_000


@dataclass(frozen=True)
class Arrival:
    turn: InteractionTurn
    arrival_ms: float


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Turns of two sessions over four seconds, some of them again: later, or from another epoch."""
    out = []
    for session_id in ("a", "b"):
        for tick in range(20):
            for _ in range(draw(st.integers(0, 3))):
                made = turn(
                    T0 + 200 * tick,
                    session_id=session_id,
                    epoch=draw(st.integers(0, 2)),
                    floor=draw(st.sampled_from(list(Floor))),
                    gap_ms=draw(st.sampled_from([0, 20, 200])),
                )
                # One arrival time for one record: two records of an epoch never arrive at the same instant.
                out.append(Arrival(made, T0 + 200 * tick + 200 + len(out) / 1000 + draw(st.integers(0, 900))))
    return out


def summaries(came: list[Arrival]) -> dict[tuple[str, int], Summary[int]]:
    aggregation: Aggregation[int] = Aggregation()
    aggregation.started("a", 30)
    for token, arrival in enumerate(came):
        aggregation.add(arrival.turn, arrival.arrival_ms, token)
    closed = aggregation.close(T0 + 60_000)
    assert aggregation.open_seconds == 0
    return {(x.metrics.session_id, x.metrics.timestamp_ms): x for x in closed}


@given(arrivals(), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(came: list[Arrival], random: st.DataObject) -> None:
    first = {key: summary.metrics for key, summary in summaries(came).items()}
    shuffled = came + came[::3]
    random.shuffle(shuffled)
    assert {key: summary.metrics for key, summary in summaries(shuffled).items()} == first


@given(arrivals())
def test_every_tick_counts_once_and_every_token_is_released_once(came: list[Arrival]) -> None:
    aggregation: Aggregation[int] = Aggregation()
    released: list[int] = []
    for token, arrival in enumerate(came):
        released += aggregation.add(arrival.turn, arrival.arrival_ms, token)[1]
    closed = aggregation.close(T0 + 60_000)
    released += [token for summary in closed for token in summary.tokens]
    assert sorted(released) == list(range(len(came)))
    assert sum(x.metrics.ticks for x in closed) == len({a.turn.key for a in came})


def test_a_second_says_what_happened_in_it() -> None:
    aggregation: Aggregation[str] = Aggregation(budget_ms=200)
    aggregation.started("s", 40)
    for tick, late_ms in enumerate([10, 20, 30, 200, 201]):
        floor = Floor.TAKE if tick == 2 else Floor.HOLD
        made = turn(T0 + 200 * tick, floor=floor, gap_ms=200 if tick == 4 else 0)
        aggregation.add(made, T0 + 200 * tick + 240 + late_ms, f"t{tick}")
    (summary,) = aggregation.close(T0 + 10_000)
    metrics = summary.metrics
    assert (metrics.session_id, metrics.timestamp_ms, metrics.ticks) == ("s", T0, 5)
    assert (metrics.latency_p50_ms, metrics.latency_max_ms, metrics.deadline_misses) == (30.0, 201.0, 1)
    assert (metrics.gap_ms, metrics.speaking_ticks) == (200, 1)
    assert sorted(summary.tokens) == ["t0", "t1", "t2", "t3", "t4"]


def test_the_newest_epoch_counts_whenever_it_comes() -> None:
    for order in ((1, 2), (2, 1)):
        aggregation: Aggregation[int] = Aggregation()
        for epoch in order:
            floor = Floor.TAKE if epoch == 2 else Floor.HOLD
            aggregation.add(turn(T0, epoch=epoch, floor=floor), T0 + 200 + epoch, epoch)
        (summary,) = aggregation.close(T0 + 10_000)
        assert (summary.metrics.ticks, summary.metrics.speaking_ticks, summary.tokens) == (1, 1, (2,))


def test_a_closed_second_stays_closed() -> None:
    aggregation: Aggregation[int] = Aggregation(grace_ms=2_000)
    aggregation.add(turn(T0), T0 + 210, 0)
    assert aggregation.close(T0 + 2_999) == []
    assert len(aggregation.close(T0 + 3_000)) == 1
    assert aggregation.add(turn(T0 + 200), T0 + 3_100, 1) == (Verdict.LATE, [1])
    assert aggregation.add(turn(T0 + 1_000), T0 + 3_100, 2) == (Verdict.COUNTED, [])
    assert [x.metrics.timestamp_ms for x in aggregation.close(T0 + 9_000)] == [T0 + 1_000]


def test_a_session_ahead_of_the_wall_clock_closes_by_its_own_time() -> None:
    aggregation: Aggregation[int] = Aggregation(grace_ms=2_000)
    for tick in range(50):  # ten seconds of a file, read in no time
        aggregation.add(turn(T0 + 200 * tick), T0, tick)
    closed = aggregation.close(T0)
    assert [x.metrics.timestamp_ms for x in closed] == [T0 + 1_000 * i for i in range(8)]
    assert {x.metrics.latency_max_ms for x in closed} == {0.0}
    assert aggregation.open_seconds == 2


def test_a_backlog_counts_but_says_nothing_of_latency() -> None:
    aggregation: Aggregation[int] = Aggregation()
    for tick in range(5):
        aggregation.add(turn(T0 + 200 * tick), T0 + 30_000, tick, live=False)
    assert aggregation.close(T0 + 31_000) == []  # it may still be arriving
    (summary,) = aggregation.close(T0 + 32_000)
    assert (summary.metrics.ticks, summary.metrics.deadline_misses, summary.latencies_ms) == (5, 0, ())


def test_memory_is_given_back_when_a_session_falls_silent() -> None:
    aggregation: Aggregation[int] = Aggregation()
    for number in range(100):
        aggregation.add(turn(T0, session_id=f"s{number}"), T0 + 210, number)
    aggregation.close(T0 + 10_000)
    assert len(aggregation._sessions) == 100
    aggregation.close(T0 + 100_000)
    assert len(aggregation._sessions) == 0
