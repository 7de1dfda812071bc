"""What a fault did, on cases worked out by hand."""

from __future__ import annotations

import pytest

from infra.chaos.metrics import Heard, doubled, judge, longest_gap_ms, lost, order_violations, percentile, recovered_s


def heard(*turns: tuple[int, float], expected: int = 0, late: dict[int, float] | None = None) -> Heard:
    """Turns as ``(tick, arrival)``; each 50 ms late unless ``late`` says otherwise for its tick."""
    return Heard(
        session_id="s",
        expected=expected,
        ticks=[tick for tick, _ in turns],
        arrivals=[at for _, at in turns],
        latencies_ms=[(late or {}).get(tick, 50.0) for tick, _ in turns],
        digests=[0] * len(turns),
    )


def steady(first: int, count: int, begin: float) -> list[tuple[int, float]]:
    return [(first + n, begin + 0.2 * n) for n in range(count)]


def test_lost_are_the_ticks_that_never_came() -> None:
    assert lost(heard((0, 0.0), (1, 0.2), (3, 0.6), expected=5)) == 2
    assert lost(heard((0, 0.0), (0, 0.1), (1, 0.2), expected=2)) == 0
    assert lost(heard(expected=4)) == 4


def test_doubled_are_the_turns_too_many() -> None:
    assert doubled(heard((0, 0.0), (1, 0.2), (1, 0.3), (1, 0.4), (0, 0.5))) == 3
    assert doubled(heard((0, 0.0), (1, 0.2))) == 0


def test_disorder_is_a_new_turn_of_an_older_tick() -> None:
    assert order_violations(heard((0, 0.0), (2, 0.1), (1, 0.2), (3, 0.3))) == 1
    assert order_violations(heard((0, 0.0), (1, 0.1), (1, 0.2), (2, 0.3))) == 0, "a double is no disorder"
    assert order_violations(heard((5, 0.0), (4, 0.1), (3, 0.2))) == 2
    assert order_violations(heard((0, 0.0), (4, 0.1), (5, 0.2))) == 0, "a hole is no disorder"


def test_the_gap_is_the_longest_silence_that_touches_the_window() -> None:
    turns = [*steady(0, 6, 0.0), (6, 3.5), (7, 3.6), (8, 3.8)]  # 1.0 to 3.5: silent
    one = heard(*turns)
    assert longest_gap_ms(one, 2.0, 3.8) == pytest.approx(2_500), "it began before the fault, and lasted into it"
    assert longest_gap_ms(one, 0.0, 0.9) == pytest.approx(200)
    assert longest_gap_ms(one, 3.55, 3.8) == pytest.approx(200)


def test_silence_up_to_the_end_counts() -> None:
    assert longest_gap_ms(heard((0, 0.0), (1, 0.2)), 0.1, 5.2) == pytest.approx(5_000)
    assert longest_gap_ms(heard(), 1.0, 4.0) == pytest.approx(3_000)


def test_recovery_is_from_the_fault_to_the_last_late_turn_or_silence() -> None:
    silent = heard(*steady(0, 6, 0.0), *steady(6, 30, 4.0))  # nothing from 1.0 to 4.0
    assert recovered_s([silent], 1.0, 1.5, 9.8) == pytest.approx(3.0)
    late = heard(*steady(0, 50, 0.0), late={12: 900.0})  # tick 12 arrives at 2.4
    assert recovered_s([late], 1.0, 1.5, 9.8) == pytest.approx(1.4)
    assert recovered_s([silent, late], 1.0, 1.5, 9.8) == pytest.approx(3.0)


def test_what_came_before_the_fault_or_long_after_is_not_its_doing() -> None:
    assert recovered_s([heard(*steady(0, 50, 0.0), late={2: 900.0})], 1.0, 1.5, 9.8) == 0.0
    long_after = heard(*steady(0, 50, 0.0), late={10: 900.0, 30: 900.0})  # at 2.0 and at 6.0
    assert recovered_s([long_after], 1.0, 1.5, 9.8) == pytest.approx(1.0), "well from 2.0 on, for two seconds"


def test_a_fault_that_takes_effect_late_is_not_over_before_it_is_healed() -> None:
    late = heard(*steady(0, 50, 0.0), late={25: 900.0})  # at 5.0, four seconds of calm after the fault's begin
    assert recovered_s([late], 1.0, 1.5, 9.8) == 0.0
    assert recovered_s([late], 1.0, 6.0, 9.8) == pytest.approx(4.0)


def test_no_recovery_is_none() -> None:
    assert recovered_s([heard(*steady(0, 50, 0.0), late=dict.fromkeys(range(50), 500.0))], 1.0, 1.5, 9.8) is None
    assert recovered_s([heard(*steady(0, 6, 0.0))], 1.0, 1.5, 9.8) is None, "silent to the end"
    assert recovered_s([heard(*steady(0, 50, 0.0), late={41: 500.0})], 7.0, 7.5, 9.8) is None, "1.6 s are too short"


def test_all_clients_together() -> None:
    well = heard(*steady(0, 40, 0.0), expected=40)
    ill = heard(*steady(0, 6, 0.0), (7, 4.0), (6, 4.1), (7, 4.2), *steady(8, 28, 4.4), expected=40)
    ill.error, ill.resumes = "Disconnected", 2
    verdict = judge([well, ill, well], 1.0, 1.5, 9.8)
    assert (verdict.ticks, verdict.ticks_lost, verdict.ticks_doubled, verdict.order_violations) == (120, 4, 1, 1)
    assert verdict.gap_ms_max == pytest.approx(3_000)
    assert verdict.gap_ms_p50 == pytest.approx(2_000), "the others' silence to the end of the row"
    assert (verdict.resumes, verdict.errors) == (2, ["Disconnected"])
    assert (verdict.latency_ms_p50, verdict.latency_ms_p99) == (50.0, 50.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 3.0), (99, 5.0), (1, 1.0), (20, 1.0), (21, 2.0)])
def test_percentiles_are_values_that_occurred(percent: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], percent) == value
    assert percentile([], percent) == 0.0
