"""One row: clients stream, all is well, the fault begins, is healed, all is well again, the clients say goodbye."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from infra.chaos import ledger
from infra.chaos.faults import Fault
from infra.chaos.metrics import STEADY_S, Heard, judge
from infra.local import children
from infra.local.jars import PROJECT
from infra.local.stack import LocalStack
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings

WELL_WITHIN_S = 90.0
GONE_WITHIN_S = 60.0
AFTER_S = 2.0  # observed beyond the steady state that ends the wait
Say = Callable[[str, dict[str, Any]], None]


class Unwell(RuntimeError):
    """The clients were not all served in time before the fault: the machine is too small for this load."""


class Clients:
    """The process of the clients; what it says last, and since when all is well."""

    def __init__(self, process: asyncio.subprocess.Process, out: Path, say: Callable[[dict[str, Any]], None]) -> None:
        self._process = process
        self._out = out
        self.say = say
        self._well_since: float | None = None
        self.last: dict[str, Any] = {}
        self._news = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    @classmethod
    async def start(
        cls, urls: tuple[str, ...], sessions: int, out: Path, say: Callable[[dict[str, Any]], None]
    ) -> Clients:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "infra.chaos.clients", str(out), str(sessions), *urls,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=PROJECT, preexec_fn=children.leash(),
        )  # fmt: skip
        return cls(process, out, say)

    async def _follow(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            status = self.last = json.loads(line)
            if not status["well"]:
                self._well_since = None
            elif self._well_since is None:
                self._well_since = time.monotonic()
            self.say(status)
            self._news.set()
        self._news.set()

    async def until_well(self, since: float, seconds: float, timeout_s: float) -> bool:
        """Wait until all has been well for so long, counted from ``since`` at the earliest; False when it is not."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._process.returncode is None:
                    self._news.clear()
                    well = self._well_since
                    if well is not None and time.monotonic() - max(well, since) >= seconds:
                        return True
                    await self._news.wait()
        except TimeoutError:
            pass
        return False

    async def farewell(self) -> list[Heard]:
        """Have all say goodbye; what they heard. Raises ``RuntimeError`` when the process failed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(GONE_WITHIN_S):
            await self._following
            status = await self._process.wait()
        if status:
            raise RuntimeError(f"the clients ended with status {status}")
        return msgspec.json.decode(self._out.read_bytes(), type=list[Heard])

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a row is measured on."""

    broker: str
    standby: bool
    sessions: int
    model: str


async def measure(stack: LocalStack, fault: Fault, setting: Setting, say: Say) -> dict[str, Any]:
    """One row of the report.

    Raises:
        Unwell: all was not well before the fault.
        faults.NotHere: this machine can't have the fault.
    """
    log = KafkaLog(KafkaSettings(stack.addresses.kafka_bootstrap_servers))
    with tempfile.TemporaryDirectory(prefix="microturn-chaos-") as directory:
        clients = None
        try:
            since = await ledger.ends(log)
            clients = await Clients.start(
                stack.addresses.streams, setting.sessions, Path(directory) / "heard", lambda s: say("warming up", s)
            )
            row = await _with_clients(stack, fault, clients, say)
            heard = row.pop("heard")
            account = await ledger.audit(log, since, heard)
        finally:
            if clients is not None:
                await clients.kill()
            await log.close()
    began = row.pop("began")
    verdict = judge(heard, began, began + row["healed_s"], row.pop("ended"))
    return {
        "fault": fault.name,
        **asdict(setting),
        **asdict(verdict),
        "log": asdict(account),
        **row,
    }


async def _with_clients(stack: LocalStack, fault: Fault, clients: Clients, say: Say) -> dict[str, Any]:
    if not await clients.until_well(time.monotonic(), STEADY_S, WELL_WITHIN_S):
        raise Unwell(f"not all clients had their turns in time within {WELL_WITHIN_S:.0f} s: {clients.last}")
    clients.say = lambda s: say("fault", s)
    restarts = _restarts(stack)
    began = time.monotonic()
    await fault.begin(stack)
    await asyncio.sleep(max(0.0, fault.hold_s - (time.monotonic() - began)))
    await fault.heal(stack)
    healed = time.monotonic()
    clients.say = lambda s: say("recovering", s)
    await clients.until_well(healed, STEADY_S, WELL_WITHIN_S)
    await asyncio.sleep(AFTER_S)
    ended = time.monotonic()
    clients.say = lambda s: say("farewell", s)
    heard = await clients.farewell()
    restarted = {name: count - restarts[name] for name, count in _restarts(stack).items() if count > restarts[name]}
    return {"began": began, "ended": ended, "heard": heard, "healed_s": healed - began, "restarts": restarted}


def _restarts(stack: LocalStack) -> dict[str, int]:
    return {name: stack.restarts(name) for name in stack.instances}


def broken(row: dict[str, Any]) -> list[str]:
    """What is wrong in a row; nothing where every tick came once, in order, as the log has it."""
    log = row["log"]
    found = {
        "ticks lost": row["ticks_lost"],
        "ticks doubled": row["ticks_doubled"],
        "out of order": row["order_violations"],
        "clients with an error": len(row["errors"]),
        "ticks without a turn in the log": log["missing"],
        "sessions disordered in the log": log["disordered"],
        "sessions without an end": log["unended"],
        "turns at clients that are not the log's": log["other"],
    }
    return [f"{count} {what}" for what, count in found.items() if count] + (
        ["no steady state again"] if row["recovered_s"] is None else []
    )
