"""The faults. Each begins, is healed, and says in a line what it does; real signals to real processes.

What the supervisor mends by itself (it starts again what died) counts to the fault: ``heal`` only waits for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.local.plan import FLOW_ORDER, SCALABLE
from infra.local.stack import LocalStack
from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS, MAX_RECORD_BYTES, SESSION_CONTROL
from shared.context import SharedContext
from shared.log.api import RecordTooLarge
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings

PAUSE_S = 10.0


class NotHere(RuntimeError):
    """This machine can't have this fault; the message says why."""


class Fault(Protocol):
    """One fault. ``hold_s`` lies between ``begin`` and ``heal``."""

    @property
    def name(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def hold_s(self) -> float: ...

    async def begin(self, stack: LocalStack) -> None: ...

    async def heal(self, stack: LocalStack) -> None:
        """End it, and return when what it hit says that it is well."""


@dataclass(frozen=True, slots=True)
class Nothing:
    name: str = "control"
    what: str = "no fault: what the same load on the same machine shows anyway"
    hold_s: float = PAUSE_S

    async def begin(self, stack: LocalStack) -> None:
        """Nothing."""

    async def heal(self, stack: LocalStack) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9 of a service's first process; the supervisor starts it again."""

    service: str
    hold_s: float = 0.5  # the supervisor has seen it by then

    @property
    def name(self) -> str:
        return f"kill-{self.service}"

    @property
    def what(self) -> str:
        return f"kill -9 of {self.service}-0 in mid-utterance"

    async def begin(self, stack: LocalStack) -> None:
        stack.kill(f"{self.service}-0", signal.SIGKILL)

    async def heal(self, stack: LocalStack) -> None:
        await stack.wait_ready(f"{self.service}-0")


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP, and SIGCONT when everybody has long gone on without it."""

    service: str
    hold_s: float = PAUSE_S

    @property
    def name(self) -> str:
        return f"pause-{self.service}"

    @property
    def what(self) -> str:
        return f"SIGSTOP of {self.service}-0 for {self.hold_s:.0f} s, then SIGCONT: a zombie comes back"

    async def begin(self, stack: LocalStack) -> None:
        stack.kill(f"{self.service}-0", signal.SIGSTOP)

    async def heal(self, stack: LocalStack) -> None:
        stack.kill(f"{self.service}-0", signal.SIGCONT)
        await stack.wait_ready(f"{self.service}-0")


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """Planned: SIGTERM, wait for the one that is started in its place, then the next."""

    service: str
    hold_s: float = 0.0

    @property
    def name(self) -> str:
        return f"rolling-{self.service}"

    @property
    def what(self) -> str:
        return f"planned restart of all {self.service} processes, one after the other"

    async def begin(self, stack: LocalStack) -> None:
        for instance in stack.options.instances(self.service):
            await stack.restart(instance)

    async def heal(self, stack: LocalStack) -> None:
        for instance in stack.options.instances(self.service):
            await stack.wait_ready(instance)


@dataclass(frozen=True, slots=True)
class KillRedis:
    name: str = "kill-redis"
    what: str = "kill -9 of Redis; it is started again"
    hold_s: float = 0.5

    async def begin(self, stack: LocalStack) -> None:
        if stack.redis is None:
            raise NotHere("Redis is not ours")
        os.kill(stack.redis.pid, signal.SIGKILL)

    async def heal(self, stack: LocalStack) -> None:
        assert stack.redis is not None
        await asyncio.to_thread(stack.redis.wait_ready)


@dataclass(frozen=True, slots=True)
class FlushRedis:
    name: str = "flush-redis"
    what: str = "FLUSHALL: the shared context is empty"
    hold_s: float = 0.0

    async def begin(self, stack: LocalStack) -> None:
        context = SharedContext(stack.addresses.redis_url)
        try:
            await context.call("FLUSHALL")
        finally:
            await context.close()

    async def heal(self, stack: LocalStack) -> None:
        """It fills by itself."""


@dataclass(frozen=True, slots=True)
class KillBroker:
    number: int = 2
    hold_s: float = 0.5

    @property
    def name(self) -> str:
        return "kill-broker"

    @property
    def what(self) -> str:
        return f"kill -9 of Kafka node {self.number}; it is started again on its data"

    async def begin(self, stack: LocalStack) -> None:
        if stack.kafka is None:
            raise NotHere("Kafka is not ours")
        stack.kafka.kill(min(self.number, len(stack.kafka.nodes)), signal.SIGKILL)

    async def heal(self, stack: LocalStack) -> None:
        assert stack.kafka is not None
        await asyncio.to_thread(stack.kafka.wait_ready)


@dataclass(frozen=True, slots=True)
class OversizedRecord:
    """Garbage as large as a broker takes, on every partition of the path; larger is refused."""

    name: str = "oversized-record"
    what: str = "records of 1 MiB that decode as nothing on every partition of the path; one of 2 MiB"
    hold_s: float = 0.0

    async def begin(self, stack: LocalStack) -> None:
        log = KafkaLog(KafkaSettings(stack.addresses.kafka_bootstrap_servers))
        producer = await log.producer("chaos")
        try:
            for topic in (CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS, SESSION_CONTROL):
                for partition in range(await log.partitions(topic.name)):
                    garbage = b"\xc1" * (MAX_RECORD_BYTES - 1024)
                    await producer.send(topic.name, b"chaos:0", garbage, partition=partition, timestamp_ms=0)
            await producer.flush()
            try:
                await (await producer.send(CAPTURE_FRAMES.name, b"chaos:0", bytes(2**21), partition=0, timestamp_ms=0))
            except RecordTooLarge:
                return
            raise AssertionError("a record of 2 MiB was taken")
        finally:
            await producer.close()
            await log.close()

    async def heal(self, stack: LocalStack) -> None:
        """It stays in the log; readers are past it."""


@dataclass(slots=True)
class FullDisk:
    """One broker of three has no room left; it ends, the supervisor tries in vain until there is room again."""

    disk: Path
    name: str = "full-disk"
    what: str = "the disk of Kafka node 3 is full for 10 s; the broker ends, and is started again when there is room"
    hold_s: float = PAUSE_S

    @property
    def _filler(self) -> Path:
        return self.disk / "filler"

    async def begin(self, stack: LocalStack) -> None:
        if stack.kafka is None or len(stack.kafka.nodes) < 3:
            raise NotHere("with one broker the log itself would be gone")
        await asyncio.to_thread(_fill, self._filler)

    async def heal(self, stack: LocalStack) -> None:
        assert stack.kafka is not None
        await asyncio.to_thread(self._filler.unlink)
        await asyncio.to_thread(stack.kafka.wait_ready, timeout_s=120.0)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue


def catalogue() -> dict[str, Fault]:
    """All faults but the full disk, which needs a stack of its own, in the order of the report."""
    faults: list[Fault] = [
        Nothing(),
        *(Kill(service) for service in FLOW_ORDER),
        *(Pause(service) for service in ("capture", *SCALABLE)),
        RollingRestart("interaction"),
        KillRedis(),
        FlushRedis(),
        KillBroker(),
        OversizedRecord(),
    ]
    return {fault.name: fault for fault in faults}


WITH_STANDBY = (
    "control",
    "kill-encoder",
    "kill-interaction",
    "pause-encoder",
    "pause-interaction",
    "rolling-interaction",
)
"""What a standby changes; these are done again with one."""
