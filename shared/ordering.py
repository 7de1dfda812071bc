"""Puts a session's ticks in order: duplicates and late ones are told apart, small reorderings are healed.

Within a partition the log keeps order, so in a healthy system every push is released at once. The bound is for
producers that are not ours, or that came back from the dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    RELEASED = "released"
    HELD = "held"
    DUPLICATE = "duplicate"


@dataclass(slots=True)
class Pushed(Generic[T]):
    """``ready`` are ``(tick, item)`` in order; an item of None is a tick that never came and is given up."""

    verdict: Verdict
    ready: list[tuple[int, T | None]] = field(default_factory=list)


class TickOrder(Generic[T]):
    """Order of one session.

    A tick ahead of its turn is held until the missing ones come, or until ``window`` ticks have passed it by or the
    session ends; then the missing ticks are released as None.
    """

    __slots__ = ("_ahead", "_window", "next_tick")

    def __init__(self, next_tick: int, *, window: int = 5) -> None:
        self.next_tick = next_tick
        self._window = window
        self._ahead: dict[int, T] = {}

    @classmethod
    def first_seen(cls, tick: int, *, window: int = 5) -> TickOrder[T]:
        """The order of a session whose first tick to arrive is ``tick``: near the start, earlier ones may follow."""
        return cls(0 if tick <= window else tick, window=window)

    def push(self, tick: int, item: T, *, last: bool = False) -> Pushed[T]:
        """Take one arrival. ``last`` releases everything up to and with ``tick``."""
        if tick == self.next_tick and not self._ahead:  # the healthy case
            self.next_tick += 1
            return Pushed(Verdict.RELEASED, [(tick, item)])
        if tick < self.next_tick or tick in self._ahead:
            return Pushed(Verdict.DUPLICATE)
        self._ahead[tick] = item
        ready: list[tuple[int, T | None]] = []
        give_up_before = tick + 1 if last else tick - self._window + 1
        while self._ahead and (self.next_tick in self._ahead or self.next_tick < give_up_before):
            ready.append((self.next_tick, self._ahead.pop(self.next_tick, None)))
            self.next_tick += 1
        return Pushed(Verdict.RELEASED if ready else Verdict.HELD, ready)
