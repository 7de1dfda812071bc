"""Puts a session into topics of a running log that no service follows, where it can be listed, replayed, exported.

Live topics are never written: the encoder would encode the frames, the model would answer them, and capture would be
given turns of a session that it never opened. So an imported session lives in ``imported.*``, a second set of the
session's topics. Offsets there are the broker's, so the offsets inside the records are rewritten to where the records
they name lie now; everything else stays to the byte, unless the session is given a new id.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.replay.find import CLIENT_ID, sessions
from infra.replay.recorded import SESSION_TOPICS, Recorded
from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import (
    BACKGROUND_RESULTS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
    KeyKind,
    Topic,
)
from shared.log.api import Log, LogError, LogRecord, Producer

PREFIX = "imported."
_IN_FLIGHT = 500
# Control records go last: what broke off in the middle is not listed, and importing it again does no harm.
_ORDER = (*(topic for topic in SESSION_TOPICS if topic is not SESSION_CONTROL), SESSION_CONTROL)


class AlreadyThere(ValueError):
    """The log has a session of that id under that prefix."""


async def import_session(log: Log, recorded: Recorded, *, session_id: str = "", prefix: str = PREFIX) -> Recorded:
    """Append the session's records to ``<prefix><topic>``; gives them as they lie there now.

    ``session_id`` renames the session. The topics are made if they are missing, with as many partitions as the live
    ones have.

    Raises:
        AlreadyThere: see above.
        LogUnavailable, LogError: as the log says; nothing that was begun is listed.
    """
    if not prefix:
        raise ValueError("an import needs a prefix: the live topics have live readers")
    partitions = await log.partitions(INTERACTION_TURNS.name)
    await log.create_topics(partitions, prefix=prefix)
    renamed = _Renamed(recorded.session_id, session_id or recorded.session_id)
    if renamed.now in {listed.session_id for listed in await sessions(log, prefix=prefix)}:
        raise AlreadyThere(f"session {renamed.now} is in {prefix}* already: choose another id")
    producer = await log.producer(CLIENT_ID)
    try:
        records = await _Appending(producer, renamed, prefix, partition_of(renamed.now, partitions)).run(recorded)
    finally:
        await producer.close()
    return Recorded.of(renamed.now, records)


async def append(log: Log, topic: Topic, values: list[Any], *, prefix: str) -> None:
    """Append a session's records to one prefixed topic, which must exist."""
    producer = await log.producer(CLIENT_ID)
    try:
        for value in values:
            partition = partition_of(value.session_id, await log.partitions(prefix + topic.name))
            await producer.send(
                prefix + topic.name,
                _key(topic, value),
                codec.encode(value),
                partition=partition,
                timestamp_ms=value.timestamp_ms,
            )
        await producer.flush()
    finally:
        await producer.close()


def _key(topic: Topic, value: Any) -> bytes:
    key: bytes = value.session_id.encode() if topic.key is KeyKind.SESSION else value.key.encode()
    return key


