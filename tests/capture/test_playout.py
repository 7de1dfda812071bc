"""Turns to one client: in order, once each, none from a fenced worker, and again for a client that comes back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import client
from schemas import records as r
from services.capture.playout import RING_TICKS, Cut, Played, Playout

START_MS = 1_700_000_000_000


def turn(tick: int, *, epoch: int = 1, final: bool = False) -> r.InteractionTurn:
    return r.InteractionTurn(
        session_id="s-1",
        timestamp_ms=START_MS + 200 * tick,
        tick=tick,
        floor=r.Floor.HOLD,
        user=r.UserActivity.SILENT,
        model="test",
        epoch=epoch,
        input_offset=tick,
        text=f"t{tick}e{epoch}",
        final=final,
    )


def playout(ticks: int) -> Playout:
    one = Playout()
    for tick in range(ticks):
        one.expect(tick, Cut(START_MS + 200.0 * (tick + 1), tick * 0.2 + 1.0, gap_ms=tick))
    return one


def ticks_of(played: list[Played]) -> list[int]:
    return [client.decode_server(one.message).tick for one in played]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_small_disorder_and_any_doubling_plays_every_tick_once_in_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    order = sorted(range(count), key=lambda tick: tick + data.draw(st.integers(0, 3)))
    doubled = data.draw(st.lists(st.sampled_from(order), max_size=10))
    one, played = playout(count), []
    for tick in [t for t in order for t in [t] * (1 + doubled.count(t))]:
        played += ticks_of(one.turn(turn(tick))[1])
    assert played == list(range(count))
    assert one.missing == 0


def test_a_turn_carries_its_frame_s_end_and_gap() -> None:
    one = playout(2)
    one.turn(turn(0))
    (played,) = one.turn(turn(1))[1]
    message = client.decode_server(played.message)
    assert (message.tick, message.frame_end_ms, message.gap_ms) == (1, START_MS + 400.0, 1)
    assert played.cut_at == 1.2


def test_a_fenced_worker_s_turns_are_ignored() -> None:
    one = playout(4)
    assert ticks_of(one.turn(turn(0, epoch=1))[1]) == [0]
    assert ticks_of(one.turn(turn(1, epoch=2))[1]) == [1]
    assert one.turn(turn(2, epoch=1)) == ("stale_epoch", [])
    (played,) = one.turn(turn(2, epoch=2))[1]
    assert client.decode_server(played.message).text == "t2e2"
    assert one.turn(turn(2, epoch=3)) == ("duplicate", [])


def test_a_turn_without_a_frame_is_ignored() -> None:
    one = playout(2)
    assert one.turn(turn(2)) == ("unknown_tick", [])
    assert ticks_of(one.turn(turn(0))[1]) == [0]


def test_a_missing_turn_is_given_up_and_counted() -> None:
    one, played = playout(10), []
    for tick in (0, 2, 3, 4, 5, 6, 7):
        played += ticks_of(one.turn(turn(tick))[1])
    assert played == [0, 2, 3, 4, 5, 6, 7]
    assert one.missing == 1
    assert one.turn(turn(1)) == ("duplicate", [])


def test_the_final_turn_finishes() -> None:
    one = playout(3)
    one.turn(turn(0))
    assert not one.finished
    assert ticks_of(one.turn(turn(2, final=True))[1]) == [2]
    assert one.finished
    assert one.missing == 1


def result(seq: int) -> r.BackgroundResult:
    return r.BackgroundResult(
        session_id="s-1", timestamp_ms=START_MS, task_id="task", seq=seq, kind=r.ResultKind.PARTIAL, text="x"
    )


def test_who_comes_back_gets_what_was_missed() -> None:
    one = playout(10)
    for tick in range(6):
        one.turn(turn(tick))
        if tick == 3:
            one.result(result(0))
    gone, missed = one.since(2)
    assert gone == 0
    assert [type(client.decode_server(p.message)).__name__ for p in missed] == ["Turn", "Result", "Turn", "Turn"]
    assert one.since(5)[1] == []
    assert one.since(-1)[0] == 0
    assert len(one.since(-1)[1]) == 7


def test_what_is_kept_is_bounded_and_what_is_gone_is_said() -> None:
    count = RING_TICKS + 50
    one = playout(count)
    for tick in range(count):
        one.turn(turn(tick))
        for seq in range(5):
            one.result(result(5 * tick + seq))
    gone, missed = one.since(-1)
    turns = [p for p in missed if p.cut_at]
    assert len(missed) <= 2 * RING_TICKS
    assert gone == count - len(turns)
    assert ticks_of(turns) == list(range(count - len(turns), count))
