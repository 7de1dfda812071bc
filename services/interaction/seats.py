"""A session's place in the interaction worker: frames that came, in order, against turns that are in the log.

Each tick goes the same way, whether this worker answers it or only follows the one that does: its frame *arrives*, is
*queued* in order, and is *settled* when its turn is read back from the log. What has arrived and is not settled is
all that a worker must not lose; everything else is a cache.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from schemas import records as r
from services.interaction.scheduler import Done, Work
from services.interaction.session import Session, stand_in
from shared import metrics
from shared.log.loop import Incoming
from shared.ordering import TickOrder, Verdict

CATCH_UP_MS = 3_000  # a live session further behind than this takes frames in without answering each
SIDES_TICKS = 25  # a dead worker's tasks of the last 5 s are sent again: its commits lag less far behind

Side = r.BackgroundTask | r.BackgroundCancel


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame at its offset; ``source`` is None for one that was read back from the log."""

    frame: r.EncodedFrame
    partition: int
    offset: int
    source: Incoming | None = None


@dataclass(slots=True)
class Seat:
    """One session.

    ``arrived``: frames by tick that are not settled. ``waiting``: queued work without a turn, by tick. ``answered``:
    ticks whose turn this worker has sent and not read back. ``ahead``: turns read before their frame. ``sides``: what
    the latest turns asked of the background, by tick. ``cold``: the model had no room for the state; ``last_turn``: the
    tick of the session's final turn once that was read; ``noted``: which loss of the shared context its notes have
    outlived, -1 while there are none.
    """

    session: Session
    order: TickOrder[Arrival]
    ahead: dict[int, r.InteractionTurn] = field(default_factory=dict)
    queue: deque[Work] = field(default_factory=deque)
    arrived: dict[int, Arrival] = field(default_factory=dict)
    waiting: dict[int, Work] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    sides: deque[tuple[int, Side]] = field(default_factory=lambda: deque(maxlen=8))
    least_lag_ms: float = float("inf")
    late: bool = False
    cold: bool = False
    last_turn: int = -1
    last_seen: float = 0.0
    noted: int = -1

    @property
    def partition(self) -> int:
        return self.session.partition

    def arrive(self, arrival: Arrival, wall_ms: float) -> bool:
        """Put one frame in order and queue whatever that releases; False when its tick was here before."""
        frame = arrival.frame
        pushed = self.order.push(frame.tick, arrival, last=frame.final)
        if pushed.verdict is Verdict.DUPLICATE:
            metrics.DUPLICATES_IGNORED.labels("interaction").inc()
            return False
        self.arrived[frame.tick] = arrival
        for tick, one in pushed.ready:
            # A tick that never came is answered because of the one that gave it up.
            ready = one or Arrival(_missing(frame, tick), arrival.partition, arrival.offset)
            self._queue(ready, wall_ms)
        return True

    def _queue(self, ready: Arrival, wall_ms: float) -> None:
        if self.queue and self.queue[-1].recorded is None and self.late:
            self.queue[-1].skip = True  # a newer one is there: that one is answered
        self.late = self._late(ready.frame, wall_ms)
        tick = ready.frame.tick
        work = Work(self.session, ready.frame, ready.offset, recorded=self.ahead.pop(tick, None))
        self.queue.append(work)
        if work.recorded is None:
            self.waiting[tick] = work

    def _late(self, frame: r.EncodedFrame, wall_ms: float) -> bool:
        """Whether a live session runs late, against the least lag it ever had.

        So a recording that is paced faster than time, or replayed years later, is never late.
        """
        lag_ms = wall_ms - frame.timestamp_ms
        late = lag_ms - self.least_lag_ms > CATCH_UP_MS
        self.least_lag_ms = min(self.least_lag_ms, lag_ms)
        return late

    def read(self, turn: r.InteractionTurn) -> None:
        """Take a turn that counts, as it comes from the log; the first of its tick does."""
        tick = turn.tick
        if turn.final:
            self.last_turn = tick
        work = self.waiting.pop(tick, None)
        if tick in self.answered:
            self.answered.discard(tick)
        elif work is not None:
            work.recorded = turn
        elif tick >= self.order.next_tick:
            self.ahead.setdefault(tick, turn)

    def settled(self) -> list[Incoming]:
        """Inputs of ticks whose turn is in the log: they may be committed."""
        open_ticks = self.waiting.keys() | self.answered
        ticks = [tick for tick in self.arrived if tick < self.order.next_tick and tick not in open_ticks]
        sources = [self.arrived.pop(tick).source for tick in ticks]
        return [source for source in sources if source is not None]

    @property
    def over(self) -> bool:
        """Whether the session's last tick was taken in and is in the log."""
        return 0 <= self.last_turn < self.order.next_tick and not self.queue and not self.answered

    def done(self, done: Done) -> None:
        """One tick was taken in: by prefill, or by a step whose turn is about to be sent."""
        tick = done.turn.tick
        if done.work.recorded is None:
            del self.waiting[tick]
            self.answered.add(tick)
        else:
            self.sides.extend((tick, side) for side in done.sides)

    def recent_sides(self) -> list[Side]:
        """What the last turns asked of the background: whoever wrote them may have died before it had sent that."""
        recent = [side for tick, side in self.sides if tick >= self.order.next_tick - SIDES_TICKS]
        self.sides.clear()
        return recent


def _missing(frame: r.EncodedFrame, tick: int) -> r.EncodedFrame:
    metrics.TICKS_MISSING.labels("interaction").inc()
    return stand_in(frame, tick)
