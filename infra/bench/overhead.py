"""What the pipeline costs around the model: ``echo`` over real sockets, Kafka and processes."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.bench import stages
from infra.bench.report import render, write
from infra.local.plan import START_ORDER
from infra.local.stack import LocalStack, StackOptions

ROWS = ((100, 60.0), (300, 60.0), (20, 600.0))
BUDGET_MS = 200.0
WARM_UP = (20, 10.0)


@dataclass(frozen=True, slots=True)
class Row:
    sessions: int
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", help="sessions x seconds, e.g. 100x60,300x60,20x600 (the default)", type=_rows)
    parser.add_argument("--chunk-ms", type=int, default=100, help="length of a client's audio messages")
    parser.add_argument("--silent", action="store_true", help="echo answers without audio (9,600 bytes a turn less)")
    parser.add_argument("--services", default="", help="only these, separated by commas (default: all)")
    parser.add_argument("--encoders", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=StackOptions().partitions)
    parser.add_argument("--interactions", type=int, default=1)


def _rows(text: str) -> list[Row]:
    return [Row(int(sessions), float(seconds)) for sessions, _, seconds in (r.partition("x") for r in text.split(","))]


def run(arguments: argparse.Namespace) -> int:
    rows = arguments.rows or [Row(sessions, seconds) for sessions, seconds in ROWS]
    report = asyncio.run(measure(arguments, rows))
    write("overhead", report, render(report))
    broken = [row for row in report["rows"] if row["missing"] or row["doubled"] or row["out_of_order"] or row["errors"]]
    if broken:
        print(f"{len(broken)} row(s) lost, doubled or disordered ticks, or had errors", file=sys.stderr)
    return 1 if broken else 0


async def measure(arguments: argparse.Namespace, rows: list[Row]) -> dict[str, Any]:
    """Start a stack, warm it up, measure each row on it."""
    options = StackOptions(
        model="echo",
        encoders=arguments.encoders,
        interactions=arguments.interactions,
        partitions=arguments.partitions,
        env={"interaction": {"ECHO_AUDIO": "false" if arguments.silent else "true"}},
        log_level="warning",
        services=tuple(arguments.services.split(",")) if arguments.services else START_ORDER,
    )
    async with LocalStack(options) as stack:
        await _load(stack, Row(*WARM_UP), arguments.chunk_ms)
        measured = []
        for row in rows:
            print(f"{row.sessions} sessions for {row.seconds:.0f} s …", flush=True)
            measured.append(await _measure_row(stack, row, arguments.chunk_ms))
            print(json.dumps({k: v for k, v in measured[-1].items() if not isinstance(v, dict)}), flush=True)
    return {
        "suite": "overhead",
        "command": "make bench SUITE=overhead" + (f" ARGS='{' '.join(sys.argv[2:])}'" if sys.argv[2:] else ""),
        "model": "echo (not a model)" + ("" if not arguments.silent else ", silent"),
        "machine": {"cores": psutil.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "budget_ms": BUDGET_MS,
        "chunk_ms": arguments.chunk_ms,
        "rows": measured,
    }


async def _measure_row(stack: LocalStack, row: Row, chunk_ms: int) -> dict[str, Any]:
    stop = asyncio.Event()
    watching = asyncio.create_task(stages.watch(stack.addresses.kafka_bootstrap_servers, 0, stop))
    before = _cpu_seconds(stack)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = await _load(stack, row, chunk_ms)
    elapsed = loop.time() - began
    after = _cpu_seconds(stack)
    stop.set()
    seen = await watching
    ticks = outcome["ticks"]
    return {
        **{key: round(value, 3) if isinstance(value, float) else value for key, value in outcome.items()},
        "miss_rate": (outcome["late"] + outcome["missing"]) / ticks if ticks else None,
        "stages": stages.summarise(seen),
        "cores": {name: round((after[name] - before[name]) / elapsed, 3) for name in after if name in before},
    }


async def _load(stack: LocalStack, row: Row, chunk_ms: int) -> dict[str, Any]:
    """Run the clients in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infra.bench.load", stack.addresses.stream, str(row.sessions), str(row.seconds),
        "--chunk-ms", str(chunk_ms), "--budget-ms", str(BUDGET_MS),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    cpu = 0.0
    watched = psutil.Process(process.pid)
    reading = asyncio.create_task(process.communicate())
    while not reading.done():
        await asyncio.wait({reading}, timeout=1.0)
        if not reading.done():
            times = watched.cpu_times()
            cpu = times.user + times.system
    out, _ = reading.result()
    if process.returncode:
        raise RuntimeError(f"the load clients ended with status {process.returncode}")
    outcome: dict[str, Any] = json.loads(out)
    outcome["clients_cpu_s"] = cpu
    return outcome


def _cpu_seconds(stack: LocalStack) -> Mapping[str, float]:
    """Seconds of processor time so far, by process."""
    pids = {name: stack.pid(name) for name in stack.instances}
    if stack.kafka is not None:
        pids["kafka"] = stack.kafka.pid()
    if stack.redis is not None:
        pids["redis"] = stack.redis.pid
    seconds = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        seconds[name] = sum(t.user + t.system for t in (one.cpu_times() for one in family))
    return seconds
