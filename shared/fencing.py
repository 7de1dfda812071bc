"""Which turns count, and which frames: those of a partition's newest epoch, as the order of the log itself decides.

A worker that takes a partition over says so in the partition whose turns it is going to write. Whoever reads that
partition in order sees the claim before the first turn that is written under it, and every turn that an older worker
adds behind the claim, because it was paused, cut off or just slow, is told by its epoch. All readers agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.records import InteractionTurn, TurnsClaimed


class TurnFence:
    """Newest epoch of each partition of ``interaction.turns`` that one reader has seen. Feed it in log order."""

    __slots__ = ("_epochs",)

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}

    def epoch(self, partition: int) -> int:
        """The newest epoch seen; 0 when none was."""
        return self._epochs.get(partition, 0)

    def claimed(self, claim: TurnsClaimed) -> bool:
        """Take a claim; False when it lost, because another one of its epoch or a newer one came before it."""
        if claim.epoch <= self.epoch(claim.partition):
            return False
        self._epochs[claim.partition] = claim.epoch
        return True

    def admits(self, partition: int, turn: InteractionTurn) -> bool:
        """Whether a turn at this place of the log counts. One of a newer epoch stands for a claim read by nobody."""
        if turn.epoch < self.epoch(partition):
            return False
        self._epochs[partition] = turn.epoch
        return True


@dataclass(slots=True)
class Fence:
    """Of several writers of one session only the newest counts: each has a higher epoch than the one before.

    Whoever reads the log from a point on where the newest epoch was in force comes to the same verdicts.
    """

    epoch: int = 0

    def admits(self, epoch: int) -> bool:
        """Whether a record of this epoch counts; a newer one than ever seen shuts the older ones out."""
        if epoch < self.epoch:
            return False
        self.epoch = epoch
        return True
