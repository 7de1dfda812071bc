"""The log's side: which turns count, and whether the clients heard those."""

from __future__ import annotations

from infra.chaos.ledger import Account, digest, settle
from infra.chaos.metrics import Heard
from schemas import client, codec
from schemas import records as r
from schemas.topics import DEAD_LETTERS, INTERACTION_TURNS, SESSION_CONTROL
from shared.log.api import LogRecord

AT = 1_700_000_000_000


def turn(tick: int, *, epoch: int = 1, text: str = "", session: str = "s") -> r.InteractionTurn:
    return r.InteractionTurn(
        session_id=session,
        timestamp_ms=AT + 200 * tick,
        tick=tick,
        floor=r.Floor.TAKE,
        user=r.UserActivity.SILENT,
        model="m",
        epoch=epoch,
        input_offset=tick,
        text=text,
    )


def log(*values: r.Record) -> list[LogRecord]:
    topics = {r.SessionEnded: SESSION_CONTROL, r.DeadLetter: DEAD_LETTERS}
    return [
        LogRecord(topics.get(type(value), INTERACTION_TURNS).name, 0, offset, AT, b"k", codec.encode(value))
        for offset, value in enumerate(values)
    ]


def ended(ticks: int) -> r.SessionEnded:
    return r.SessionEnded(session_id="s", timestamp_ms=AT + 200 * ticks, ticks=ticks, reason="bye")


def heard(*turns: r.InteractionTurn) -> Heard:
    nothing = [0.0] * len(turns)
    return Heard("s", 0, [one.tick for one in turns], nothing, nothing, [digest(one) for one in turns])


def test_a_good_log_has_nothing_to_say() -> None:
    turns = [turn(n) for n in range(3)]
    one = heard(*turns)
    assert settle(log(*turns, ended(3)), [one]) == Account(0, 0, 0, 0, 0, 0, 0)
    assert one.expected == 3, "the log knows how many there were"


def test_a_claim_fences_what_an_older_worker_adds() -> None:
    claim = r.TurnsClaimed(partition=0, epoch=2, worker="w", claimed_at_ms=AT)
    records = [turn(0), claim, turn(1, text="stale"), turn(1, epoch=2), turn(1, epoch=2), turn(2, epoch=2), ended(3)]
    account = settle(log(*records), [heard(turn(0), turn(1, epoch=2), turn(2, epoch=2))])
    assert account == Account(missing=0, disordered=0, unended=0, other=0, repeated=1, fenced=1, dead=0)
    wrong = settle(log(*records), [heard(turn(0), turn(1, text="stale"), turn(2, epoch=2))])
    assert wrong.other == 1, "a client that heard the zombie"


def test_holes_disorder_and_no_end_are_told() -> None:
    assert settle(log(turn(0), turn(2), ended(4)), [heard()]).missing == 2
    assert settle(log(turn(1), turn(0), ended(2)), [heard()]).disordered == 1
    assert settle(log(turn(0)), [heard()]).unended == 1


def test_a_turn_that_the_log_does_not_have_is_another_s() -> None:
    assert settle(log(turn(0), ended(1)), [heard(turn(0), turn(1))]).other == 1


def test_other_sessions_and_garbage_are_passed_over_and_dead_letters_counted() -> None:
    letter = r.DeadLetter(
        topic="t", partition=0, offset=0, record_key=None, value=None, service="s", error="e", failed_at_ms=AT
    )
    garbage = LogRecord(INTERACTION_TURNS.name, 0, 9, AT, b"chaos:0", b"\xc1")
    records = [*log(turn(0, session="other"), turn(0), letter, ended(1)), garbage]
    assert settle(records, [heard(turn(0))]) == Account(0, 0, 0, 0, 0, 0, 1)


def test_a_digest_is_the_same_of_a_record_and_of_what_a_client_gets_of_it() -> None:
    record = turn(4, text=" yes")
    message = client.Turn(
        tick=4, timestamp_ms=record.timestamp_ms, frame_end_ms=1.0, floor="take", user="silent", text=" yes"
    )
    assert digest(record) == digest(client.decode_server(client.encode(message)))
    assert digest(record) != digest(turn(4, text=" no"))
