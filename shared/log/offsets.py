"""Which offset of a partition may be committed.

- *staged*: given to the handler, not yet finished.
- *holds*: what keeps a staged record from being finished: the handler itself, every record sent because of it and
  not yet acknowledged, and a deferral.
- *done*: staged, with no hold left.
- *committable*: the lowest staged offset that is not done, or one past the last staged when all are. A group that
  resumes there is given every record again that was not done, and perhaps some that were.
- *committed*: the last committable offset that the log has accepted.
"""

from __future__ import annotations


class OffsetTracker:
    """One partition during one assignment. Offsets are staged in increasing order; gaps between them are normal."""

    __slots__ = ("_holds", "_next", "committed", "current")

    def __init__(self) -> None:
        self.committed: int | None = None
        self.current = True
        """False once the partition has been taken away: what is still open belongs to its next owner."""
        self._holds: dict[int, int] = {}  # not done, in order of offset because staged in that order
        self._next: int | None = None

    def stage(self, offset: int) -> None:
        """Begin with a record: one hold, the handler's."""
        if self._next is not None and offset < self._next:
            raise ValueError(f"offset {offset} was staged before, next is {self._next}")
        self._holds[offset] = 1
        self._next = offset + 1

    def hold(self, offset: int) -> bool:
        """One more reason to wait; False when the record is done already."""
        if offset not in self._holds:
            return False
        self._holds[offset] += 1
        return True

    def release(self, offset: int) -> None:
        """One reason less; the last one makes the record done. Raises ``KeyError`` when it is done already."""
        left = self._holds[offset] - 1
        if left:
            self._holds[offset] = left
        else:
            del self._holds[offset]

    def committable(self) -> int | None:
        """None when nothing was staged, or nothing has moved since ``committed``."""
        first = next(iter(self._holds), self._next)
        return None if first == self.committed else first

    @property
    def open_records(self) -> int:
        return len(self._holds)
