"""The offset tracker: whatever the order in which things finish, only the done prefix is committable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.log.offsets import OffsetTracker


def test_nothing_staged_nothing_to_commit() -> None:
    assert OffsetTracker().committable() is None


def test_record_is_done_when_its_last_hold_goes() -> None:
    tracker = OffsetTracker()
    tracker.stage(7)
    assert tracker.hold(7) and tracker.committable() == 7
    tracker.release(7)
    assert tracker.committable() == 7
    tracker.release(7)
    assert tracker.committable() == 8
    assert not tracker.hold(7), "done is done"


def test_gaps_between_offsets_do_not_matter() -> None:
    tracker = OffsetTracker()
    for offset in (3, 10, 11):
        tracker.stage(offset)
    tracker.release(3)
    assert tracker.committable() == 10
    tracker.release(11)
    tracker.release(10)
    assert tracker.committable() == 12


def test_committed_is_not_committable_again() -> None:
    tracker = OffsetTracker()
    tracker.stage(0)
    tracker.release(0)
    tracker.committed = tracker.committable()
    assert tracker.committable() is None
    tracker.stage(1)
    assert tracker.committable() is None, "record 1 is open: still 1"
    tracker.release(1)
    assert tracker.committable() == 2


def test_going_back_is_a_bug() -> None:
    tracker = OffsetTracker()
    tracker.stage(5)
    with pytest.raises(ValueError, match="offset 5"):
        tracker.stage(5)


@given(st.data())
def test_any_interleaving_commits_only_the_contiguous_prefix(data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.sets(st.integers(0, 60), min_size=1, max_size=20)))
    holds = {offset: data.draw(st.integers(0, 3)) for offset in offsets}
    tracker = OffsetTracker()
    left: dict[int, int] = {}
    steps = data.draw(st.permutations([o for o in offsets for _ in range(holds[o] + 1)]))
    to_stage = list(offsets)
    for step in steps:
        while step not in left:  # staging is in order, finishing is not
            offset = to_stage.pop(0)
            tracker.stage(offset)
            for _ in range(holds[offset]):
                assert tracker.hold(offset)
            left[offset] = holds[offset] + 1
        tracker.release(step)
        left[step] -= 1
        still_open = [offset for offset, count in left.items() if count]
        assert tracker.committable() == (min(still_open) if still_open else max(left) + 1)
        assert tracker.open_records == len(still_open)
    assert tracker.committable() == offsets[-1] + 1
