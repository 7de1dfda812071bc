"""Real processes, signals and Kafka: the owner dies, is restarted, is paused; every tick has one turn that counts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.local.plan import StackOptions
from infra.local.stack import LocalStack
from schemas import codec
from schemas import records as r
from schemas.topics import INTERACTION_TURNS
from shared.fencing import TurnFence
from shared.log.api import TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from tests.kafka.test_topics import frame, now_ms, write

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SESSIONS = [f"standby-{n}" for n in range(6)]


class Reader:
    """Follows all turns; counts those that count."""

    def __init__(self, bootstrap: str) -> None:
        self.counting: dict[tuple[str, int], r.InteractionTurn] = {}
        self.versions: dict[tuple[str, int], set[tuple[Any, ...]]] = {}
        self.owners: dict[int, str] = {}
        self._log = KafkaLog(KafkaSettings(bootstrap))
        self._fence = TurnFence()

    async def until(self, ticks: int, owner: str = "") -> None:
        """Return when each session has so many ticks, and all partitions belong to this worker."""
        async with asyncio.timeout(90):
            while len(self.counting) < ticks * len(SESSIONS) or not self._all_owned_by(owner):
                await self._read()

    def _all_owned_by(self, owner: str) -> bool:
        return len(self.owners) == 8 and all(name.startswith(owner) for name in self.owners.values())

    async def _read(self) -> None:
        for source, records in (await self._consumer.get_batch(timeout_ms=200, max_records=5000)).items():
            for record in records:
                value = codec.decode(INTERACTION_TURNS, record.value)
                if isinstance(value, r.TurnsClaimed):
                    if self._fence.claimed(value):
                        self.owners[value.partition] = value.worker
                    continue
                key = value.session_id, value.tick
                self.versions.setdefault(key, set()).add((tuple(value.tokens), value.text))
                if self._fence.admits(source.partition, value):
                    self.counting.setdefault(key, value)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Reader]:
        self._consumer = await self._log.consumer(client_id="test-reader")
        self._consumer.assign({TopicPartition(INTERACTION_TURNS.name, p): 0 for p in range(8)})
        try:
            yield self
        finally:
            await self._consumer.close()
            await self._log.close()


async def test_a_dead_a_restarted_and_a_paused_owner_lose_and_double_nothing() -> None:
    options = StackOptions(model="echo", standbys=1, services=("interaction", "encoder"), log_level="warning")
    start, sent = now_ms(), 0
    async with LocalStack(options) as stack:
        bootstrap = stack.addresses.kafka_bootstrap_servers

        async def send(ticks: int) -> None:
            nonlocal sent
            new = [frame(s, k, start) for k in range(sent, sent + ticks) for s in SESSIONS]
            await write(bootstrap, "capture.frames", new)
            sent += ticks

        async with Reader(bootstrap).following() as reader:
            await send(10)
            await reader.until(sent, owner="interaction-0/")
            stack.kill("interaction-0", signal.SIGKILL)
            await send(10)
            await reader.until(sent)
            await stack.wait_ready("interaction-0")
            await send(5)
            await reader.until(sent, owner="interaction-0/")  # the primary is back, and warm
            await stack.restart("interaction-0")
            await send(5)
            await reader.until(sent, owner="interaction-0/")
            stack.kill("interaction-0", signal.SIGSTOP)
            await send(10)
            await reader.until(sent, owner="interaction-standby-0/")
            stack.kill("interaction-0", signal.SIGCONT)
            await send(5)
            await reader.until(sent, owner="interaction-0/")
    assert sorted(reader.counting) == sorted((s, k) for s in SESSIONS for k in range(sent))
    # A tick may be in the log twice, when a pause lay between; then both say the same.
    assert all(len(said) == 1 for said in reader.versions.values())
