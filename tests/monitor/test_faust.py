"""The real monitor, a process of its own with Faust, on a real Kafka: turns in, summaries out, also over a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from infra.local.kafka import LocalKafka
from schemas import codec
from schemas.partitioning import partition_of
from schemas.records import SessionMetrics, SessionStarted
from schemas.ticks import floor_to_frame
from schemas.topics import DEAD_LETTERS, INTERACTION_TURNS, SESSION_CONTROL, SESSION_METRICS, TOPICS, Topic
from shared.log.api import LogError, LogRecord, TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from tests.monitor.turns import turn

pytestmark = pytest.mark.kafka
PARTITIONS = 4


class Monitor:
    """One monitor process and the log that it works on."""

    def __init__(self, bootstrap: str) -> None:
        self.log = KafkaLog(KafkaSettings(bootstrap))
        self.bootstrap = bootstrap
        self.group = f"monitor-{uuid.uuid4().hex[:8]}"
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    async def open(self) -> None:
        await self.log.create_topics(PARTITIONS)
        async with asyncio.timeout(20):
            for topic in TOPICS.values():
                while not await self._exists(topic):  # noqa: ASYNC110 - the broker knows it a moment after making it
                    await asyncio.sleep(0.1)
        self.partitions = await self.log.partitions(INTERACTION_TURNS.name)
        self.producer = await self.log.producer("test")
        self.reader = await self.log.consumer(client_id="test")
        topics = (SESSION_METRICS, DEAD_LETTERS)
        sources = [TopicPartition(t.name, p) for t in topics for p in range(await self.log.partitions(t.name))]
        self.reader.assign(await self.reader.end_offsets(sources))
        self.records: list[LogRecord] = []

    async def _exists(self, topic: Topic) -> bool:
        try:
            return await self.log.partitions(topic.name) > 0
        except LogError:
            return False

    def start(self) -> None:
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "MONITOR_GROUP": self.group,
            "METRICS_PORT": str(self.port),
            "TOPIC_PARTITIONS": str(self.partitions),
            "INSTANCE_ID": "t",
            "MONITOR_GRACE_MS": "1000",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "services.monitor"], env=environment)

    async def ready(self) -> None:
        assert self.process is not None
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                assert self.process.poll() is None, "the monitor ended"
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"http://127.0.0.1:{self.port}/health/ready")
                    if answer.status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def value(self, metric: str) -> float:
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(metric))

    async def send(self, topic: Topic, record: Any, *, value: bytes | None = None) -> None:
        key = record.session_id.encode() if topic is SESSION_CONTROL else record.key.encode()
        raw = codec.encode(record) if value is None else value
        partition = partition_of(record.session_id, self.partitions)
        acknowledged = await self.producer.send(
            topic.name, key, raw, partition=partition, timestamp_ms=record.timestamp_ms
        )
        await acknowledged

    async def summaries(self, session_id: str, *, ticks: int) -> dict[int, SessionMetrics]:
        """Wait until the newest summaries of a session hold ``ticks`` ticks; by second, the last one written."""
        found: dict[int, SessionMetrics] = {}
        async with asyncio.timeout(60):
            while sum(metrics.ticks for metrics in found.values()) < ticks:
                await self._read()
                for record in self.records:
                    if record.topic == SESSION_METRICS.name:
                        metrics = codec.decode(SESSION_METRICS, record.value)
                        if metrics.session_id == session_id:
                            found[metrics.timestamp_ms] = metrics
        return found

    async def _read(self) -> None:
        for records in (await self.reader.get_batch(timeout_ms=500, max_records=1000)).values():
            self.records += records

    async def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        await self.reader.close()
        await self.producer.close()
        await self.log.close()


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of this module's own: it counts every turn on the topics, so nobody else may write there."""
    with LocalKafka(tmp_path_factory.mktemp("kafka-monitor"), heap_mb=256) as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture
async def monitor(own_kafka: str) -> AsyncIterator[Monitor]:
    monitor = Monitor(own_kafka)
    await monitor.open()
    monitor.start()
    await monitor.ready()
    yield monitor
    await monitor.close()


def now_ms() -> int:
    return floor_to_frame(time.time() * 1000)


