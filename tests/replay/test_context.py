"""Redis is a cache: emptied, killed, restarted in mid-conversation, it costs no tick and holds the same again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.client import StreamClient
from infra.context import rebuild, show
from infra.local.redis import LocalRedis
from schemas import client
from schemas.records import BackgroundTask, SessionConfig
from schemas.topics import BACKGROUND_TASKS, SESSION_CONTROL
from services.background.app import run as background
from services.background.local_llm import LocalLlm
from services.background.settings import BackgroundSettings
from services.capture.app import run as capture
from services.capture.settings import CaptureSettings
from services.encoder.app import run as encoder
from services.encoder.settings import EncoderSettings
from services.interaction.app import run as interaction
from services.interaction.settings import InteractionSettings
from shared import context as ctx
from shared.clock import SystemClock
from shared.log.memory import MemoryLog
from tests.pipeline.rig import read_all
from tests.replay.conversations import RELEASED, append, demo_samples, started

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

CONFIG = SessionConfig(seed=7, instructions="Be brief.")
SPOKEN = ("config", "transcript", "cursor", "tasks", "facts")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLlm]:
    local = LocalLlm(slots=1, threads=1)
    yield local
    local.close()


@contextlib.asynccontextmanager
async def pipeline(log: MemoryLog, redis_url: str, llm: LocalLlm) -> AsyncIterator[str]:
    """All services that a conversation needs, with the released weights; the address of capture."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop, clock = asyncio.Event(), SystemClock()
    common: dict[str, Any] = {"redis_url": redis_url, "model_dir": RELEASED, "instance_id": "t"}
    answering = BackgroundSettings(
        **common, background_llm_url=llm.url, background_llm_key=llm.key, background_hearing="off"
    )
    services = [
        encoder(EncoderSettings(**common), log, clock, stop),
        interaction(InteractionSettings(**common, session_capacity=4), log, clock, stop),
        background(answering, log, clock, stop),
        capture(CaptureSettings(**common, capture_port=0), log, clock, stop, on_listening=listening.set_result),
    ]
    tasks = [asyncio.create_task(service) for service in services]
    try:
        await asyncio.wait({*tasks, listening}, return_when=asyncio.FIRST_COMPLETED)
        yield await listening
    finally:
        stop.set()
        done, _ = await asyncio.wait(tasks, timeout=20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


class Caller:
    """A client that speaks as long as it is asked to, and keeps the ticks of its turns."""

    def __init__(self, session: StreamClient) -> None:
        self.session = session
        self.ticks: list[int] = []
        self.finals: list[str] = []
        self.ended = asyncio.Event()
        self._sent = 0

    async def listen(self) -> None:
        async for message in self.session.messages():
            if isinstance(message, client.Turn):
                self.ticks.append(message.tick)
            elif isinstance(message, client.Result) and message.kind == "final":
                self.finals.append(message.text)
        self.ended.set()

    async def speak(self, ticks: int) -> None:
        """Send sound for so many ticks, and wait for their turns."""
        samples = demo_samples()
        for _ in range(ticks):
            at = self._sent * 3200 % (len(samples) - 3200)
            await self.session.send(client.Audio(pcm=samples[at : at + 3200].tobytes()))
            self._sent += 1
        async with asyncio.timeout(60):
            while len(self.ticks) < self._sent:  # noqa: ASYNC110 - the socket has no event for tests
                await asyncio.sleep(0.01)

    async def speak_until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(150):
            while not await condition():
                await self.speak(2)


async def settled(log: MemoryLog, values: Callable[[], Awaitable[dict[str, Any]]], last_tick: int) -> None:
    """Wait until every task has ended in the log, and Redis knows it, and the last turn."""
    async with asyncio.timeout(60):
        while True:
            tasks = {t.task_id for t in await read_all(log, BACKGROUND_TASKS, 0) if isinstance(t, BackgroundTask)}
            found = await values()
            noted = {t["task_id"] for t in (found["tasks"] or {"tasks": []})["tasks"] if t["state"] != "running"}
            if noted == tasks and (found["cursor"] or {"tick": -1})["tick"] == last_tick:
                return
            await asyncio.sleep(0.02)


async def test_flushed_killed_restarted_rebuilt(redis: LocalRedis, llm: LocalLlm) -> None:
    log = MemoryLog()
    await log.create_topics(4)
    shared = ctx.SharedContext(redis.url)

    async def values() -> dict[str, Any]:
        with contextlib.suppress(ctx.ContextUnavailable):
            return await show(shared, caller.session.welcome.session_id)
        return dict.fromkeys(SPOKEN)

    async def all_there() -> bool:
        found = await values()
        tasks = found["tasks"]
        return all(found[name] for name in SPOKEN) and all(t["state"] != "running" for t in tasks["tasks"])

    async with pipeline(log, redis.url, llm) as url, StreamClient(url, config=CONFIG, pace="file") as session:
        caller = Caller(session)
        listening = asyncio.create_task(caller.listen())
        await caller.speak(15)
        await session.send(client.Text(text="what is the capital of france"))
        await caller.speak_until(all_there)
        before = await values()
        assert before["config"] == {"seed": 7, "instructions": "Be brief."}
        assert before["facts"]["facts"][0]["text"] == caller.finals[0]

        await shared.call("FLUSHALL")
        assert not any((await values()).values())
        await caller.speak_until(all_there)
        flushed = await values()
        assert flushed["config"] == before["config"]
        known = before["facts"]["facts"]  # nano may have asked for more meanwhile: the caller goes on speaking
        assert flushed["facts"]["facts"][: len(known)] == known

        assert redis.process is not None
        redis.process.kill()
        redis.process.wait()
        await caller.speak(10)  # nobody waits for it
        redis.start()
        fresh = ctx.SharedContext(redis.url)  # the other's connections are of before
        await fresh.call("FLUSHALL")  # as a restart without persistence
        await fresh.close()
        await caller.speak_until(all_there)

        await session.bye()
        async with asyncio.timeout(30):
            await caller.ended.wait()
        await listening
        await settled(log, values, caller.ticks[-1])
        assert caller.ticks == list(range(len(caller.ticks)))
        session_id = session.welcome.session_id

    await shared.close()
    shared = ctx.SharedContext(redis.url)
    last = await show(shared, session_id)
    await shared.call("FLUSHALL")
    done = await rebuild(log, shared, SystemClock())
    assert (done.sessions, done.values) == (0, 0)  # it has ended
    done = await rebuild(log, shared, SystemClock(), ended=True)
    again = await show(shared, session_id)
    assert done.sessions == 1
    assert done.values == sum(value is not None for value in again.values())
    assert last["cursor"].pop("worker") == "interaction-t"  # the log does not say who
    assert again["cursor"].pop("worker") == ""
    assert again == last
    await shared.close()


async def test_a_rebuild_never_replaces_what_a_service_has_written(redis: LocalRedis) -> None:
    log = MemoryLog()
    await log.create_topics(4)
    shared = ctx.SharedContext(redis.url)
    await append(log, SESSION_CONTROL, [started("a", CONFIG), started("b", CONFIG)], prefix="")
    newer = SessionConfig(seed=8)
    await shared.put(ctx.CONFIG, "a", newer)
    done = await rebuild(log, shared, SystemClock())
    assert (done.sessions, done.values) == (2, 2)
    assert await shared.get(ctx.CONFIG, "a") == newer
    assert await shared.get(ctx.CONFIG, "b") == CONFIG
    await rebuild(log, shared, SystemClock(), overwrite=True)
    assert await shared.get(ctx.CONFIG, "a") == CONFIG
    await shared.close()


async def test_a_rebuild_without_redis_says_so() -> None:
    log = MemoryLog()
    await log.create_topics(4)
    await append(log, SESSION_CONTROL, [started("a", CONFIG)], prefix="")
    shared = ctx.SharedContext("redis://127.0.0.1:1/0")
    with pytest.raises(ctx.ContextUnavailable, match="0 of 1 values"):
        await rebuild(log, shared, SystemClock())
    await shared.close()
