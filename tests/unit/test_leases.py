"""Who lives and who should own what: pure functions of the records of ``worker.leases``, in their order."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import records as r
from shared.fencing import TurnFence
from shared.log.leases import ABSENT_S, LeaseBoard
from shared.log.placement import Worker, place
from tests.unit.examples import EXAMPLES

PARTITIONS = 8
workers = st.lists(
    st.builds(
        Worker,
        st.sampled_from([f"w{n}" for n in range(5)]),
        present=st.booleans(),
        standby=st.booleans(),
        owned=st.frozensets(st.integers(0, PARTITIONS - 1)),
    ),
    max_size=5,
    unique_by=lambda w: w.name,
)


few = settings(max_examples=60, deadline=None, derandomize=True)


def settled(workers: list[Worker], plan: dict[int, str]) -> list[Worker]:
    """The same workers once everybody has what the plan gives; absent ones had their share when last heard of."""
    return [
        Worker(w.name, w.present, w.standby, frozenset(p for p, n in plan.items() if n == w.name))
        if w.present
        else w
        for w in workers
    ]


@few
@given(workers)
def test_every_partition_has_a_place_with_somebody_who_is_there(workers: list[Worker]) -> None:
    plan = place(workers, PARTITIONS)
    present = {w.name for w in workers if w.present}
    assert set(plan.values()) <= present
    assert set(plan) == (set(range(PARTITIONS)) if present else set())


@few
@given(workers)
def test_plans_settle(workers: list[Worker]) -> None:
    plan = place(workers, PARTITIONS)
    for _ in range(2):  # shares that somebody has come before those that are only due
        workers = settled(workers, plan)
        plan = place(workers, PARTITIONS)
    assert place(settled(workers, plan), PARTITIONS) == plan


@few
@given(workers)
def test_primaries_share_fairly_and_a_standby_works_only_for_one_that_is_away(workers: list[Worker]) -> None:
    plan = place(workers, PARTITIONS)
    primaries = [w for w in workers if not w.standby]
    if primaries and all(w.present for w in primaries):
        shares = [list(plan.values()).count(w.name) for w in primaries]
        assert max(shares) - min(shares) <= 1
        assert sum(shares) == PARTITIONS


def test_a_standby_holds_a_share_and_gives_it_back() -> None:
    everything = frozenset(range(PARTITIONS))
    low, high = frozenset(range(4)), frozenset(range(4, 8))
    spare = Worker("spare", standby=True)
    both = place([Worker("a"), Worker("b"), spare], PARTITIONS)
    assert sorted(both.values()) == ["a"] * 4 + ["b"] * 4
    died = place([Worker("a", present=False, owned=low), Worker("b", owned=high), spare], PARTITIONS)
    assert died == dict.fromkeys(low, "spare") | dict.fromkeys(high, "b")
    back = place([Worker("a"), Worker("b", owned=high), Worker("spare", standby=True, owned=low)], PARTITIONS)
    assert back == dict.fromkeys(low, "a") | dict.fromkeys(high, "b")
    gone_for_good = place([Worker("b", owned=high), Worker("spare", standby=True, owned=low)], PARTITIONS)
    assert gone_for_good == dict.fromkeys(everything, "b")
    alone = place([Worker("spare", standby=True)], PARTITIONS)
    assert alone == dict.fromkeys(everything, "spare")


def test_without_a_standby_a_dead_workers_share_goes_to_the_others_at_once() -> None:
    low, high = frozenset(range(4)), frozenset(range(4, 8))
    plan = place([Worker("a", present=False, owned=low), Worker("b", owned=high)], PARTITIONS)
    assert plan == dict.fromkeys(low | high, "b")


class Log:
    """The records of a lease topic, and one reader of it with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.board = LeaseBoard("me", incarnation=1, partitions=PARTITIONS)
        self._seq = itertools.count(1)

    def lease(self, instance: str, *, incarnation: int = 1, owned: dict[int, int] | None = None, **fields: object):
        return r.WorkerLease(
            service="interaction",
            instance=instance,
            incarnation=incarnation,
            seq=next(self._seq),
            sent_at_ms=0,
            owned=[r.OwnedPartition(partition=p, epoch=e) for p, e in (owned or {}).items()],
            **({"lease_ms": 300} | fields),
        )

    def other(self, instance: str = "other", **fields: object) -> None:
        self.board.hear(self.lease(instance, **fields), self.now)

    def own(self, *, after_s: float = 0.1, read_late_s: float = 0.0) -> None:
        """An own record is sent ``after_s`` from now and read ``read_late_s`` after that."""
        self.now += after_s
        sent_at = self.now
        self.now += read_late_s
        self.board.hear(self.lease("me"), self.now, sent_at)


