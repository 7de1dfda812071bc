"""A session that the worker does not know is rebuilt from the log: the model's state is a cache of two topics.

Restore is lazy and per session: the first frame of an unknown session tells exactly which times are needed, however
the session is paced. The turns of the last minutes are folded into a ``Session``; the frames that the model's context
still covers become ``Work`` with their recorded turns, to be prefilled; turns that were acknowledged but whose input
was not committed are kept, so that their frames, delivered again, are prefilled too and not answered twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import codec
from schemas import records as r
from schemas.ticks import FRAME_MS
from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES, INTERACTION_TURNS, SESSION_CONTROL, TOPICS
from services.interaction.scheduler import Work
from services.interaction.session import Session
from shared import metrics
from shared.fencing import TurnFence
from shared.log.api import Log, LogRecord, TopicPartition
from shared.log.reading import read_since, read_span

_CONFIGURING = (r.SessionStarted, r.SessionHeld, r.SessionUpdated)
TRANSCRIPT_MS = 300_000  # how far back turns are folded in for the transcript and for unsettled tasks


@dataclass(frozen=True, slots=True)
class Unknown:
    """The first frame of a session that the worker does not know, at ``offset`` of ``encoder.frames``."""

    frame: r.EncodedFrame
    partition: int
    offset: int

    @property
    def start_ms(self) -> int:
        return self.frame.timestamp_ms - self.frame.tick * FRAME_MS

    def since_ms(self, back_ms: int) -> int:
        return max(self.start_ms, self.frame.timestamp_ms - back_ms)


@dataclass(slots=True)
class Restored:
    """A session ready to go on at ``next_tick`` (None: it has no turns yet, any tick may be its first).

    ``past`` is to be prefilled first. ``found`` are frames, with their offsets, that lie in the log without a turn:
    they were committed while a missing tick held them up. ``ahead`` are recorded turns of frames to come.
    """

    session: Session
    next_tick: int | None = None
    past: list[Work] = field(default_factory=list)
    found: list[tuple[int, r.EncodedFrame]] = field(default_factory=list)
    ahead: dict[int, r.InteractionTurn] = field(default_factory=dict)


class AcceptedTurns:
    """The turns of one session that count: for each tick the first of a not outdated epoch, in log order."""

    def __init__(self) -> None:
        self.by_tick: dict[int, r.InteractionTurn] = {}
        self.epoch = 0

    def offer(self, turn: r.InteractionTurn) -> None:
        if turn.epoch < self.epoch or turn.tick in self.by_tick:
            return
        self.epoch = turn.epoch
        self.by_tick[turn.tick] = turn


async def restore(log: Log, unknown: Sequence[Unknown], context_ticks: int, *, client_id: str) -> dict[str, Restored]:
    """Rebuild sessions from the log, all in one read.

    Raises:
        LogUnavailable: the log does not answer.
    """
    if not unknown:
        return {}
    turns = await _turns(log, unknown, client_id)
    results = await _results(log, unknown, client_id)
    configs = await _configs(log, unknown, client_id)
    frames = await _frames(log, unknown, context_ticks, client_id)
    restored = {}
    for item in unknown:
        session_id = item.frame.session_id
        session = Session(session_id, item.partition, config=configs.get(session_id, r.SessionConfig()))
        for offset, result in results[session_id]:
            session.offer_result(offset, result)
        restored[session_id] = _rebuild(session, item, turns[session_id], frames[session_id])
        metrics.RESTORES.labels("interaction").inc()
    return restored


def _rebuild(
    session: Session, item: Unknown, turns: AcceptedTurns, frames: dict[int, tuple[int, r.EncodedFrame]]
) -> Restored:
    first = item.frame.tick
    answered = max((tick for tick in turns.by_tick if tick < first), default=None)
    session.epoch_seen = turns.epoch
    if answered is None:
        return Restored(session, found=[frames[tick] for tick in sorted(frames)], ahead=dict(turns.by_tick))
    begin = answered + 1  # of the longest run of ticks up to there that have both a frame and a turn
    while begin - 1 in frames and begin - 1 in turns.by_tick:
        begin -= 1
    for tick in sorted(turns.by_tick):
        if tick < begin:
            turn = turns.by_tick[tick]
            session.take_results(before_offset=turn.results_offset)
            session.fold(turn)
    past = [
        Work(session, frames[tick][1], frames[tick][0], recorded=turns.by_tick[tick])
        for tick in range(begin, answered + 1)
    ]
    return Restored(
        session,
        next_tick=answered + 1,
        past=past,
        found=[frames[tick] for tick in sorted(frames) if tick > answered],
        ahead={tick: turn for tick, turn in turns.by_tick.items() if tick > answered},
    )


def _decoded(records: Sequence[LogRecord]) -> list[tuple[int, r.Record]]:
    """What decodes; the rest was dead-lettered by whoever follows that topic."""
    decoded = []
    for record in records:
        try:
            decoded.append((record.offset, codec.decode(TOPICS[record.topic], record.value)))
        except codec.UndecodableRecord:
            continue
    return decoded


def _sources(unknown: Sequence[Unknown], topic: str, back_ms: int) -> dict[TopicPartition, int]:
    since: dict[TopicPartition, int] = {}
    for item in unknown:
        source = TopicPartition(topic, item.partition)
        since[source] = min(since.get(source, item.since_ms(back_ms)), item.since_ms(back_ms))
    return since


async def _turns(log: Log, unknown: Sequence[Unknown], client_id: str) -> defaultdict[str, AcceptedTurns]:
    wanted = {item.frame.session_id for item in unknown}
    turns: defaultdict[str, AcceptedTurns] = defaultdict(AcceptedTurns)
    fence = TurnFence()
    async for chunk in read_since(log, _sources(unknown, INTERACTION_TURNS.name, TRANSCRIPT_MS), client_id=client_id):
        for record in chunk:
            try:
                turn = codec.decode(INTERACTION_TURNS, record.value)
            except codec.UndecodableRecord:
                continue
            if isinstance(turn, r.TurnsClaimed):
                fence.claimed(turn)
            elif fence.admits(record.partition, turn) and turn.session_id in wanted:
                turns[turn.session_id].offer(turn)
    return turns


async def _results(
    log: Log, unknown: Sequence[Unknown], client_id: str
) -> defaultdict[str, list[tuple[int, r.BackgroundResult]]]:
    wanted = {item.frame.session_id for item in unknown}
    results: defaultdict[str, list[tuple[int, r.BackgroundResult]]] = defaultdict(list)
    since = _sources(unknown, BACKGROUND_RESULTS.name, TRANSCRIPT_MS)
    async for chunk in read_since(log, since, client_id=client_id):
        for offset, result in _decoded(chunk):
            if isinstance(result, r.BackgroundResult) and result.session_id in wanted:
                results[result.session_id].append((offset, result))
    return results


async def _configs(log: Log, unknown: Sequence[Unknown], client_id: str) -> dict[str, r.SessionConfig]:
    wanted = {item.frame.session_id for item in unknown if item.frame.tick > 0}
    since: dict[TopicPartition, int] = {}
    for item in unknown:
        source = TopicPartition(SESSION_CONTROL.name, item.partition)
        since[source] = min(since.get(source, item.start_ms), item.start_ms)
    configs: dict[str, r.SessionConfig] = {}
    async for chunk in read_since(log, since, client_id=client_id):
        for _, control in _decoded(chunk):
            if isinstance(control, _CONFIGURING) and control.session_id in wanted:
                configs[control.session_id] = control.config
    return configs


async def _frames(
    log: Log, unknown: Sequence[Unknown], context_ticks: int, client_id: str
) -> defaultdict[str, dict[int, tuple[int, r.EncodedFrame]]]:
    """Frames before each unknown one, as far back as the model's context reaches."""
    by_session = {item.frame.session_id: item for item in unknown}
    frames: defaultdict[str, dict[int, tuple[int, r.EncodedFrame]]] = defaultdict(dict)
    since = _sources(unknown, ENCODER_FRAMES.name, context_ticks * FRAME_MS)
    reader = await log.consumer(client_id=client_id)
    try:
        starts = {s: offset for s, offset in (await reader.offsets_for_times(since)).items() if offset is not None}
    finally:
        await reader.close()
    ends = {s: max(item.offset for item in unknown if item.partition == s.partition) for s in starts}
    for offset, frame in _decoded(await read_span(log, starts, ends, client_id=client_id)):
        item = by_session.get(frame.session_id) if isinstance(frame, r.EncodedFrame) else None
        if item is None or not isinstance(frame, r.EncodedFrame):
            continue
        in_context = item.frame.tick - context_ticks <= frame.tick < item.frame.tick
        if in_context and offset < item.offset and frame.tick not in frames[frame.session_id]:
            frames[frame.session_id][frame.tick] = (offset, frame)
    return frames
