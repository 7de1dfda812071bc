"""When a client plays what it got, by hand."""

from __future__ import annotations

import numpy as np

from infra.eval.playout import Received, mix, schedule

LOUD = np.full(4800, 3000, np.int16)
QUIET = np.full(4800, 3, np.int16)  # -81 dBFS


def test_sound_begins_a_lead_after_it_came_and_goes_on_without_a_hole() -> None:
    played = schedule([Received(0, 201.0, LOUD), Received(1, 455.0, LOUD), Received(2, 610.0, LOUD)])
    # 201 + 60; tick 1 came 55 ms after its due, which the lead bears
    assert played.begins_ms == [261.0, 461.0, 661.0]
    assert played.underruns == 0


def test_nothing_is_played_before_it_is_due() -> None:
    assert schedule([Received(0, 195.0, LOUD)]).begins_ms == [260.0], "clocks differ by a little"


def test_what_comes_late_is_played_on_arrival_and_what_follows_waits_for_it() -> None:
    played = schedule([Received(0, 210.0, LOUD), Received(1, 500.0, LOUD), Received(2, 610.0, LOUD)])
    # tick 0 ends at 470; tick 1 came at 500, 30 ms too late to go on; tick 2 waits for tick 1's end
    assert played.begins_ms == [270.0, 560.0, 760.0]
    assert played.underruns == 1


def test_silence_holds_no_place() -> None:
    played = schedule(
        [Received(0, 800.0, LOUD), Received(1, 810.0, LOUD), Received(2, 820.0, QUIET), Received(3, 830.0, None),
         Received(6, 1401.0, LOUD)]
    )  # fmt: skip
    assert played.begins_ms == [860.0, 1060.0, 820.0, 830.0, 1461.0]
    assert played.underruns == 0, "a pause is no underrun"


def test_the_loudspeakers_channel_is_right_to_the_sample() -> None:
    turns = [Received(0, 210.0, LOUD), Received(1, 500.25, LOUD), Received(2, 610.0, QUIET)]
    sound = mix(turns, schedule(turns).begins_ms, 900.0)
    assert len(sound) == 21_600
    expected = np.zeros(21_600, np.int16)
    expected[6_480:11_280] = 3000  # 270 ms
    expected[13_446:18_246] = 3000  # 560.25 ms
    assert np.array_equal(sound, expected)


def test_sound_that_lasts_longer_than_the_scenario_is_kept() -> None:
    turns = [Received(0, 210.0, LOUD)]
    assert len(mix(turns, [220.0], 300.0)) == 10_080
    assert len(mix([], [], 300.0)) == 7_200
