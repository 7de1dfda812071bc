"""The second error road: a transient fault is tried again a bounded number of times, further and further apart."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.clock import Clock
from shared.log.api import LogUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays ``first_s * factor**n`` up to ``most_s``, each shortened at random by up to ``jitter`` of itself.

    With the defaults the last of 9 attempts comes 12 to 23 s after the first.
    """

    attempts: int = 9
    first_s: float = 0.1
    factor: float = 2.0
    most_s: float = 5.0
    jitter: float = 0.5

    def delay_s(self, attempt: int) -> float:
        """How long to wait after the given failed attempt, counted from 0."""
        whole = min(self.most_s, self.first_s * self.factor**attempt)
        return whole * (1.0 - self.jitter * random.random())


async def retrying(
    operation: Callable[[], Awaitable[T]],
    *,
    clock: Clock,
    backoff: Backoff,
    on_retry: Callable[[LogUnavailable], None] | None = None,
) -> T:
    """The operation's result; ``LogUnavailable`` is raised only by the last attempt, anything else at once."""
    for attempt in range(backoff.attempts - 1):
        try:
            return await operation()
        except LogUnavailable as error:
            if on_retry is not None:
                on_retry(error)
            await clock.sleep(backoff.delay_s(attempt))
    return await operation()
