"""Serves an agent at the place of encoder and interaction: capture frames in, exactly one turn per tick out.

What a client meets is the same for every model: the same door, broker and protocol. State lives in this process only;
an agent that is started again begins each conversation anew at the tick that comes next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from infra.eval.agents.protocol import Agent, AgentSession, Reply
from schemas import records as r
from schemas.ticks import FRAME_MS, INPUT_SAMPLES, OUTPUT_SAMPLES, SAMPLE_BYTES
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, CAPTURE_FRAMES, INTERACTION_TURNS
from shared import metrics
from shared.clock import Clock
from shared.log.api import Consumer, TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from shared.logging import get_logger
from shared.ordering import TickOrder, Verdict

REORDER_TICKS = 3
IDLE_S = 900.0
ENDED_REMEMBERED = 1_000  # a record of a conversation that is over must not begin it again
FRAME_BYTES = INPUT_SAMPLES * SAMPLE_BYTES
TURN_BYTES = OUTPUT_SAMPLES * SAMPLE_BYTES
_SILENCE = bytes(FRAME_BYTES)

logger = get_logger(__name__)
Out = list[Outgoing | InvalidRecord]


@dataclass(slots=True)
class Seat:
    """A conversation's place in the host."""

    session: AgentSession
    order: TickOrder[tuple[Incoming, r.CaptureFrame]]
    partition: int
    results_offset: int = 0
    last_seen: float = 0.0


class BadReply(RuntimeError):
    """An agent's answer that no client could play: a bug of the agent, so the process ends."""


class AgentHost:
    """Handler of the consume loop over ``capture.frames`` and ``background.results``."""

    def __init__(self, agent: Agent, clock: Clock) -> None:
        self._agent = agent
        self._clock = clock
        self._seats: dict[str, Seat] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._epochs: dict[int, int] = {}  # partition -> epoch of this assignment
        self._next_sweep = 0.0

    @property
    def session_count(self) -> int:
        return len(self._seats)

    # --- partitions come and go

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Take partitions over; conversations on ones that have gone are closed."""
        held = {source.partition for source in partitions if source.topic == CAPTURE_FRAMES.name}
        self._epochs = dict.fromkeys(held, int(self._clock.wall_ms()))
        for session_id in [s for s, seat in self._seats.items() if seat.partition not in held]:
            self._forget(session_id)
        logger.info("partitions_assigned", partitions=sorted(held), sessions_kept=len(self._seats))

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to save."""

    def close(self) -> None:
        """End all conversations."""
        for session_id in list(self._seats):
            self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        self._seats.pop(session_id).session.close()
        metrics.SESSIONS_HELD.labels("agent").set(len(self._seats))

    def _end(self, session_id: str) -> None:
        self._forget(session_id)
        self._ended[session_id] = None
        while len(self._ended) > ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    # --- a batch

    async def handle(self, batch: Sequence[Incoming]) -> Out:
        """One turn for every tick that is ready; results first, since a frame of the same batch may use them."""
        out: Out = []
        for item in batch:
            if item.record.topic == BACKGROUND_RESULTS.name:
                self._offer(item)
        for item in batch:
            if item.record.topic == CAPTURE_FRAMES.name:
                self._hear(item, out)
        self._sweep()
        return out

    def _offer(self, item: Incoming) -> None:
        seat = self._seats.get(item.value.session_id)
        if seat is not None and item.record.offset >= seat.results_offset:
            seat.results_offset = item.record.offset + 1
            seat.session.offer(item.value)

    def _hear(self, item: Incoming, out: Out) -> None:
        frame: r.CaptureFrame = item.value
        if frame.session_id in self._ended:
            metrics.DUPLICATES_IGNORED.labels("agent").inc()
            return
        seat = self._seats.get(frame.session_id) or self._seat(item)
        if len(frame.audio) != FRAME_BYTES:
            # Its place in the session is known, so the tick goes on as a gap and nothing after it has to wait.
            out.append(InvalidRecord(item, f"{len(frame.audio)} bytes of audio, a frame has {FRAME_BYTES}"))
            frame = msgspec.structs.replace(frame, audio=_SILENCE, gap_ms=FRAME_MS)
        pushed = seat.order.push(frame.tick, (item, frame), last=frame.final)
        if pushed.verdict is Verdict.DUPLICATE:
            metrics.DUPLICATES_IGNORED.labels("agent").inc()
        for tick, arrival in pushed.ready:
            source, ready = arrival or (item, self._silent(frame, tick))
            with metrics.STEP_SECONDS.labels("agent").time():
                reply = seat.session.step(ready)
            out += self._records(seat, ready, reply, source)
            if ready.final:
                self._end(frame.session_id)
        seat.last_seen = self._clock.monotonic()

    def _seat(self, item: Incoming) -> Seat:
        frame: r.CaptureFrame = item.value
        order: TickOrder[tuple[Incoming, r.CaptureFrame]]
        order = TickOrder.first_seen(frame.tick, window=REORDER_TICKS)
        seat = Seat(self._agent.session(frame.session_id), order, item.record.partition)
        self._seats[frame.session_id] = seat
        metrics.SESSIONS_HELD.labels("agent").set(len(self._seats))
        return seat

    @staticmethod
    def _silent(frame: r.CaptureFrame, tick: int) -> r.CaptureFrame:
        metrics.TICKS_MISSING.labels("agent").inc()
        timestamp_ms = frame.timestamp_ms - (frame.tick - tick) * FRAME_MS
        return r.CaptureFrame(
            session_id=frame.session_id, timestamp_ms=timestamp_ms, tick=tick, audio=_SILENCE, gap_ms=FRAME_MS
        )

    def _records(self, seat: Seat, frame: r.CaptureFrame, reply: Reply, source: Incoming) -> Out:
        if reply.audio is not None and len(reply.audio) != TURN_BYTES:
            raise BadReply(f"{self._agent.name}: {len(reply.audio)} bytes of audio in a turn, not {TURN_BYTES}")
        turn = r.InteractionTurn(
            session_id=frame.session_id,
            timestamp_ms=frame.timestamp_ms,
            tick=frame.tick,
            floor=reply.floor,
            user=reply.user,
            model=self._agent.name,
            epoch=self._epochs.get(seat.partition, 0),
            input_offset=source.record.offset,
            results_offset=seat.results_offset,
            audio=reply.audio,
            text=reply.text,
            user_text=reply.user_text,
            typed=frame.text,
            events=list(reply.events),
            gap_ms=frame.gap_ms,
            final=frame.final,
        )
        sides = [Outgoing(BACKGROUND_TASKS, side, source=source) for side in reply.sides]
        results = [Outgoing(BACKGROUND_RESULTS, result, source=source) for result in reply.results]
        return [*sides, Outgoing(INTERACTION_TURNS, turn, source=source), *results]

    def _sweep(self) -> None:
        """Once a minute, close conversations that fell silent without an end."""
        now = self._clock.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        for session_id in [s for s, seat in self._seats.items() if now - seat.last_seen > IDLE_S]:
            self._forget(session_id)
