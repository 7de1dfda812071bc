"""Sessions in the log: which there are, and all records of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import cast

from infra.replay.recorded import Control, Recorded, counts
from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.ticks import FRAME_MS
from schemas.topics import (
    BACKGROUND_RESULTS,
    BACKGROUND_TASKS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
    KeyKind,
    Topic,
)
from shared.fencing import Fence, TurnFence
from shared.log.api import Log, LogRecord, TopicPartition
from shared.log.reading import read_since

CLIENT_ID = "replay"


class SessionNotFound(LookupError):
    """The log holds no turn of that session."""


@dataclass(slots=True)
class Listed:
    """A session by its ``session.control`` records. ``ticks`` and ``reason`` are known once it has ended."""

    session_id: str
    partition: int
    start_ms: int
    ticks: int | None = None
    reason: str = ""
    capture_id: str = ""
    config: r.SessionConfig | None = None
    fence: Fence = field(default_factory=Fence)

    @property
    def ended(self) -> bool:
        return self.ticks is not None

    def take(self, control: Control) -> None:
        """Take the session's next control record. Compaction keeps only the last: each alone tells the beginning."""
        if not counts(control, self.fence):
            return
        if isinstance(control, r.SessionEnded):
            self.ticks, self.reason = control.ticks, control.reason
            self.start_ms = control.timestamp_ms - control.ticks * FRAME_MS
            return
        self.config = control.config
        if isinstance(control, r.SessionStarted):
            self.start_ms, self.capture_id = control.timestamp_ms, control.capture_id
        elif isinstance(control, r.SessionHeld):
            self.start_ms, self.capture_id = control.timestamp_ms - control.tick * FRAME_MS, control.capture_id


async def sessions(log: Log, *, prefix: str = "") -> list[Listed]:
    """Every session of which the log still has a control record, in order of their begin.

    Raises:
        LogUnavailable: the log does not answer.
        LogError: there are no such topics.
    """
    found: dict[str, Listed] = {}
    topic = prefix + SESSION_CONTROL.name
    since = {TopicPartition(topic, p): 0 for p in range(await log.partitions(topic))}
    async for chunk in read_since(log, since, client_id=CLIENT_ID):
        for record in chunk:
            control = _control(record)
            if control is not None:
                listed = Listed(control.session_id, record.partition, control.timestamp_ms)
                found.setdefault(control.session_id, listed).take(control)
    return sorted(found.values(), key=lambda one: (one.start_ms, one.session_id))


def _control(record: LogRecord) -> Control | None:
    try:
        control: Control = codec.decode(SESSION_CONTROL, record.value)
    except codec.UndecodableRecord:
        return None
    return control


async def read_session(log: Log, session_id: str, *, prefix: str = "") -> Recorded:
    """All that the log has of a session, as it is now.

    Reads one partition of each topic from the session's begin on: to its last frame and turn, or to the end while it
    runs.

    Raises:
        SessionNotFound: no turn of it is there.
        LogUnavailable: the log does not answer.
        LogError: there are no such topics.
    """
    reader = _Reader(log, session_id, prefix, await log.partitions(prefix + INTERACTION_TURNS.name))
    recorded = Recorded(session_id)
    await reader.read(recorded, SESSION_CONTROL, 0, lambda _: False)
    listed = Listed(session_id, 0, 0)  # without control records, from the beginning of everything
    for control in recorded.control:
        listed.take(control)
    start_ms = listed.start_ms

    await reader.read(recorded, INTERACTION_TURNS, start_ms, lambda _: recorded.answered)
    if not recorded.turns:
        raise SessionNotFound(f"no turn of session {session_id} is in {prefix}{INTERACTION_TURNS.name}")
    over = recorded.answered
    newest_frame = max(turn.input_offset for turn in recorded.turns.values())
    await reader.read(recorded, ENCODER_FRAMES, start_ms, lambda record: over and record.offset >= newest_frame)
    newest_capture = max((frame.input_offset for frame in recorded.frames.values()), default=-1)
    await reader.read(recorded, CAPTURE_FRAMES, start_ms, lambda record: over and record.offset >= newest_capture)
    for topic in (BACKGROUND_RESULTS, BACKGROUND_TASKS):
        await reader.read(recorded, topic, start_ms, lambda _: False)
    return recorded


@dataclass(frozen=True, slots=True)
class _Reader:
    log: Log
    session_id: str
    prefix: str
    partitions: int
    fence: TurnFence = field(default_factory=TurnFence)

    async def read(
        self, recorded: Recorded, topic: Topic, since_ms: int, enough: Callable[[LogRecord], bool]
    ) -> None:
        """Add the session's records of one topic until ``enough``, which is asked after each record of the topic."""
        source = TopicPartition(self.prefix + topic.name, partition_of(self.session_id, self.partitions))
        reading = cast(
            AsyncGenerator[list[LogRecord], None], read_since(self.log, {source: since_ms}, client_id=CLIENT_ID)
        )
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                for record in chunk:
                    fenced = topic is INTERACTION_TURNS and self._is_fenced(record)
                    if self._ours(topic, record):
                        recorded.add(replace(record, topic=topic.name), fenced=fenced)
                    if enough(record):
                        return

    def _is_fenced(self, record: LogRecord) -> bool:
        """Whether a turn is of a fenced worker, as live readers of the partition decided, which saw all of it.

        Under a prefix sessions of many logs lie side by side, and only turns that count.
        """
        if self.prefix:
            return False
        try:
            value = codec.decode(INTERACTION_TURNS, record.value)
        except codec.UndecodableRecord:
            return False
        if isinstance(value, r.TurnsClaimed):
            return not self.fence.claimed(value)
        return not self.fence.admits(record.partition, value)

    def _ours(self, topic: Topic, record: LogRecord) -> bool:
        """Told by the key, so that other sessions' records need not be decoded."""
        key = record.key or b""
        own = self.session_id.encode()
        return key == own if topic.key is KeyKind.SESSION else key.startswith(own + b":")