@dataclass(slots=True)
class _Appending:
    """One import. ``offsets`` says, per topic, where each record lay and lies now."""

    producer: Producer
    renamed: _Renamed
    prefix: str
    partition: int
    offsets: dict[str, dict[int, int]] = field(default_factory=dict)

    async def run(self, recorded: Recorded) -> list[LogRecord]:
        written: list[LogRecord] = []
        for topic in _ORDER:
            own = [one for one in recorded.records if one.topic == topic.name and self._counts(one, recorded)]
            for at in range(0, len(own), _IN_FLIGHT):
                written += await self._append(topic, own[at : at + _IN_FLIGHT])
        return written

    @staticmethod
    def _counts(record: LogRecord, recorded: Recorded) -> bool:
        """Turns that do not count stay behind: what fenced them off, the partition's claims, does not come along."""
        return record.topic != INTERACTION_TURNS.name or record.offset not in recorded.fenced

    async def _append(self, topic: Topic, records: list[LogRecord]) -> list[LogRecord]:
        values = [self._moved(codec.decode(topic, record.value)) for record in records]
        name = self.prefix + topic.name
        raw = [(_key(topic, value), codec.encode(value)) for value in values]
        waiting = [
            await self.producer.send(name, *pair, partition=self.partition, timestamp_ms=record.timestamp_ms)
            for record, pair in zip(records, raw, strict=True)
        ]
        await self.producer.flush()
        offsets = [await one for one in waiting]
        moved = self.offsets.setdefault(topic.name, {})
        if offsets != sorted(offsets):
            raise LogError(f"{name}: the log changed the order of what was sent")
        moved.update(zip((record.offset for record in records), offsets, strict=True))
        return [
            LogRecord(topic.name, self.partition, offset, record.timestamp_ms, *pair)
            for record, offset, pair in zip(records, offsets, raw, strict=True)
        ]

    def _moved(self, value: Any) -> Any:
        """The record with its offsets, and its session's name, as they are now."""
        value = self.renamed(value)
        if isinstance(value, r.EncodedFrame):
            return msgspec.structs.replace(value, input_offset=self._at(CAPTURE_FRAMES, value.input_offset))
        if isinstance(value, r.InteractionTurn):
            results = self.offsets.get(BACKGROUND_RESULTS.name, {})
            seen = [now for was, now in results.items() if was < value.results_offset]
            return msgspec.structs.replace(
                value,
                input_offset=self._at(ENCODER_FRAMES, value.input_offset),
                results_offset=max(seen) + 1 if seen else 0,
                tasks=[self._task(task) for task in value.tasks],
            )
        return value

    def _task(self, task: r.TaskState) -> r.TaskState:
        if task.result_offset < 0:
            return task
        now = self._at(BACKGROUND_RESULTS, task.result_offset)
        return msgspec.structs.replace(task, result_offset=max(0, now))

    def _at(self, topic: Topic, offset: int) -> int:
        """Where a record lies now; -1 when it is not in the file, as it was not in the log."""
        return self.offsets.get(topic.name, {}).get(offset, -1)


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Gives records of session ``was`` the id ``now``. A seed that followed from the old id is written down."""

    was: str
    now: str

    def __call__(self, value: Any) -> Any:
        if self.was == self.now:
            return value
        changes: dict[str, Any] = {"session_id": self.now}
        if isinstance(value, r.SessionStarted | r.SessionHeld | r.SessionUpdated):
            changes["config"] = msgspec.structs.replace(value.config, seed=self._seed(value.config.seed))
        elif isinstance(value, r.CaptureFrame | r.EncodedFrame):
            changes["events"] = [self._event(event) for event in value.events] or self._begin(value.tick)
        elif isinstance(value, r.InteractionTurn):
            changes["events"] = [msgspec.structs.replace(e, task_id=self._task(e.task_id)) for e in value.events]
            changes["tasks"] = [msgspec.structs.replace(t, task_id=self._task(t.task_id)) for t in value.tasks]
        elif isinstance(value, r.BackgroundTask | r.BackgroundCancel | r.BackgroundResult):
            changes["task_id"] = self._task(value.task_id)
        return msgspec.structs.replace(value, **changes)

    def _begin(self, tick: int) -> list[r.ClientEvent]:
        """The event that a first frame of a foreign producer, without a configuration, needs now."""
        return [r.ClientEvent(name="session.started", data={"seed": self._seed(0)})] if tick == 0 else []

    def _event(self, event: r.ClientEvent) -> r.ClientEvent:
        if event.name not in ("session.started", "session.updated"):
            return event
        data: Mapping[str, Any] = event.data
        seed = data.get("seed", 0)
        return msgspec.structs.replace(event, data={**data, "seed": self._seed(seed if isinstance(seed, int) else 0)})

    def _seed(self, seed: int) -> int:
        return seed or zlib.crc32(self.was.encode())

    def _task(self, task_id: str) -> str:
        return self.now + task_id.removeprefix(self.was) if task_id.startswith(self.was + "-") else task_id
