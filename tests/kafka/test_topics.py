"""Topic-level: a plain aiokafka client writes raw records, real service processes answer, a plain client reads.

Run with one worker of each service and with two, on a broker of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.local.plan import StackOptions
from infra.local.stack import LocalStack
from schemas.partitioning import partition_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PARTITIONS = 8
Plain = dict[str, Any]


@asynccontextmanager
async def stack(workers: int, model: str = "echo", services: tuple[str, ...] = ()) -> AsyncIterator[LocalStack]:
    options = StackOptions(
        model=model,
        encoders=workers,
        interactions=workers,
        partitions=PARTITIONS,
        services=services or ("interaction", "encoder"),
        log_level="warning",
    )
    async with LocalStack(options) as running:
        yield running


def now_ms() -> int:
    return int(time.time() * 5) * 200


def frame(session: str, tick: int, start_ms: int, **fields: Any) -> Plain:
    pcm = np.random.default_rng(tick).integers(-3000, 3000, 3200, dtype=np.int16).astype("<i2").tobytes()
    return {
        "type": "CaptureFrame",
        "v": 1,
        "session_id": session,
        "timestamp_ms": start_ms + 200 * tick,
        "tick": tick,
        "audio": pcm,
    } | fields


async def write(bootstrap: str, topic: str, records: Iterable[Plain | tuple[str, bytes]]) -> None:
    """Send maps as MessagePack under their key, or (session, raw bytes) as they are."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        for record in records:
            if isinstance(record, dict):
                session, stamp = record["session_id"], record["timestamp_ms"]
                value = msgpack.packb(record)
            else:
                (session, value), stamp = record, now_ms()
            await producer.send(
                topic,
                key=f"{session}:{stamp}".encode(),
                value=value,
                partition=partition_of(session, PARTITIONS),
                timestamp_ms=stamp,
            )
        await producer.flush()
    finally:
        await producer.stop()


class Reader:
    """What any reader does with records that may come twice, on plain maps.

    Of turns those of a partition's newest epoch count, which claims among them announce. Of frames and turns the first
    of each tick counts; two encoders that change places make the same bits of it. Everything else is taken as it is.
    """

    def __init__(self) -> None:
        self.epochs: dict[int, int] = {}
        self.embeddings: dict[bytes, bytes] = {}
        self.answered: set[bytes] = set()

    def takes(self, partition: int, key: bytes, record: Plain) -> bool:
        kind = record.get("type")
        if kind in ("TurnsClaimed", "InteractionTurn"):
            newest = self.epochs[partition] = max(self.epochs.get(partition, 0), record["epoch"])
            if kind == "TurnsClaimed" or record["epoch"] < newest or key in self.answered:
                return False
            self.answered.add(key)
        elif kind == "EncodedFrame":
            known = self.embeddings.setdefault(key, record["embeddings"])
            assert known == record["embeddings"], f"{key!r} has two encodings"
            if key in self.answered:
                return False
            self.answered.add(key)
        return True


