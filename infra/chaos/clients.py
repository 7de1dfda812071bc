"""The clients of one row, in a process of their own: ``python -m infra.chaos.clients OUT SESSIONS URL …``.

Each streams speech in real time to one of the servers and resumes by itself, at any. A line on stdin has them say
goodbye; what they heard is written to OUT as JSON. Meanwhile a status line comes four times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import uvloop

from infra.chaos.ledger import digest
from infra.chaos.metrics import LATE_MS, SILENT_S, STEADY_S, Heard
from infra.client.stream import Disconnected, Refusal, StreamClient
from infra.demo.recording import Recording, load
from schemas.records import SessionConfig
from shared.clock import SystemClock

SPEECH = Path(__file__).parents[2] / "tests" / "fixtures" / "demo.wav"
JOIN_SPREAD_S = 0.05  # clients arrive one after the other, so that their ticks spread over the 200 ms
STATUS_S = 0.25
FAREWELL_S = 30.0
_CHUNK_MS = 100
_RECENT = 100  # turns that are looked at for the status: what may come in two seconds, a burst included


async def one_client(urls: list[str], number: int, speech: Recording, stop: asyncio.Event, heard: Heard) -> None:
    """Join, stream until ``stop``, say goodbye, hear everything to the end."""
    clock = SystemClock()
    await clock.sleep(number * JOIN_SPREAD_S)
    first = number % len(urls)
    order = urls[first:] + urls[:first]
    try:
        config = SessionConfig(seed=number)
        async with StreamClient(order, rate_hz=speech.rate_hz, config=config, persistent=True) as session:
            heard.session_id = session.welcome.session_id
            speaking = asyncio.create_task(_speak(session, speech, number, stop))
            try:
                await _listen(session, clock, heard)
                await speaking
            finally:
                speaking.cancel()
                heard.resumes = session.resumes
            heard.expected = session.ended.ticks if session.ended else 0
    except (Refusal, Disconnected, OSError) as error:
        heard.error = f"{type(error).__name__}: {error}"


async def _speak(session: StreamClient, speech: Recording, number: int, stop: asyncio.Event) -> None:
    """The recording over and over, everybody from another place in it."""
    frames = len(speech.pcm) // speech.frame_bytes
    turned = speech.frame_bytes * (number * 7 % frames)
    pcm = speech.pcm[turned:] + speech.pcm[:turned]
    while not stop.is_set():
        playing = asyncio.create_task(session.play(pcm, chunk_ms=_CHUNK_MS))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (playing, stopping):
                task.cancel()
            await asyncio.gather(playing, stopping, return_exceptions=True)
    await session.bye()


async def _listen(session: StreamClient, clock: SystemClock, heard: Heard) -> None:
    async for turn in session.turns():
        heard.ticks.append(turn.tick)
        heard.arrivals.append(clock.monotonic())
        heard.latencies_ms.append(clock.wall_ms() - turn.frame_end_ms)
        heard.digests.append(digest(turn))


def status(everybody: list[Heard], now: float) -> dict[str, object]:
    """How all are doing: the last two seconds' worst latency, the longest silence up to now."""
    recent = [
        latency
        for heard in everybody
        for at, latency in zip(heard.arrivals[-_RECENT:], heard.latencies_ms[-_RECENT:], strict=True)
        if at > now - STEADY_S
    ]
    silent_s = max((now - heard.arrivals[-1] if heard.arrivals else STEADY_S for heard in everybody), default=0.0)
    worst_ms = max(recent, default=0.0)
    return {
        "turns": sum(len(heard.ticks) for heard in everybody),
        "gone": sum(bool(heard.error) for heard in everybody),
        "resumes": sum(heard.resumes for heard in everybody),
        "worst_ms": round(worst_ms, 1),
        "silent_s": round(silent_s, 2),
        "well": worst_ms <= LATE_MS and silent_s <= SILENT_S,
    }


async def _report(everybody: list[Heard]) -> None:
    clock = SystemClock()
    while True:
        print(json.dumps(status(everybody, clock.monotonic())), flush=True)
        await clock.sleep(STATUS_S)


async def _until_told(stop: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()  # or the end of it: whoever started us has gone
    stop.set()


async def run(urls: list[str], sessions: int) -> list[Heard]:
    """All clients at once; returns when the last has heard its end."""
    everybody = [Heard() for _ in range(sessions)]
    stop = asyncio.Event()
    speech = load(SPEECH)
    clients = [
        asyncio.create_task(one_client(urls, number, speech, stop, heard)) for number, heard in enumerate(everybody)
    ]
    beside = [asyncio.create_task(_report(everybody)), asyncio.create_task(_until_told(stop))]
    try:
        await stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(*clients)
        for heard, task in zip(everybody, clients, strict=True):
            if not task.done():
                heard.error = heard.error or f"no end within {FAREWELL_S:.0f} s"
    finally:
        for task in (*beside, *clients):
            task.cancel()
        await asyncio.gather(*beside, *clients, return_exceptions=True)
    return everybody


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("sessions", type=int)
    parser.add_argument("urls", nargs="+")
    a = parser.parse_args()
    everybody = uvloop.run(run(a.urls, a.sessions))
    a.out.write_text(json.dumps([asdict(heard) for heard in everybody]))
    return 0


if __name__ == "__main__":
    sys.exit(main())


