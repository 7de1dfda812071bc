"""Real capture processes over a real Kafka: one dies, one is paused, and no client loses or doubles a turn."""

from __future__ import annotations

import asyncio
import signal

import pytest

from infra.client import StreamClient
from infra.client.stream import stream_url
from schemas import client, codec
from schemas.topics import CAPTURE_FRAMES, INTERACTION_TURNS
from shared.fencing import Fence
from shared.log.api import TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from tests.capture.conftest import turn_for
from tests.conftest import StartStack

pytestmark = pytest.mark.kafka


async def answer(bootstrap: str) -> None:
    """Give every frame that counts one turn, as the services behind capture would."""
    log = KafkaLog(KafkaSettings(bootstrap))
    fences: dict[str, Fence] = {}
    answered: set[tuple[str, int]] = set()
    consumer, producer = await log.consumer(client_id="test"), await log.producer("test")
    try:
        count = await log.partitions(CAPTURE_FRAMES.name)
        consumer.assign({TopicPartition(CAPTURE_FRAMES.name, p): None for p in range(count)})
        while True:
            for source, records in (await consumer.get_batch(timeout_ms=200, max_records=500)).items():
                for record in records:
                    frame = codec.decode(CAPTURE_FRAMES, record.value)
                    counts = fences.setdefault(frame.session_id, Fence()).admits(frame.capture_epoch)
                    if counts and (frame.session_id, frame.tick) not in answered:
                        answered.add((frame.session_id, frame.tick))
                        await producer.send(
                            INTERACTION_TURNS.name,
                            frame.key.encode(),
                            codec.encode(turn_for(frame)),
                            partition=source.partition,
                            timestamp_ms=frame.timestamp_ms,
                        )
    finally:
        await consumer.close()
        await producer.close()
        await log.close()


async def test_sessions_survive_a_killed_and_a_paused_capture(
    local_stack: StartStack, kafka_bootstrap: str, redis_url: str
) -> None:
    stack = await local_stack(
        captures=2,
        services=("capture",),
        kafka_bootstrap_servers=kafka_bootstrap,
        redis_url=redis_url,
    )
    first, second = stack.addresses.streams
    sessions = [StreamClient(order, persistent=True) for order in ([first, second], [second, first]) for _ in range(2)]
    heard: list[list[client.Turn]] = [[] for _ in sessions]
    reached: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in sessions]

    async def listen(session: StreamClient, turns: list[client.Turn], ticks: asyncio.Queue[int]) -> None:
        async for turn in session.turns():
            turns.append(turn)
            ticks.put_nowait(turn.tick)

    async def all_reach(more: int) -> None:
        """Every client has heard so many turns more than now."""
        wanted = [len(turns) + more for turns in heard]
        async with asyncio.timeout(60):
            for turns, ticks, count in zip(heard, reached, wanted, strict=True):
                while len(turns) < count:
                    await ticks.get()

    answering = asyncio.create_task(answer(kafka_bootstrap))
    for session in sessions:
        await session.__aenter__()
    listening = [
        asyncio.create_task(listen(*each)) for each in zip(sessions, heard, reached, strict=True)
    ]
    await all_reach(5)
    stack.kill("capture-0", signal.SIGKILL)
    await all_reach(5)
    await stack.wait_ready("capture-0")
    stack.kill("capture-1", signal.SIGSTOP)
    await all_reach(10)  # the clients leave it as soon as it does not answer their pings
    # One goes elsewhere and comes back to the paused process, which still believes that it has the session.
    wanderer = sessions[-1]
    wanderer.abort()
    await all_reach(2)
    wanderer.urls, wanderer.url = [stream_url(second)], stream_url(second)
    wanderer.abort()
    stack.kill("capture-1", signal.SIGCONT)
    await all_reach(5)
    for session in sessions:
        await session.bye()
    await asyncio.gather(*listening)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    for session, turns in zip(sessions, heard, strict=True):
        assert session.ended is not None
        assert [turn.tick for turn in turns] == list(range(session.ended.ticks))
        assert session.resumes >= 1
