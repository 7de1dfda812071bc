"""Many clients of ``/v1/stream`` in one process: each streams audio in real time and notes when its turns come.

Run by the benchmarks as a process of its own, so that its work is not mixed with theirs:
``python -m infra.bench.load URL SESSIONS SECONDS``; prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field

import numpy as np
import uvloop

from infra.client.stream import Disconnected, Refusal, StreamClient
from schemas import client
from shared.clock import SystemClock

RATE_HZ = 16_000
JOIN_SPREAD_S = 0.02  # clients arrive one after the other, so that their ticks spread over the 200 ms


@dataclass(slots=True)
class Heard:
    """What one client got: ticks in order of arrival, and their latencies."""

    ticks: list[int] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    gap_ms: int = 0
    notices: int = 0
    expected: int = 0
    error: str = ""


@dataclass(slots=True)
class Outcome:
    """All clients together; latencies are turn received minus frame complete, on one machine's wall clock."""

    sessions: int
    seconds: float
    ticks: int = 0
    missing: int = 0
    doubled: int = 0
    out_of_order: int = 0
    late: int = 0
    gap_ms: int = 0
    notices: int = 0
    errors: list[str] = field(default_factory=list)
    p50_ms: float = float("nan")
    p99_ms: float = float("nan")
    max_ms: float = float("nan")
    longest_late_run: int = 0


async def one_client(url: str, seconds: float, chunk_ms: int, delay_s: float, heard: Heard) -> None:
    """Join after ``delay_s``, stream noise for ``seconds``, say goodbye, hear everything to the end."""
    clock = SystemClock()
    await clock.sleep(delay_s)
    # A quiet noise: no two frames alike, and the encoder has something to do.
    noise = np.random.default_rng(int(delay_s * 1e6)).integers(-900, 900, RATE_HZ * 4, dtype=np.int16).astype("<i2")
    pcm = np.tile(noise, int(np.ceil(seconds / 4)))[: int(seconds * RATE_HZ)].tobytes()
    try:
        async with StreamClient(url, rate_hz=RATE_HZ) as session:
            sending = asyncio.create_task(_send(session, pcm, chunk_ms))
            try:
                await _receive(session, clock, heard)
                await sending
            finally:
                sending.cancel()
            heard.expected = session.ended.ticks if session.ended else 0
    except (Refusal, Disconnected, OSError) as error:
        heard.error = f"{type(error).__name__}: {error}"


async def _send(session: StreamClient, pcm: bytes, chunk_ms: int) -> None:
    await session.play(pcm, chunk_ms=chunk_ms)
    await session.bye()


async def _receive(session: StreamClient, clock: SystemClock, heard: Heard) -> None:
    async for message in session.messages():
        if isinstance(message, client.Turn):
            heard.ticks.append(message.tick)
            heard.latencies_ms.append(clock.wall_ms() - message.frame_end_ms)
            heard.gap_ms += message.gap_ms
        elif isinstance(message, client.Notice):
            heard.notices += 1


def judge(everybody: list[Heard], *, sessions: int, seconds: float, budget_ms: float) -> Outcome:
    """Fold what the clients heard into one outcome."""
    outcome = Outcome(sessions, seconds)
    for heard in everybody:
        if heard.error:
            outcome.errors.append(heard.error)
        distinct = len(set(heard.ticks))
        outcome.ticks += heard.expected
        outcome.missing += max(0, heard.expected - distinct)
        outcome.doubled += len(heard.ticks) - distinct
        outcome.out_of_order += sum(b <= a for a, b in zip(heard.ticks, heard.ticks[1:], strict=False))
        outcome.gap_ms += heard.gap_ms
        outcome.notices += heard.notices
        run = 0
        for latency in heard.latencies_ms:
            run = run + 1 if latency > budget_ms else 0
            outcome.late += latency > budget_ms
            outcome.longest_late_run = max(outcome.longest_late_run, run)
    latencies = np.array([x for heard in everybody for x in heard.latencies_ms])
    if len(latencies):
        outcome.p50_ms, outcome.p99_ms = (float(x) for x in np.percentile(latencies, [50, 99]))
        outcome.max_ms = float(latencies.max())
    return outcome


async def run(url: str, sessions: int, seconds: float, *, chunk_ms: int, budget_ms: float) -> Outcome:
    """All clients at once; returns when the last has ended."""
    everybody = [Heard() for _ in range(sessions)]
    clients = (
        one_client(url, seconds, chunk_ms, number * JOIN_SPREAD_S, heard) for number, heard in enumerate(everybody)
    )
    await asyncio.gather(*clients)
    return judge(everybody, sessions=sessions, seconds=seconds, budget_ms=budget_ms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("sessions", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--chunk-ms", type=int, default=100)
    parser.add_argument("--budget-ms", type=float, default=200.0)
    a = parser.parse_args()
    outcome = uvloop.run(run(a.url, a.sessions, a.seconds, chunk_ms=a.chunk_ms, budget_ms=a.budget_ms))
    json.dump(asdict(outcome), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