def test_a_worker_whose_records_stop_while_ours_go_on_is_dead() -> None:
    log = Log()
    log.other(owned={3: 7})
    for _ in range(4):
        log.own()
        assert log.board.owner(3) is not None
    log.own()
    assert log.board.owner(3) is None
    assert log.board.others == []


def test_a_worker_is_as_silent_as_it_said_that_it_might_be() -> None:
    log = Log()
    log.other(lease_ms=5_000)
    for _ in range(50):
        log.own()
    assert log.board.others
    log.own(after_s=0.3)
    assert not log.board.others


def test_a_reader_that_was_paused_judges_nobody_until_it_has_caught_up() -> None:
    log = Log()
    log.other()
    log.own()
    log.now += 60.0  # we were stopped: nothing of ours was written, others' records lie unread
    log.other()
    log.own(after_s=0.0)
    assert log.board.others
    log.board.hear(log.lease("me"), log.now, log.now - 59.0)  # records of ours from before the pause, read now
    assert log.board.others


def test_a_log_that_stands_still_lets_everybody_live() -> None:
    log = Log()
    log.other()
    log.own()
    log.now += 30.0  # the broker took nothing from anybody; then everything at once
    log.own(after_s=-29.0, read_late_s=29.0)
    assert log.board.others


def test_a_new_life_of_a_name_replaces_the_old_one() -> None:
    log = Log()
    log.other(incarnation=1, owned={3: 7})
    log.other(incarnation=2)
    assert log.board.owner(3) is None
    log.other(incarnation=1, owned={3: 7})  # last words of the first life
    assert log.board.owner(3) is None


def test_of_two_that_believe_in_owning_the_newer_epoch_owns() -> None:
    log = Log()
    log.other("old", owned={3: 7})
    log.other("new", owned={3: 8})
    log.other("old", owned={3: 7})
    owner = log.board.owner(3)
    assert owner is not None
    assert owner.lease.instance == "new"


def test_one_that_says_good_bye_is_gone_at_once_and_forgotten_later() -> None:
    log = Log()
    log.other(owned={3: 7}, gone=True)
    assert log.board.owner(3) is None
    assert "other" in log.board.members
    log.own(after_s=ABSENT_S + 1)
    assert "other" not in log.board.members


def test_a_newer_process_of_our_name_fences_us() -> None:
    log = Log()
    log.board.hear(log.lease("me", incarnation=2), log.now)
    assert log.board.fenced


def test_one_that_leaves_keeps_what_it_owns_until_somebody_claims_it() -> None:
    log = Log()
    log.own()
    log.other(owned=dict.fromkeys(range(PARTITIONS), 7), leaving=True)
    assert set(log.board.plan().values()) == {"me"}
    owner = log.board.owner(0)
    assert owner is not None
    assert owner.lease.instance == "other"
    assert log.board.successors == []


def turn(epoch: int) -> r.InteractionTurn:
    import msgspec

    example = EXAMPLES["InteractionTurn"]
    assert isinstance(example, r.InteractionTurn)
    return msgspec.structs.replace(example, epoch=epoch)


def claim(epoch: int, partition: int = 0) -> r.TurnsClaimed:
    return r.TurnsClaimed(partition=partition, epoch=epoch, worker="w", claimed_at_ms=0)


def test_behind_a_claim_only_its_epoch_counts() -> None:
    fence = TurnFence()
    assert fence.admits(0, turn(5))
    assert fence.claimed(claim(6))
    assert not fence.admits(0, turn(5))
    assert fence.admits(1, turn(5))
    assert not fence.claimed(claim(6))  # a second one of this epoch came too late
    assert fence.admits(0, turn(6))
    assert fence.admits(0, turn(9))  # its claim was before we began to read
    assert not fence.claimed(claim(8))