async def speak(monitor: Monitor, session_id: str, ticks: int, *, start_ms: int | None = None) -> int:
    """Turns in real time, each sent twice; returns when the first one's frame began."""
    start_ms = now_ms() if start_ms is None else start_ms
    for tick in range(ticks):
        made = turn(start_ms + 200 * tick, session_id=session_id, gap_ms=20)
        await asyncio.sleep(max(0.0, (made.timestamp_ms + 200) / 1000 - time.time()))
        await monitor.send(INTERACTION_TURNS, made)
        await monitor.send(INTERACTION_TURNS, made)
    return start_ms


async def test_turns_in_summaries_out_and_a_clean_end(monitor: Monitor) -> None:
    session_id = uuid.uuid4().hex
    bad = turn(now_ms(), session_id=session_id)
    started = SessionStarted(session_id=session_id, timestamp_ms=now_ms(), capture_id="c", phase_ms=0)
    await monitor.send(SESSION_CONTROL, started)
    await monitor.send(INTERACTION_TURNS, bad, value=b"\xc1")
    await monitor.send(INTERACTION_TURNS, turn(now_ms() - 3_600_000, session_id=session_id))
    start_ms = await speak(monitor, session_id, 12)
    found = await monitor.summaries(session_id, ticks=12)

    assert sum(x.ticks for x in found.values()) == 12
    assert sum(x.gap_ms for x in found.values()) == 12 * 20
    assert set(found) == {at_ms // 1000 * 1000 for at_ms in range(start_ms, start_ms + 2_400, 200)}
    for record in monitor.records:
        if record.topic == SESSION_METRICS.name:
            metrics = codec.decode(SESSION_METRICS, record.value)
            assert (record.key, record.timestamp_ms) == (metrics.key.encode(), metrics.timestamp_ms)
            assert record.partition == partition_of(metrics.session_id, monitor.partitions)
    letters = [codec.decode(DEAD_LETTERS, x.value) for x in monitor.records if x.topic == DEAD_LETTERS.name]
    assert [(letter.value, letter.service) for letter in letters] == [(b"\xc1", "monitor")]
    # It also reads what other tests have left in the topics' last minute.
    assert await monitor.value("microturn_monitor_turns_total") >= 12
    assert await monitor.value("microturn_monitor_skipped_records_total") >= 1
    assert await monitor.value("microturn_duplicates_ignored_total") >= 12
    assert await monitor.value("microturn_monitor_sessions_total") >= 1
    assert await monitor.value("microturn_monitor_dead_letters_total") >= 1

    assert monitor.process is not None
    monitor.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(monitor.process.wait, 20) == 0


async def test_a_kill_in_mid_second_loses_no_tick(monitor: Monitor) -> None:
    session_id = uuid.uuid4().hex
    start_ms = await speak(monitor, session_id, 8)
    assert monitor.process is not None
    monitor.process.kill()
    monitor.process.wait()
    await speak(monitor, session_id, 8, start_ms=start_ms + 1_600)  # while nobody looks
    monitor.start()
    await monitor.ready()
    found = await monitor.summaries(session_id, ticks=16)
    assert sum(x.ticks for x in found.values()) == 16
    assert all(x.ticks == 5 for x in list(found.values())[1:-1])


async def test_a_monitor_that_is_far_behind_jumps_ahead_counts_it_and_commits(monitor: Monitor) -> None:
    session_id = uuid.uuid4().hex
    await speak(monitor, session_id, 5)
    await monitor.summaries(session_id, ticks=5)
    assert monitor.process is not None
    monitor.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(monitor.process.wait, 20)
    an_hour_ago = now_ms() - 3_600_000
    for tick in range(1_500):
        await monitor.send(INTERACTION_TURNS, turn(an_hour_ago + 200 * tick, session_id=session_id))
    monitor.start()
    await monitor.ready()
    start_ms = now_ms() // 1000 * 1000 + 1_000
    await speak(monitor, session_id, 5, start_ms=start_ms)
    async with asyncio.timeout(60):
        while start_ms not in await monitor.summaries(session_id, ticks=5):
            pass
    assert await monitor.value("microturn_monitor_skipped_records_total") == 1_500
    monitor.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(monitor.process.wait, 20)

    source = TopicPartition(INTERACTION_TURNS.name, partition_of(session_id, monitor.partitions))
    member = await monitor.log.consumer([INTERACTION_TURNS.name], client_id="test", group=monitor.group)
    async with asyncio.timeout(60):
        while source not in member.assignment():
            await member.get_batch(timeout_ms=200, max_records=1)
    committed, ends = await member.committed(source), await member.end_offsets([source])
    await member.close()
    assert committed == ends[source]
