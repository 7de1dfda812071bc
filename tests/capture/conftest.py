"""A running capture: the real service on a real socket, over a log in memory, answered on the topics by the tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES, INTERACTION_TURNS, SESSION_CONTROL, TOPICS
from services.capture.app import run
from services.capture.settings import CaptureSettings
from shared.clock import Clock, SystemClock
from shared.log.api import TopicPartition
from shared.log.memory import MemoryLog

PARTITIONS = 8


class Topics:
    """What a test sees of the log: everything that was sent so far, and a way to send."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.answering = True
        self.make_turn: Callable[[r.CaptureFrame], r.InteractionTurn] = turn_for

    async def read(self, topic_name: str) -> list[Any]:
        """All records of a topic, decoded, in order per partition."""
        topic = TOPICS[topic_name]
        consumer = await self.log.consumer(client_id="test")
        consumer.assign({TopicPartition(topic_name, p): 0 for p in range(PARTITIONS)})
        found = await consumer.get_batch(timeout_ms=0, max_records=100_000)
        await consumer.close()
        return [self._checked(topic_name, record, topic) for records in found.values() for record in records]

    def _checked(self, topic_name: str, record: Any, topic: Any) -> Any:
        value = codec.decode(topic, record.value)
        assert record.timestamp_ms == value.timestamp_ms
        assert record.partition == partition_of(value.session_id, PARTITIONS)
        key = value.session_id.encode() if topic_name == SESSION_CONTROL.name else value.key.encode()
        assert record.key == key
        return value

    async def until(self, topic_name: str, session_id: str, count: int) -> list[Any]:
        """A session's records of a topic as soon as there are ``count``; ``TimeoutError`` after five seconds."""
        consumer = await self.log.consumer(client_id="test")
        consumer.assign({TopicPartition(topic_name, partition_of(session_id, PARTITIONS)): 0})
        found: list[Any] = []
        async with asyncio.timeout(5):
            while len(found) < count:
                for records in (await consumer.get_batch(timeout_ms=1000, max_records=100)).values():
                    values = [self._checked(topic_name, record, TOPICS[topic_name]) for record in records]
                    found += [value for value in values if value.session_id == session_id]
        await consumer.close()
        return found

    async def until_frames(self, session_id: str, count: int) -> list[r.CaptureFrame]:
        return await self.until(CAPTURE_FRAMES.name, session_id, count)

    async def until_control(self, session_id: str, count: int) -> list[Any]:
        return await self.until(SESSION_CONTROL.name, session_id, count)

    async def frames(self, session_id: str) -> list[r.CaptureFrame]:
        return [frame for frame in await self.read(CAPTURE_FRAMES.name) if frame.session_id == session_id]

    async def control(self, session_id: str) -> list[Any]:
        return [one for one in await self.read(SESSION_CONTROL.name) if one.session_id == session_id]

    async def send(self, record: r.InteractionTurn | r.BackgroundResult) -> None:
        topic = INTERACTION_TURNS if isinstance(record, r.InteractionTurn) else BACKGROUND_RESULTS
        await self.send_raw(topic.name, record.session_id, record.timestamp_ms, codec.encode(record))

    async def send_raw(self, topic: str, session_id: str, timestamp_ms: int, value: bytes) -> None:
        producer = await self.log.producer("test")
        await producer.send(
            topic,
            f"{session_id}:{timestamp_ms}".encode(),
            value,
            partition=partition_of(session_id, PARTITIONS),
            timestamp_ms=timestamp_ms,
        )

    async def answer(self) -> None:
        """Give every frame a turn while ``answering``."""
        consumer = await self.log.consumer(client_id="test")
        consumer.assign({TopicPartition(CAPTURE_FRAMES.name, p): 0 for p in range(PARTITIONS)})
        while True:
            for records in (await consumer.get_batch(timeout_ms=1000, max_records=500)).values():
                for record in records:
                    if self.answering:
                        await self.send(self.make_turn(codec.decode(CAPTURE_FRAMES, record.value)))


def turn_for(frame: r.CaptureFrame, **changes: Any) -> r.InteractionTurn:
    """A turn that answers this frame, saying its tick."""
    fields: dict[str, Any] = {
        "session_id": frame.session_id,
        "timestamp_ms": frame.timestamp_ms,
        "tick": frame.tick,
        "floor": r.Floor.HOLD,
        "user": r.UserActivity.SPEAKING,
        "model": "test",
        "epoch": 1,
        "input_offset": frame.tick,
        "text": f" t{frame.tick}",
        "final": frame.final,
    }
    return r.InteractionTurn(**(fields | changes))


class Running:
    """A capture and its topics."""

    def __init__(
        self, url: str, topics: Topics, stop: Callable[[], Awaitable[None]], crash: Callable[[], Awaitable[None]]
    ) -> None:
        self.url = url
        self.topics = topics
        self.stop = stop
        self.crash = crash


@contextlib.asynccontextmanager
async def answered_topics() -> AsyncIterator[Topics]:
    """Topics in memory whose frames are given turns."""
    log = MemoryLog()
    await log.create_topics(PARTITIONS)
    topics = Topics(log)
    answering = asyncio.create_task(topics.answer())
    try:
        yield topics
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


@contextlib.asynccontextmanager
async def running_capture(
    clock: Any = None, *, topics: Topics | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Capture with these settings on a free port, ready for sessions, until the end of the block.

    Several share a log when they are given the same ``topics``.
    """
    async with contextlib.AsyncExitStack() as cleanup:
        if topics is None:
            topics = await cleanup.enter_async_context(answered_topics())
        yield await cleanup.enter_async_context(_serving(topics, clock or SystemClock(), settings))


@contextlib.asynccontextmanager
async def _serving(topics: Topics, clock: Clock, settings: dict[str, Any]) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    chosen = {"capture_port": 0, "topic_partitions": PARTITIONS, "instance_id": "test"} | settings
    serving = asyncio.create_task(
        run(CaptureSettings(**chosen), topics.log, clock, stop, on_listening=url.set_result)
    )
    crashed = False

    async def end() -> None:
        stop.set()
        if not crashed:
            await asyncio.wait_for(asyncio.shield(serving), 10)

    async def crash() -> None:
        nonlocal crashed
        crashed = True
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    try:
        await asyncio.wait([url, serving], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield Running(url.result(), topics, end, crash)
        await end()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def capture() -> AsyncIterator[Running]:
    """A capture with default settings, except for shorter waits."""
    async with running_capture(capture_resume_grace_s=1.0, capture_hello_timeout_s=0.5) as running:
        yield running