async def read(
    bootstrap: str,
    topic: str,
    enough: Callable[[list[Any]], bool],
    *,
    partitions: int = PARTITIONS,
    timeout_s: float = 60,
) -> list[Any]:
    """What counts on a topic from its beginning, once it is ``enough``: (partition, key, timestamp, map)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    got: list[Any] = []
    reader = Reader()
    try:
        consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
        await consumer.seek_to_beginning()
        async with asyncio.timeout(timeout_s):
            while not enough(got):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for r in records:
                        value = msgpack.unpackb(r.value)
                        if reader.takes(r.partition, r.key, value):
                            got.append((r.partition, r.key.decode(), r.timestamp, value))
    except TimeoutError:
        raise AssertionError(f"{topic}: not enough after {timeout_s} s: {len(got)} records, last {got[-1:]}") from None
    finally:
        await consumer.stop()
    return got


def at_least(count: int) -> Callable[[list[Any]], bool]:
    return lambda got: len(got) >= count


def records_told_of(count: int) -> Callable[[list[Any]], bool]:
    """Dead letters of so many records: one that changes hands meanwhile may be told of twice."""
    return lambda got: len({(r["topic"], r["partition"], r["offset"]) for _, _, _, r in got}) >= count


def assert_identity(got: list[Any]) -> None:
    """Key, record timestamp and partition all follow from session and time."""
    for partition, key, timestamp, record in got:
        assert key == f"{record['session_id']}:{record['timestamp_ms']}"
        assert timestamp == record["timestamp_ms"]
        assert record["timestamp_ms"] % 200 == 0
        assert partition == partition_of(record["session_id"], PARTITIONS)


def ticks_of(got: list[Any], session: str) -> list[int]:
    return [record["tick"] for _, _, _, record in got if record["session_id"] == session]


@pytest.mark.parametrize("workers", [1, 2])
async def test_frames_become_embeddings_become_turns(workers: int) -> None:
    sessions, ticks, start = [f"topic-{i}" for i in range(10)], 15, now_ms()
    async with stack(workers) as running:
        bootstrap = running.addresses.kafka_bootstrap_servers
        frames = [frame(s, k, start, final=k == ticks - 1) for k in range(ticks) for s in sessions]
        await write(bootstrap, "capture.frames", frames)
        encoded = await read(bootstrap, "encoder.frames", at_least(150))
        turns = await read(bootstrap, "interaction.turns", at_least(150))
    for got in (encoded, turns):
        assert_identity(got)
        assert len(got) == 150
        for session in sessions:
            assert ticks_of(got, session) == list(range(ticks))
    for _, _, _, record in encoded:
        assert len(record["embeddings"]) == 2 * record["d"] * len(record["kinds"])
        assert record["kinds"] == bytes(4)
        assert np.isfinite(np.frombuffer(record["embeddings"], np.float16)).all()
    for _, _, _, record in turns:
        assert len(record["audio"]) == 9600
        assert record["final"] == (record["tick"] == ticks - 1)


@pytest.mark.parametrize("workers", [1, 2])
async def test_bad_records_are_dead_letters_and_disturb_nobody(workers: int) -> None:
    start = now_ms()
    bad: list[Plain | tuple[str, bytes]] = [
        ("victim", b"\xc1\xc1\xc1"),
        ("victim", b""),
        ("victim", msgpack.packb(frame("victim", 0, start) | {"v": 77})),
        ("victim", msgpack.packb(frame("victim", 0, start) | {"timestamp_ms": 201})),
        frame("victim", 3, start, audio=b"odd"),
    ]
    async with stack(workers) as running:
        bootstrap = running.addresses.kafka_bootstrap_servers
        good = [frame(s, k, start) for k in range(8) for s in ("victim", "other") if not (s == "victim" and k == 3)]
        await write(bootstrap, "capture.frames", [*good[:6], *bad, *good[6:]])
        letters = await read(bootstrap, "dead.letters", records_told_of(5), partitions=1)
        turns = await read(bootstrap, "interaction.turns", at_least(16))
    assert len(turns) == 16
    for session in ("victim", "other"):
        assert ticks_of(turns, session) == list(range(8))
    errors = " | ".join(record["error"] for _, _, _, record in letters)
    for word in ("schema version 77", "multiple of 200", "empty record", "3 bytes of audio"):
        assert word in errors
    assert all(
        record["topic"] == "capture.frames" and record["value"] is not None
        for *_, record in letters
        if record["value"] != b""
    )


async def test_a_worker_that_joins_and_a_worker_that_dies_lose_and_double_nothing() -> None:
    import signal

    sessions, start = [f"live-{i}" for i in range(8)], now_ms()
    async with stack(2) as running:
        bootstrap = running.addresses.kafka_bootstrap_servers
        for first in range(0, 40, 10):
            await write(
                bootstrap, "capture.frames", [frame(s, k, start) for k in range(first, first + 10) for s in sessions]
            )
            await read(bootstrap, "interaction.turns", at_least((first + 5) * len(sessions)))
            if first == 10:
                running.kill("interaction-0", signal.SIGKILL)
            if first == 20:
                running.kill("encoder-1", signal.SIGKILL)
        turns = await read(
            bootstrap, "interaction.turns", lambda got: all(len(set(ticks_of(got, s))) == 40 for s in sessions)
        )
    assert_identity(turns)
    for session in sessions:
        seen = ticks_of(turns, session)
        assert sorted(set(seen)) == list(range(40))
        first_seen = list(dict.fromkeys(seen))
        assert first_seen == list(range(40))
        # A turn may be in the log twice only if both say the same: whoever reads takes one of them.
        by_tick: dict[int, set[Any]] = {}
        for _, _, _, record in turns:
            if record["session_id"] == session:
                by_tick.setdefault(record["tick"], set()).add((tuple(record["tokens"]), record["text"]))
        assert all(len(said) == 1 for said in by_tick.values())


async def test_a_delegated_task_is_answered_by_a_real_language_model() -> None:
    start = now_ms()
    task = {
        "type": "BackgroundTask",
        "v": 1,
        "session_id": "asks",
        "timestamp_ms": start,
        "task_id": "asks-0",
        "deadline_ms": start + 60_000,
        "context": {
            "entries": [{"role": "user_typed", "timestamp_ms": start, "text": "What is the capital of France?"}],
            "span_start_ms": start,
            "span_end_ms": start + 200,
        },
    }
    async with stack(1, services=("background",)) as running:
        bootstrap = running.addresses.kafka_bootstrap_servers
        await write(bootstrap, "background.tasks", [("asks", b"nonsense"), task, task])
        results = await read(
            bootstrap, "background.results", lambda got: any(r["kind"] in ("final", "error") for *_, r in got)
        )
        letters = await read(bootstrap, "dead.letters", at_least(1), partitions=1)
    assert_identity(results)
    records = [record for *_, record in results]
    assert [r["seq"] for r in records] == list(range(len(records)))
    assert records[-1]["kind"] == "final"
    assert "Paris" in records[-1]["text"]
    assert letters[0][3]["topic"] == "background.tasks"
