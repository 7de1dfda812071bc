"""The interaction worker: encoded frames and background results in, exactly one turn per tick out.

Four verbs a batch: *receive* (put frames in order, results beside their sessions), *schedule* and *forward*
(``scheduler``, off the event loop), *process* (turns, then tasks, to the log). Sessions it does not know are restored
first (``restore``). The input's offset is committed by the loop once the turn is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, ENCODER_FRAMES, INTERACTION_TURNS
from services.interaction.protocol import InteractionModel
from services.interaction.restore import Restored, Unknown, restore
from services.interaction.scheduler import Done, Scheduler, Work
from services.interaction.session import AUDIO_TOKENS, Session, stand_in
from shared import metrics
from shared.clock import Clock
from shared.context import CURSOR, TRANSCRIPT, Cursor, Transcript, WriteBehind
from shared.log.api import Consumer, Log, TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger
from shared.ordering import TickOrder, Verdict

CATCH_UP_MS = 3_000  # a live session further behind than this takes frames in without answering each
IDLE_S = 900.0
CURSOR_TICKS = 5

logger = get_logger(__name__)


class Arrival(NamedTuple):
    """A frame at its offset; ``source`` is None for one that was read back from the log."""

    frame: r.EncodedFrame
    offset: int
    source: Incoming | None


@dataclass(slots=True)
class Seat:
    """A session's place in the worker: order of its ticks, recorded turns ahead, how late it runs.

    ``noted`` is which loss of the shared context its notes have outlived, -1 while there are none.
    """

    session: Session
    order: TickOrder[Arrival]
    ahead: dict[int, r.InteractionTurn] = field(default_factory=dict)
    least_lag_ms: float = float("inf")
    late: bool = False
    last_seen: float = 0.0
    noted: int = -1


class InteractionWorker:
    """Handler of the consume loop. All its state can be rebuilt from the log."""

    def __init__(
        self, model: InteractionModel, log: Log, clock: Clock, *, client_id: str, notes: WriteBehind | None = None
    ) -> None:
        """``notes``: where the transcript is noted for other processes; never waited for."""
        self._model = model
        self._log = log
        self._clock = clock
        self._client_id = client_id
        self._scheduler = Scheduler(model)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._seats: dict[str, Seat] = {}
        self._epochs: dict[int, int] = {}  # partition -> epoch of this assignment
        self._fresh_from: dict[int, int] = {}  # partition -> first offset that came after the assignment
        self._next_offset: dict[int, int] = {}  # partition -> one past the last frame taken
        self._next_sweep = 0.0
        self._notes = notes
        self._notes_lost = 0

    @property
    def session_count(self) -> int:
        return len(self._seats)

    # --- partitions come and go --------------------------------------------------------------------------------

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Take partitions over. State of ones that come back unmoved is kept, the rest is restored on demand."""
        mine = sorted(p for p in partitions if p.topic == ENCODER_FRAMES.name)
        ends = await consumer.end_offsets(mine)
        for source in mine:
            committed = await consumer.committed(source)
            if self._next_offset.get(source.partition) != committed:
                self._forget_partition(source.partition)
            self._fresh_from[source.partition] = ends[source]
            self._epochs[source.partition] = int(self._clock.wall_ms())
        held = {source.partition for source in mine}
        for partition in set(self._next_offset) - held:
            self._forget_partition(partition)
        logger.info("partitions_assigned", partitions=sorted(held), sessions_kept=len(self._seats))

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to save: what was handled is committed by the loop, the rest is in the log."""
        logger.info("partitions_revoked", partitions=sorted({p.partition for p in partitions}))

    def _forget_partition(self, partition: int) -> None:
        self._next_offset.pop(partition, None)
        for session_id in [s for s, seat in self._seats.items() if seat.session.partition == partition]:
            self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        del self._seats[session_id]
        self._scheduler.forget(session_id)

    # --- a batch ---------------------------------------------------------------------------------------------------

    async def handle(self, batch: Sequence[Incoming]) -> list[Outgoing | InvalidRecord]:
        """One turn for every frame of ``batch`` that has none yet.

        Raises:
            LogUnavailable: a session could not be restored now; the loop retries the batch.
        """
        frames = [item for item in batch if item.record.topic == ENCODER_FRAMES.name]
        refused, valid = self._check(frames)
        queues: dict[str, deque[Work]] = {}
        await self._seat_unknown(valid, queues)
        for item in batch:
            if item.record.topic == BACKGROUND_RESULTS.name:
                self._receive_result(item)
        sources: dict[tuple[str, int], Incoming] = {}
        for item in valid:
            self._receive_frame(item, queues, sources)
        done = await asyncio.get_running_loop().run_in_executor(self._thread, self._scheduler.run, queues)
        out = [outgoing for one in done for outgoing in self._process(one, sources)]
        for item in frames:
            self._next_offset[item.record.partition] = item.record.offset + 1
        self._sweep()
        return [*refused, *out]

    def _check(self, frames: Sequence[Incoming]) -> tuple[list[Outgoing | InvalidRecord], list[Incoming]]:
        """Refuse what the model cannot take; the tick is then missing, and given up in order like any other."""
        refused: list[Outgoing | InvalidRecord] = []
        valid: list[Incoming] = []
        wanted, d = self._model.encoder_version, self._model.d
        for item in frames:
            frame: r.EncodedFrame = item.value
            if wanted and frame.encoder_version != wanted:
                refused.append(
                    InvalidRecord(item, f"encoder {frame.encoder_version!r}, {self._model.name} wants {wanted!r}")
                )
            elif frame.kinds.count(r.TokenKind.AUDIO) != AUDIO_TOKENS or max(frame.kinds) > max(r.TokenKind):
                refused.append(InvalidRecord(item, f"token kinds {list(frame.kinds[:16])}: a frame has 4 of audio"))
            elif (d and frame.d != d) or len(frame.embeddings) != 2 * frame.d * len(frame.kinds):
                refused.append(InvalidRecord(item, f"{len(frame.embeddings)} bytes for {len(frame.kinds)} x {frame.d}"))
            else:
                valid.append(item)
        return refused, valid

    async def _seat_unknown(self, frames: Sequence[Incoming], queues: dict[str, deque[Work]]) -> None:
        first: dict[str, Unknown] = {}
        for item in frames:
            frame: r.EncodedFrame = item.value
            if frame.session_id not in self._seats:
                known = first.get(frame.session_id)
                if known is None:
                    first[frame.session_id] = Unknown(frame, item.record.partition, item.record.offset)
                elif frame.tick < known.frame.tick:
                    first[frame.session_id] = Unknown(frame, known.partition, known.offset)
        history = [u for u in first.values() if u.frame.tick > 0 or u.offset < self._fresh_from.get(u.partition, 0)]
        restored = await retrying(
            lambda: restore(self._log, history, self._model.context_ticks, client_id=self._client_id),
            clock=self._clock,
            backoff=Backoff(),
        )
        for session_id, unknown in first.items():
            past = restored.get(session_id) or Restored(Session(session_id, unknown.partition))
            self._seat(past, unknown, queues)

    def _seat(self, restored: Restored, unknown: Unknown, queues: dict[str, deque[Work]]) -> None:
        session, tick = restored.session, unknown.frame.tick
        session.epoch = max(self._epochs.get(unknown.partition, 0), session.epoch_seen + 1)
        order: TickOrder[Arrival]
        order = TickOrder.first_seen(tick) if restored.next_tick is None else TickOrder(restored.next_tick)
        seat = self._seats[session.session_id] = Seat(session, order, restored.ahead)
        queue = queues.setdefault(session.session_id, deque())
        queue.extend(restored.past)
        for offset, frame in restored.found:
            self._enqueue(seat, Arrival(frame, offset, None), queue, {})
        if restored.next_tick is not None:
            logger.info("session_restored", session=session.session_id, tick=tick, ticks_read=len(restored.past))

    def _receive_result(self, item: Incoming) -> None:
        seat = self._seats.get(item.value.session_id)
        if seat is not None:  # an unknown session finds the result in the log when it is restored
            seat.session.offer_result(item.record.offset, item.value)

    def _receive_frame(
        self, item: Incoming, queues: dict[str, deque[Work]], sources: dict[tuple[str, int], Incoming]
    ) -> None:
        seat = self._seats[item.value.session_id]
        queue = queues.setdefault(item.value.session_id, deque())
        self._enqueue(seat, Arrival(item.value, item.record.offset, item), queue, sources)
        seat.last_seen = self._clock.monotonic()

    def _enqueue(
        self, seat: Seat, arrival: Arrival, queue: deque[Work], sources: dict[tuple[str, int], Incoming]
    ) -> None:
        """Put one frame in order; whatever it releases is queued."""
        frame = arrival.frame
        pushed = seat.order.push(frame.tick, arrival, last=frame.final)
        if pushed.verdict is Verdict.DUPLICATE:
            metrics.DUPLICATES_IGNORED.labels("interaction").inc()
        for tick, one in pushed.ready:
            # A tick that never came is answered because of the one that gave it up.
            ready = one or Arrival(self._missing(frame, tick), arrival.offset, arrival.source)
            if queue and queue[-1].recorded is None and seat.late:
                queue[-1].skip = True  # a newer one is there: that one is answered
            seat.late = self._late(seat, ready.frame)
            queue.append(Work(seat.session, ready.frame, ready.offset, recorded=seat.ahead.pop(tick, None)))
            if ready.source is not None:
                sources[frame.session_id, tick] = ready.source

    def _missing(self, frame: r.EncodedFrame, tick: int) -> r.EncodedFrame:
        metrics.TICKS_MISSING.labels("interaction").inc()
        return stand_in(frame, tick)

    def _late(self, seat: Seat, frame: r.EncodedFrame) -> bool:
        """Whether a live session runs late, against the least lag it ever had.

        So a recording that is paced faster than time, or replayed years later, is never late.
        """
        lag_ms = self._clock.wall_ms() - frame.timestamp_ms
        late = lag_ms - seat.least_lag_ms > CATCH_UP_MS
        seat.least_lag_ms = min(seat.least_lag_ms, lag_ms)
        return late

    def _process(self, done: Done, sources: dict[tuple[str, int], Incoming]) -> list[Outgoing]:
        turn = done.turn
        source = sources.get((turn.session_id, turn.tick))
        if done.work.recorded is not None and source is None:
            return []  # of the restored past: all was acknowledged and committed
        out = [Outgoing(BACKGROUND_TASKS, side, source=source) for side in done.sides]
        if done.work.recorded is None:
            out.append(Outgoing(INTERACTION_TURNS, turn, source=source))
        seat = self._seats.pop(turn.session_id, None) if turn.final else self._seats.get(turn.session_id)
        self._note(done, seat)
        return out

    def note_again(self) -> None:
        """The shared context may have lost everything: write each session's part again, at its next turn."""
        self._notes_lost += 1

    def _note(self, done: Done, seat: Seat | None) -> None:
        """Tell the shared context what was said or heard, and once a second how far the session is."""
        turn = done.turn
        if self._notes is None:
            return
        said = turn.text or turn.user_text or turn.typed or turn.final
        lost = seat is not None and seat.noted != self._notes_lost
        if said or lost:
            self._notes.put(TRANSCRIPT, turn.session_id, Transcript(entries=list(done.work.session.transcript)))
        if said or lost or turn.tick % CURSOR_TICKS == 0:
            cursor = Cursor(tick=turn.tick, timestamp_ms=turn.timestamp_ms, epoch=turn.epoch, worker=self._client_id)
            self._notes.put(CURSOR, turn.session_id, cursor)
        if seat is not None:
            seat.noted = self._notes_lost

    def _sweep(self) -> None:
        """Once a minute, forget sessions that fell silent without an end; a later frame would restore them."""
        now = self._clock.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        for session_id in [s for s, seat in self._seats.items() if now - seat.last_seen > IDLE_S]:
            self._forget(session_id)
