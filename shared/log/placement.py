"""Who should own which partition: a pure function of who is there, so that all who know the same decide the same.

Partitions stay where they are as long as the shares are fair. Primaries own them; a standby holds a primary's
share while that one is away, and gives it back when it has returned and is warm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as placement sees it.

    ``present`` ones can take partitions. A primary that is not present (it died, or is about to leave) is expected
    back for a while: its share is kept together for it. ``owned`` is what it owns, or owned when last heard of.
    """

    name: str
    present: bool = True
    standby: bool = False
    owned: frozenset[int] = frozenset()


def place(workers: Sequence[Worker], partitions: int) -> dict[int, str]:
    """The worker that should own each partition; empty when nobody is present."""
    present = [w for w in workers if w.present]
    standbys = sorted((w for w in present if w.standby), key=lambda w: w.name)
    primaries = [w for w in workers if not w.standby and (w.present or standbys)]
    if not any(w.present for w in primaries) and not standbys:
        return {}
    if not primaries:  # nobody's share to hold: the standbys do the work themselves
        return _shares(standbys, partitions)
    return _holders(_shares(primaries, partitions), {w.name for w in present}, standbys)


def _shares(workers: Sequence[Worker], partitions: int) -> dict[int, str]:
    """Fair shares that move as little as possible: each keeps what it has up to its quota, the rest is dealt out."""
    held = _held(workers, partitions)
    least, extra = divmod(partitions, len(held))
    ranked = sorted(held, key=lambda name: (-len(held[name]), name))
    share: dict[int, str] = {}
    open_seats: list[str] = []
    for rank, name in enumerate(ranked):
        quota = least + (rank < extra)
        share |= dict.fromkeys(held[name][:quota], name)
        open_seats += [name] * (quota - len(held[name]))
    missing = [p for p in range(partitions) if p not in share]
    return share | dict(zip(missing, open_seats, strict=True))


def _held(workers: Sequence[Worker], partitions: int) -> dict[str, list[int]]:
    """What each has, in order; an owner that is there comes before one that had it."""
    taken: set[int] = set()
    held: dict[str, list[int]] = {}
    for worker in sorted(workers, key=lambda w: (not w.present, w.name)):
        held[worker.name] = sorted(p for p in worker.owned - taken if p < partitions)
        taken |= worker.owned
    return held


def _holders(shares: Mapping[int, str], present: set[str], standbys: Sequence[Worker]) -> dict[int, str]:
    """Shares of absent workers go to standbys: to the one that holds them already, else to the least burdened."""
    held = {s.name: 0 for s in standbys}
    holders: dict[int, str] = {}
    for partition, name in shares.items():
        if name in present:
            holders[partition] = name
            continue
        at_work = [s.name for s in standbys if partition in s.owned]
        chosen = at_work[0] if at_work else min(held, key=lambda n: (held[n], n))
        held[chosen] += 1
        holders[partition] = chosen
    return holders
