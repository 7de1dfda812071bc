"""Who is alive and what they own, as told by ``worker.leases``, a topic that all workers of a service write and read.

Time is measured by one's own records in that topic: another worker is silent for as long as own records keep coming
back and none of its. So a worker that was paused, or cut off from the log, judges nobody before it has caught up,
and a broker that stands still, or takes records slowly, lets everybody live.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.records import WorkerLease
from shared.log.placement import Worker, place

ABSENT_S = 30.0  # so long the share of a primary that went away is kept for it, if a standby can hold it


@dataclass(slots=True)
class Member:
    """A worker as last heard of. ``mark`` is when the first own record came back after its newest."""

    lease: WorkerLease
    mark: float | None = None
    gone_at: float | None = None  # lapsed, or said good-bye

    @property
    def alive(self) -> bool:
        return self.gone_at is None

    @property
    def owned(self) -> dict[int, int]:
        return {o.partition: o.epoch for o in self.lease.owned}


@dataclass(slots=True)
class LeaseBoard:
    """One worker's view of all workers of its service. Feed it every record in log order."""

    instance: str
    incarnation: int
    partitions: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    """Partition -> the highest epoch that anybody ever said to own it with."""
    fenced: bool = False
    """Another process lives under this instance name, and is the newer one."""

    def hear(self, lease: WorkerLease, now: float, sent_at: float | None = None) -> None:
        """Take one record, read at ``now``; ``sent_at`` (both monotonic, s) if it is an own one of this life."""
        known = self.members.get(lease.instance)
        if known is not None and lease.incarnation < known.lease.incarnation:
            return  # an earlier life's last words
        if lease.instance == self.instance and lease.incarnation > self.incarnation:
            self.fenced = True
        self.members[lease.instance] = Member(lease, gone_at=now if lease.gone else None)
        for owned in lease.owned:
            self.epochs[owned.partition] = max(self.epochs.get(owned.partition, 0), owned.epoch)
        if sent_at is not None:
            self._judge(now, sent_at)

    def _judge(self, now: float, sent_at: float) -> None:
        for name, member in list(self.members.items()):
            if name == self.instance:
                continue
            if not member.alive:
                if member.gone_at is not None and now - member.gone_at > ABSENT_S:
                    del self.members[name]
            elif member.mark is None or (now - sent_at) * 1000 > member.lease.lease_ms:
                member.mark = now  # also where our own record was long under way: others' may be, too
            elif (sent_at - member.mark) * 1000 > member.lease.lease_ms:
                member.gone_at = now

    @property
    def others(self) -> list[Member]:
        """Everybody else that is alive."""
        return [m for name, m in self.members.items() if name != self.instance and m.alive]

    @property
    def successors(self) -> list[Member]:
        """Everybody else that is alive and stays."""
        return [m for m in self.others if not m.lease.leaving]

    def owner(self, partition: int) -> Member | None:
        """The living worker that owns a partition with the newest epoch; None when there is none.

        A worker that still believes in an older epoch than somebody's newest owns nothing.
        """
        newest = self.epochs.get(partition, 0)
        for member in self.members.values():
            if member.alive and member.owned.get(partition) == newest:
                return member
        return None

    def plan(self) -> dict[int, str]:
        """Who should own each partition, as far as this worker has read."""
        return place([self._seen(m) for m in self.members.values()], self.partitions)

    def _seen(self, member: Member) -> Worker:
        lease = member.lease
        owned = frozenset(p for p, epoch in member.owned.items() if not member.alive or epoch == self.epochs[p])
        return Worker(lease.instance, member.alive and not lease.leaving, lease.standby, owned)

    @property
    def primaries_known(self) -> bool:
        return any(not m.lease.standby for m in self.members.values())
