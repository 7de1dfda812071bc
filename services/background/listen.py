"""Reading back from the log: a session's own words in ``capture.frames``, a task's earlier results."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import cast

from schemas.codec import UndecodableRecord, decode
from schemas.partitioning import partition_of
from schemas.records import BackgroundCancel, BackgroundResult, BackgroundTask, CaptureFrame, ResultKind
from schemas.ticks import FRAME_MS, INPUT_SAMPLES, SAMPLE_BYTES, TickKey
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, CAPTURE_FRAMES
from shared.fencing import Fence
from shared.log.api import Log, LogRecord, TopicPartition
from shared.log.reading import read_since

MAX_SPAN_MS = 30_000
TERMINAL = frozenset({ResultKind.FINAL, ResultKind.ERROR, ResultKind.CANCELLED})
_MAX_RECORDS = 30_000


async def read_audio(log: Log, session_id: str, start_ms: int, end_ms: int, *, client_id: str) -> bytes:
    """PCM16, 16 kHz, of the session between two times (at most the last 30 s of it); silence where a frame is missing.

    Empty when the log holds no frame of the span any more.

    Raises:
        LogUnavailable: the log does not answer.
    """
    begin_ms = max(start_ms, end_ms - MAX_SPAN_MS) // FRAME_MS * FRAME_MS
    frames: dict[int, bytes] = {}
    fence = Fence()
    source = TopicPartition(CAPTURE_FRAMES.name, partition_of(session_id, await log.partitions(CAPTURE_FRAMES.name)))
    seen, done = 0, False
    reading = cast(AsyncGenerator[list[LogRecord], None], read_since(log, {source: begin_ms}, client_id=client_id))
    async with aclosing(reading) as chunks:
        async for chunk in chunks:
            for record in chunk:
                at_ms = _time_in_session(record, session_id)
                done = done or (at_ms is not None and at_ms + FRAME_MS >= end_ms)
                if at_ms is not None and begin_ms <= at_ms < end_ms and at_ms not in frames:
                    audio = _audio(record, fence)
                    if audio is not None:
                        frames[at_ms] = audio
            seen += len(chunk)
            if done or seen >= _MAX_RECORDS:
                break
    if not frames:
        return b""
    silence = bytes(INPUT_SAMPLES * SAMPLE_BYTES)
    return b"".join(frames.get(at_ms, silence) for at_ms in range(min(frames), end_ms, FRAME_MS))


def _time_in_session(record: LogRecord, session_id: str) -> int | None:
    """The record's time if it is of this session. Told by the key, so that other sessions' audio is not decoded."""
    try:
        key = TickKey.decode(record.key or b"")
    except ValueError:
        return None
    return key.timestamp_ms if key.session_id == session_id else None


def _audio(record: LogRecord, fence: Fence) -> bytes | None:
    try:
        frame: CaptureFrame = decode(CAPTURE_FRAMES, record.value)
    except UndecodableRecord:
        return None  # the encoder has sent it to dead.letters
    counts = fence.admits(frame.capture_epoch) and len(frame.audio) == INPUT_SAMPLES * SAMPLE_BYTES
    return frame.audio if counts else None


@dataclass(frozen=True, slots=True)
class Past:
    """What the log already holds of a task's results."""

    next_seq: int = 0
    ended: bool = False


async def read_past(log: Log, task: BackgroundTask, *, client_id: str) -> Past:
    """The results of a task so far: every one of them carries the task's time or a later one.

    Raises:
        LogUnavailable: the log does not answer; running the task now might double it.
    """
    count = await log.partitions(BACKGROUND_RESULTS.name)
    source = TopicPartition(BACKGROUND_RESULTS.name, partition_of(task.session_id, count))
    next_seq, ended = 0, False
    async for chunk in read_since(log, {source: task.timestamp_ms}, client_id=client_id):
        for record in chunk:
            if _time_in_session(record, task.session_id) is None:
                continue
            try:
                result = decode(BACKGROUND_RESULTS, record.value)
            except UndecodableRecord:
                continue
            if result.task_id == task.task_id:
                next_seq = max(next_seq, result.seq + 1)
                ended = ended or result.kind in TERMINAL
    return Past(next_seq, ended)


async def read_notes(
    log: Log, session_id: str, since_ms: int, *, client_id: str
) -> list[BackgroundTask | BackgroundResult]:
    """A session's tasks and results since a moment, in an order in which a task stands before its results.

    Raises:
        LogUnavailable: the log does not answer.
    """
    count = await log.partitions(BACKGROUND_TASKS.name)
    partition = partition_of(session_id, count)
    found: list[BackgroundTask | BackgroundResult] = []
    for topic in (BACKGROUND_TASKS, BACKGROUND_RESULTS):
        async for chunk in read_since(log, {TopicPartition(topic.name, partition): since_ms}, client_id=client_id):
            for record in chunk:
                if _time_in_session(record, session_id) is None:
                    continue
                with suppress(UndecodableRecord):
                    value = decode(topic, record.value)
                    if not isinstance(value, BackgroundCancel):
                        found.append(value)
    return found
