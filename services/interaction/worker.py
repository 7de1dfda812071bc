"""The interaction worker: encoded frames and background results in, exactly one turn per tick out.

It *follows* partitions, which keeps their sessions' state warm by prefill with the turns of whoever owns them, and
*owns* some, whose frames it answers. Both take the same road: frames arrive at their seats (``seats``), sessions that
are not known are restored in the background (``restoring``), a bounded pass of the scheduler takes ticks in off the
event loop (``scheduler``), and a tick is settled, and its input committed, once its turn is read back from the log.

Ownership changes at one place of the log: a partition is ours from our ``TurnsClaimed`` in ``interaction.turns`` on,
until another claim is read there. What we sent and the log took behind that other claim counts for nobody.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, ENCODER_FRAMES, INTERACTION_TURNS
from services.interaction.partitions import Charge, Following, Partitions
from services.interaction.protocol import InteractionModel, SpeechOut
from services.interaction.restore import Restored
from services.interaction.restoring import Restoring, Waiting
from services.interaction.scheduler import PASS_ROUNDS, Done, Scheduler, Work
from services.interaction.seats import Arrival, Seat
from services.interaction.session import AUDIO_TOKENS, Session
from shared import metrics
from shared.clock import Clock
from shared.context import CURSOR, TRANSCRIPT, Cursor, Transcript, WriteBehind
from shared.log.api import Consumer, Log, TopicPartition
from shared.log.loop import Finished, Incoming, InvalidRecord, Outgoing, Output
from shared.logging import get_logger
from shared.ordering import TickOrder

CURSOR_TICKS = 5
IDLE_S = 900.0
STUCK_S = 60.0  # a silent session with a frame that waits for an earlier one keeps its partition from committing
SWEEP_EVERY_S = 10.0
FOLLOW_EVERY_S = 0.4  # turns of others are taken in together: fewer, fuller prefills
WARM_TICKS = 15  # a follower with more to take in than this is not warm
EARLY_TICKS = 32  # turns of sessions whose first frame has not been read yet
EARLY_SESSIONS = 1_000
REMEMBERED = 10_000  # sessions that have ended

logger = get_logger(__name__)


class InteractionWorker:
    """Handler of the consume loop; ``bind`` it to the loop before that runs. ``partitions`` is the leases' tenant."""

    def __init__(
        self,
        model: InteractionModel,
        log: Log,
        clock: Clock,
        *,
        client_id: str,
        notes: WriteBehind | None = None,
        voice: SpeechOut | None = None,
        warm_after_s: float = 1.0,
    ) -> None:
        """``notes``: where the transcript is noted for other processes; never waited for. ``voice``: what says the
        model's words; None for text only.

        ``warm_after_s``: how long a partition is followed before it counts as warm: by then each live session has
        shown itself by a frame.
        """
        self._model = model
        self._log = log
        self._clock = clock
        self._client_id = client_id
        self._notes = notes
        self._notes_lost = 0
        self._scheduler = Scheduler(model, voice)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._restoring = Restoring(log, clock, model.context_ticks, client_id=client_id)
        self._loop: Following | None = None
        self.partitions = Partitions(log, clock, self._cold, client_id=client_id, warm_after_s=warm_after_s)
        self._charges = self.partitions.charges
        self._seats: dict[str, Seat] = {}
        self._early: OrderedDict[str, dict[int, r.InteractionTurn]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._touched: set[str] = set()  # sessions with something that may be settled
        self._follow_at = 0.0
        self._sweep_at = 0.0

    @property
    def session_count(self) -> int:
        return len(self._seats)

    def bind(self, loop: Following) -> None:
        self._loop = loop
        self.partitions.bind(loop)

    # --- partitions come and go ------------------------------------------------------------------------------------

    def _cold(self) -> set[int]:
        """Partitions with sessions that are not as far as the log."""
        cold = {w.partition for w in self._restoring.waiting.values()}
        return cold | {seat.partition for seat in self._seats.values() if len(seat.queue) > WARM_TICKS}

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Nothing to do: ``Partitions.follow`` has prepared them."""

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget what is followed no more. Nothing to save: it is in the log."""
        lost = {tp.partition for tp in partitions}
        self._restoring.drop(lambda partition: partition in lost)
        for session_id in [s for s, seat in self._seats.items() if seat.partition in lost]:
            self._forget(session_id)
        for partition in lost:
            self._charges.pop(partition, None)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._restoring.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def _bound(self) -> Following:
        if self._loop is None:
            raise RuntimeError("bind the worker to a consume loop first")
        return self._loop

    # --- a batch ---------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is something to do without new records."""
        return self._restoring.ready or bool(self._due())

    async def handle(self, batch: Sequence[Incoming]) -> list[Output]:
        """One turn for every frame of owned partitions that has none yet, and settle what has.

        Raises:
            LogUnavailable: a session could not be restored.
        """
        out: list[Output] = []
        refused, frames = self._check([i for i in batch if i.record.topic == ENCODER_FRAMES.name])
        out += refused
        for waiting, restored in self._restoring.collect():
            out += self._seat(waiting, restored)
        for item in batch:
            if item.record.topic == BACKGROUND_RESULTS.name:
                self._receive_result(item)
        for item in batch:
            if item.record.topic == INTERACTION_TURNS.name:
                out += self._receive_turn(item)
        for item in frames:
            self._receive_frame(item)
        for item in batch:
            self._charges[item.record.partition].took(item.record)
        out += await self._pass()
        return [*out, *self._settle(), *self._sweep()]

    def _check(self, frames: Sequence[Incoming]) -> tuple[list[InvalidRecord], list[Incoming]]:
        """Refuse what the model cannot take; the tick is then missing, and given up in order like any other."""
        refused: list[InvalidRecord] = []
        valid: list[Incoming] = []
        wanted, d = self._model.encoder_version, self._model.d
        for item in frames:
            frame: r.EncodedFrame = item.value
            if wanted and frame.encoder_version != wanted:
                problem = f"encoder {frame.encoder_version!r}, {self._model.name} wants {wanted!r}"
            elif frame.kinds.count(r.TokenKind.AUDIO) != AUDIO_TOKENS or max(frame.kinds) > max(r.TokenKind):
                problem = f"token kinds {list(frame.kinds[:16])}: a frame has 4 of audio"
            elif (d and frame.d != d) or len(frame.embeddings) != 2 * frame.d * len(frame.kinds):
                problem = f"{len(frame.embeddings)} bytes for {len(frame.kinds)} x {frame.d}"
            else:
                valid.append(item)
                continue
            if self._charges[item.record.partition].owned:  # who follows leaves that to the owner
                refused.append(InvalidRecord(item, problem))
        return refused, valid

    def _receive_result(self, item: Incoming) -> None:
        result: r.BackgroundResult = item.value
        if seat := self._seats.get(result.session_id):
            seat.session.offer_result(item.record.offset, result)
        elif waiting := self._restoring.waiting.get(result.session_id):
            waiting.results.append((item.record.offset, result))
        # An unknown session finds the result in the log when it is restored.

    def _receive_turn(self, item: Incoming) -> list[Output]:
        charge, turn = self._charges[item.record.partition], item.value
        if isinstance(turn, r.TurnsClaimed):
            return self._claimed(charge, turn)
        if turn.epoch < charge.epoch:
            metrics.TURNS_FENCED.inc()
            return []
        charge.epoch = turn.epoch  # of a claim that was made before we followed
        session_id = turn.session_id
        if seat := self._seats.get(session_id):
            seat.read(turn)
            self._touched.add(session_id)
        elif waiting := self._restoring.waiting.get(session_id):
            waiting.turns.append(turn)
        elif turn.tick < EARLY_TICKS and session_id not in self._ended:
            self._early.setdefault(session_id, {}).setdefault(turn.tick, turn)
            if len(self._early) > EARLY_SESSIONS:
                self._early.popitem(last=False)
        return []

    def _receive_frame(self, item: Incoming) -> None:
        frame: r.EncodedFrame = item.value
        record, session_id = item.record, frame.session_id
        arrival = Arrival(frame, record.partition, record.offset, item)
        if session_id in self._ended:
            metrics.DUPLICATES_IGNORED.labels("interaction").inc()
            return
        seat = self._seats.get(session_id)
        if seat is None and session_id not in self._restoring.waiting:
            if frame.tick == 0 and record.offset >= self._charges[record.partition].fresh_from:
                seat = self._take_seat(Seat(Session(session_id, record.partition), TickOrder(0)))
                seat.ahead = self._early.pop(session_id, {})
            else:
                self._restoring.waiting[session_id] = Waiting(record.partition)
                self._early.pop(session_id, None)
        if seat is None:
            self._bound.defer(item)
            self._restoring.waiting[session_id].arrivals.append(arrival)
        else:
            self._arrive(seat, arrival)

    def _arrive(self, seat: Seat, arrival: Arrival) -> None:
        seat.last_seen = self._clock.monotonic()
        self._touched.add(seat.session.session_id)
        if seat.arrive(arrival, self._clock.wall_ms()) and arrival.source is not None:
            self._bound.defer(arrival.source)

    def _take_seat(self, seat: Seat) -> Seat:
        session = seat.session
        session.epoch = self._charges[seat.partition].epoch
        seat.last_seen = self._clock.monotonic()
        self._seats[session.session_id] = seat
        self._touched.add(session.session_id)
        return seat

    def _seat(self, waiting: Waiting, restored: Restored) -> list[Output]:
        """A session is back from the log: queue its past, then what came while it was read."""
        session, now_ms = restored.session, self._clock.wall_ms()
        arrivals = sorted(waiting.arrivals, key=lambda a: a.offset)
        found = [Arrival(frame, waiting.partition, offset) for offset, frame in restored.found]
        first = min(a.frame.tick for a in (*found, *arrivals))
        order: TickOrder[Arrival]
        order = TickOrder.first_seen(first) if restored.next_tick is None else TickOrder(restored.next_tick)
        seat = self._take_seat(Seat(session, order, restored.ahead))
        if restored.past and restored.past[-1].frame.final:
            seat.last_turn = restored.past[-1].frame.tick  # it has ended: nobody needs its state
        else:
            seat.queue.extend(restored.past)
        for offset, result in waiting.results:
            session.offer_result(offset, result)
        for turn in waiting.turns:
            seat.read(turn)
        late = [arrival for arrival in (*found, *arrivals) if not seat.arrive(arrival, now_ms)]
        logger.info("session_restored", session=session.session_id, tick=first, ticks_read=len(restored.past))
        return [Finished(arrival.source) for arrival in late if arrival.source is not None]

    # --- ownership changes ----------------------------------------------------------------------------------------

    def _claimed(self, charge: Charge, claim: r.TurnsClaimed) -> list[Output]:
        if claim.epoch <= charge.epoch:
            return []  # lost against one that came before it
        seats = [seat for seat in self._seats.values() if seat.partition == charge.partition]
        if charge.owned:
            for seat in seats:
                if seat.answered:  # the log took these turns behind the claim, if at all: they count for nobody
                    self._read_back(seat)
        charge.epoch, charge.owned = claim.epoch, claim.worker == self.partitions.worker_id
        metrics.PARTITIONS_OWNED.labels("interaction").set(len(self.partitions.owned()))
        logger.info("partition_changes_hands", partition=charge.partition, epoch=claim.epoch, ours=charge.owned)
        return self._take_over(charge) if charge.owned else []

    def _take_over(self, charge: Charge) -> list[Output]:
        metrics.TAKEOVERS.labels("interaction").inc()
        out: list[Output] = []
        for seat in [seat for seat in self._seats.values() if seat.partition == charge.partition]:
            seat.session.epoch = charge.epoch
            out += [Outgoing(BACKGROUND_TASKS, side) for side in seat.recent_sides()]
            if seat.cold:
                self._read_back(seat)
        return out

    def _read_back(self, seat: Seat) -> None:
        """Give a session's state up and have it rebuilt from the log, before what is not settled."""
        session_id = seat.session.session_id
        self._forget(session_id)
        if seat.arrived:
            self._restoring.waiting[session_id] = Waiting(seat.partition, list(seat.arrived.values()))

    def _forget(self, session_id: str) -> None:
        del self._seats[session_id]
        self._scheduler.forget(session_id)

    # --- the model --------------------------------------------------------------------------------------------------

    def _may(self, work: Work) -> bool:
        """Whether a tick can be taken in: by a step if it is ours to answer, by prefill with all that its turn saw."""
        charge = self._charges[work.session.partition]
        if work.recorded is None:
            return charge.owned
        return work.recorded.results_offset <= charge.results_position

    def _due(self) -> dict[str, deque[Work]]:
        follow = self._clock.monotonic() >= self._follow_at
        return {
            session_id: seat.queue
            for session_id, seat in self._seats.items()
            if seat.queue
            and (follow or self._charges[seat.partition].owned or len(seat.queue) > PASS_ROUNDS)
            and self._may(seat.queue[0])
        }

    async def _pass(self) -> list[Output]:
        queues = self._due()
        if not queues:
            return []
        if not all(self._charges[self._seats[session_id].partition].owned for session_id in queues):
            self._follow_at = self._clock.monotonic() + FOLLOW_EVERY_S
        run = asyncio.get_running_loop().run_in_executor
        done = await run(self._thread, self._scheduler.advance, queues, self._may)
        return [output for one in done for output in self._process(one)]

    def _process(self, done: Done) -> list[Output]:
        turn = done.turn
        seat = self._seats[turn.session_id]
        owned = self._charges[seat.partition].owned
        seat.done(done)
        self._touched.add(turn.session_id)
        if owned:
            self._note(done, seat)
        if done.work.recorded is not None:
            seat.cold = seat.cold or not (turn.final or self._scheduler.holds(turn.session_id))
            return [Outgoing(BACKGROUND_TASKS, side) for side in seat.recent_sides()] if owned else []
        arrival = seat.arrived.get(turn.tick)
        source = None if arrival is None else arrival.source
        out: list[Output] = [Outgoing(BACKGROUND_TASKS, side, source=source) for side in done.sides]
        return [*out, Outgoing(INTERACTION_TURNS, turn, source=source)]

    def note_again(self) -> None:
        """The shared context may have lost everything: write each session's part again, at its next turn."""
        self._notes_lost += 1

    def _note(self, done: Done, seat: Seat) -> None:
        """Tell the shared context what was said or heard, and once a second how far the session is."""
        turn = done.turn
        if self._notes is None:
            return
        said = turn.text or turn.audio or turn.user_text or turn.typed or turn.final
        lost = seat.noted != self._notes_lost
        if said or lost:
            self._notes.put(TRANSCRIPT, turn.session_id, Transcript(entries=list(done.work.session.transcript)))
        if said or lost or turn.tick % CURSOR_TICKS == 0:
            cursor = Cursor(tick=turn.tick, timestamp_ms=turn.timestamp_ms, epoch=turn.epoch, worker=self._client_id)
            self._notes.put(CURSOR, turn.session_id, cursor)
        seat.noted = self._notes_lost

    # --- what is over -----------------------------------------------------------------------------------------------

    def _settle(self) -> list[Output]:
        """Let inputs go whose turn is in the log, and sessions whose last one is."""
        out: list[Output] = []
        for session_id in self._touched:
            seat = self._seats.get(session_id)
            if seat is None:
                continue
            out += [Finished(source) for source in seat.settled()]
            if seat.over:
                out += self._let_go(seat)
                self._ended[session_id] = None
                if len(self._ended) > REMEMBERED:
                    self._ended.popitem(last=False)
        self._touched.clear()
        return out

    def _sweep(self) -> list[Output]:
        """Forget sessions that fell silent without an end; a later frame would restore them."""
        now = self._clock.monotonic()
        if now < self._sweep_at:
            return []
        self._sweep_at = now + SWEEP_EVERY_S
        idle = [s for s in self._seats.values() if now - s.last_seen > (STUCK_S if s.arrived else IDLE_S)]
        return [output for seat in idle for output in self._let_go(seat)]

    def _let_go(self, seat: Seat) -> list[Output]:
        self._forget(seat.session.session_id)
        return [Finished(arrival.source) for arrival in seat.arrived.values() if arrival.source is not None]
