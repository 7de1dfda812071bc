"""What goes back to one client: turns in order, once each, none from a fenced worker; kept for a while for a resume."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from schemas import client
from schemas.records import BackgroundResult, InteractionTurn
from shared.ordering import TickOrder, Verdict

MAX_AHEAD_TICKS = 16
RING_TICKS = 75  # 15 s: a resume's grace and what may be under way


@dataclass(frozen=True, slots=True)
class Cut:
    """What the session remembers of a frame until its turn is played."""

    frame_end_ms: float  # wall clock, epoch ms
    cut_at: float  # monotonic, s
    gap_ms: int | None  # None: as its turn says


@dataclass(frozen=True, slots=True)
class Played:
    """A message for the client; ``cut_at`` and ``tick`` are set for turns."""

    message: bytes
    tick: int
    cut_at: float = 0.0


class Playout:
    """One session's answers. Pure: records in, encoded client messages out.

    A turn is ignored, and ``ignored`` names why, when its tick was played (*duplicate*), when a newer worker epoch has
    been seen (*stale_epoch*), or when no frame was cut for it (*unknown_tick*). In a session that was taken over, the
    process that had it before may have cut that frame: there a turn a little ahead waits until we have cut it, too.
    A turn ahead of a missing one waits until five ticks have passed the missing one by; then ``missing`` counts it and
    play goes on.
    """

    __slots__ = ("_ahead", "_cuts", "_epoch", "_order", "_ring", "_taken_over", "finished", "missing")

    def __init__(self, next_tick: int = 0, *, taken_over: bool = False) -> None:
        """``next_tick``: the first one to be played, of a session that another process began."""
        self._taken_over = taken_over
        self._ahead: dict[int, InteractionTurn] = {}
        self._order: TickOrder[InteractionTurn] = TickOrder(next_tick)
        self._cuts: dict[int, Cut] = {}
        self._ring: deque[Played] = deque()
        self._epoch = 0
        self.finished = False
        self.missing = 0

    @property
    def played_ticks(self) -> int:
        """Ticks that were played or given up."""
        return self._order.next_tick

    def expect(self, tick: int, cut: Cut) -> list[Played]:
        """A frame was cut: its turn may come. Gives what becomes playable by that, in rare cases."""
        self._cuts[tick] = cut
        waiting = self._ahead.pop(tick, None)
        return [] if waiting is None else self._accept(waiting)[1]

    def turn(self, record: InteractionTurn) -> tuple[str, list[Played]]:
        """Take a turn; gives ``(ignored, messages)``, of which one is empty unless the turn waits (then both are)."""
        if record.epoch < self._epoch:
            return "stale_epoch", []
        self._epoch = record.epoch
        if record.tick >= self._order.next_tick and record.tick not in self._cuts:
            if not self._taken_over or record.tick > self._order.next_tick + MAX_AHEAD_TICKS:
                return "unknown_tick", []
            self._ahead.setdefault(record.tick, record)
            return "", []
        return self._accept(record)

    def _accept(self, record: InteractionTurn) -> tuple[str, list[Played]]:
        pushed = self._order.push(record.tick, record, last=record.final)
        if pushed.verdict is Verdict.DUPLICATE:
            return "duplicate", []
        played = []
        for tick, turn in pushed.ready:
            cut = self._cuts.pop(tick)
            if turn is None:
                self.missing += 1
                continue
            self.finished = self.finished or turn.final
            played.append(Played(client.encode(_message(turn, cut)), tick, cut.cut_at))
        self._remember(played)
        return "", played

    def result(self, record: BackgroundResult) -> Played:
        """A step of a background task, for display."""
        message = client.Result(
            task_id=record.task_id,
            seq=record.seq,
            kind=record.kind,
            timestamp_ms=record.timestamp_ms,
            text=record.text,
        )
        played = Played(client.encode(message), self.played_ticks)
        self._remember([played])
        return played

    def since(self, last_tick: int) -> tuple[int, list[Played]]:
        """For a client that has everything up to ``last_tick``: how many turns are gone, and what it missed."""
        missed = [p for p in self._ring if p.tick > last_tick or (p.cut_at == 0.0 and p.tick >= last_tick)]
        turns = sum(p.cut_at != 0.0 for p in missed)
        return max(0, self.played_ticks - 1 - last_tick - turns), missed

    def _remember(self, played: list[Played]) -> None:
        self._ring.extend(played)
        oldest = self.played_ticks - RING_TICKS
        while self._ring and (self._ring[0].tick < oldest or len(self._ring) > 2 * RING_TICKS):
            self._ring.popleft()


def _message(turn: InteractionTurn, cut: Cut) -> client.Turn:
    return client.Turn(
        tick=turn.tick,
        timestamp_ms=turn.timestamp_ms,
        frame_end_ms=cut.frame_end_ms,
        floor=turn.floor,
        user=turn.user,
        gap_ms=turn.gap_ms if cut.gap_ms is None else cut.gap_ms,
        audio=turn.audio,
        text=turn.text,
        user_text=turn.user_text,
        events=turn.events,
        final=turn.final,
    )
