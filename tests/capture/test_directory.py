"""Who holds a session, folded from the log: every process must come to the same verdict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import records as r
from services.capture import directory as d
from services.capture.directory import Control, Directory

START_MS = 1_700_000_000_000


def started(session: str = "s", **fields: object) -> r.SessionStarted:
    return r.SessionStarted(session_id=session, timestamp_ms=START_MS, capture_id="a", resume_hash=b"h", **fields)


def held(capture_id: str, epoch: int, *, tick: int = 5, session: str = "s", **fields: object) -> r.SessionHeld:
    at = START_MS + 200 * tick
    return r.SessionHeld(
        session_id=session, timestamp_ms=at, tick=tick, capture_id=capture_id, capture_epoch=epoch, **fields
    )


def ended(epoch: int, *, ticks: int = 9, session: str = "s") -> r.SessionEnded:
    at = START_MS + 200 * ticks
    return r.SessionEnded(session_id=session, timestamp_ms=at, ticks=ticks, reason="bye", capture_epoch=epoch)


def folded(*records: Control) -> Directory:
    directory = Directory()
    for number, record in enumerate(records):
        directory.apply(record, float(number))
    return directory


def test_a_claim_of_a_higher_epoch_counts_and_an_older_holder_s_word_does_not() -> None:
    known = folded(started(), held("b", 1), held("a", 0, tick=9)).get("s")
    assert known is not None
    assert (known.capture_id, known.epoch, known.next_ms, known.heard_at) == ("b", 1, START_MS + 1_000, 1.0)


async def test_of_two_claims_of_one_epoch_the_first_counts() -> None:
    directory = folded(started())
    mine, other = directory.claim("s", "b", 1), held("c", 1)
    directory.apply(other, 1.0)
    assert not mine.done(), "the log has not shown my claim yet"
    directory.apply(held("b", 1), 2.0)
    assert mine.result() is False
    again = directory.claim("s", "b", 2)
    directory.apply(held("b", 2), 3.0)
    assert again.result() is True
    known = directory.get("s")
    assert known is not None
    assert (known.capture_id, known.epoch) == ("b", 2)


async def test_a_claim_on_what_has_ended_comes_too_late() -> None:
    directory = folded(started())
    mine = directory.claim("s", "b", 1)
    directory.apply(ended(0), 1.0)
    directory.apply(held("b", 1), 2.0)
    assert mine.result() is False
    assert list(directory.live()) == []


def test_the_end_that_counts_is_the_holder_s() -> None:
    assert list(folded(started(), held("b", 1), ended(0)).live())
    assert not list(folded(started(), held("b", 1), ended(1)).live())


def test_a_session_is_known_from_its_holder_s_word_alone() -> None:
    """The topic is compacted: of a long session only the last record may be left."""
    config = r.SessionConfig(seed=4)
    known = folded(held("b", 3, tick=7, config=config, phase_ms=30, pace="file", resume_hash=b"h")).get("s")
    assert known is not None
    assert (known.start_ms, known.config, known.phase_ms, known.pace) == (START_MS, config, 30, "file")
    assert (known.resume_hash, known.epoch, known.capture_id) == (b"h", 3, "b")


def test_the_configuration_is_the_last_one_said() -> None:
    config = r.SessionConfig(seed=1, instructions="in rhyme")
    update = r.SessionUpdated(session_id="s", timestamp_ms=START_MS + 400, config=config)
    known = folded(started(config=r.SessionConfig(seed=1)), update, held("b", 1, config=config)).get("s")
    assert known is not None
    assert (known.config, known.updated_ms) == (config, START_MS + 400)


def test_ended_sessions_are_forgotten_after_a_while_and_never_too_many() -> None:
    directory = folded(started(), ended(0))
    directory.forget_ended(1.0 + d.KEEP_ENDED_S)
    assert directory.get("s") is not None
    directory.forget_ended(1.1 + d.KEEP_ENDED_S)
    assert directory.get("s") is None
    for number in range(d.MAX_ENDED + 10):
        directory.apply(started(f"s{number}"), 0.0)
        directory.apply(ended(0, session=f"s{number}"), 0.0)
    assert len(directory) == d.MAX_ENDED


records = st.one_of(
    st.builds(held, st.sampled_from("abc"), st.integers(0, 4), tick=st.integers(0, 20)),
    st.builds(ended, st.integers(0, 4)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=25))
def test_epochs_never_fall_and_each_has_one_holder(history: list[Control]) -> None:
    directory = folded(started())
    holders: dict[int, str] = {0: "a"}
    epoch = 0
    for record in history:
        known = directory.apply(record, 0.0)
        assert known is not None
        assert known.epoch >= epoch
        epoch = known.epoch
        assert holders.setdefault(epoch, known.capture_id) == known.capture_id
