"""The shared context against a real Redis: what is put is got, what fails says so, what was lost comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from infra.local.redis import LocalRedis
from schemas.records import ContextEntry, SessionConfig
from shared import context as ctx
from shared.clock import SystemClock
from shared.metrics import CONTEXT_DROPPED


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """A Redis of this module's own, because its tests kill and empty it."""
    with LocalRedis(tmp_path_factory.mktemp("redis-to-kill")) as redis:
        yield redis


@pytest.fixture
async def shared(server: LocalRedis) -> AsyncIterator[ctx.SharedContext]:
    if server.process is None or server.crashed():
        server.start()
    context = ctx.SharedContext(server.url)
    await context.call("FLUSHALL")
    yield context
    await context.close()


def cursor(tick: int) -> ctx.Cursor:
    return ctx.Cursor(tick=tick, timestamp_ms=tick * 200)


async def until(*, check: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait for ``check()`` to become true; fails after ``seconds``."""

    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - what changes is in another process
            await asyncio.sleep(0.02)


async def test_every_family_gives_back_what_was_put_and_expires(shared: ctx.SharedContext) -> None:
    entry = ContextEntry(role="user_typed", timestamp_ms=400, text="grüezi")
    values = {
        "config": SessionConfig(seed=7, instructions="be kind"),
        "transcript": ctx.Transcript(entries=[entry]),
        "cursor": cursor(3),
        "tasks": ctx.Tasks(tasks=[ctx.TaskState(task_id="a", state="running", since_ms=1, deadline_ms=2)]),
        "facts": ctx.Facts(facts=[entry]),
        "summary": ctx.Summary(text="they met", through_ms=400),
    }
    assert {family.name for family in ctx.FAMILIES} == set(values)
    for family in ctx.FAMILIES:
        await shared.put(family, "s1", values[family.name])
        assert await shared.get(family, "s1") == values[family.name]
        assert await shared.get(family, "s2") is None
        left = await shared.call("PTTL", family.key("s1"))
        assert 0 < left <= family.ttl_ms


async def test_the_keys_of_a_session_share_a_cluster_slot(shared: ctx.SharedContext) -> None:
    assert all(family.key("s-1").startswith("ctx:{s-1}:") for family in ctx.FAMILIES)
    assert len({family.key("s-1") for family in ctx.FAMILIES}) == len(ctx.FAMILIES)


async def test_a_value_of_another_build_reads_as_absent(shared: ctx.SharedContext) -> None:
    await shared.call("SET", ctx.CURSOR.key("s1"), b"\xc1 not msgpack")
    assert await shared.get(ctx.CURSOR, "s1") is None
    await shared.call("SET", ctx.CURSOR.key("s1"), b"\x80")
    assert await shared.get(ctx.CURSOR, "s1") is None


async def test_a_wrong_type_in_redis_surfaces_as_unavailable(shared: ctx.SharedContext) -> None:
    await shared.call("LPUSH", ctx.CURSOR.key("s1"), "x")
    with pytest.raises(ctx.ContextUnavailable):
        await shared.get(ctx.CURSOR, "s1")


async def test_nobody_listening_surfaces_as_unavailable() -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        context = ctx.SharedContext(f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        for attempt in (context.ping(), context.get(ctx.CURSOR, "s1"), context.put(ctx.CURSOR, "s1", cursor(1))):
            with pytest.raises(ctx.ContextUnavailable):
                await attempt
        await context.close()


async def test_a_redis_that_hangs_does_not_hang_the_caller(server: LocalRedis, shared: ctx.SharedContext) -> None:
    assert server.process is not None
    await shared.ping()
    impatient = ctx.SharedContext(server.url, timeout_s=0.1)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ctx.ContextUnavailable):
                await impatient.get(ctx.CURSOR, "s1")
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    await impatient.ping()
    await impatient.close()


@contextlib.asynccontextmanager
async def writing(shared: ctx.SharedContext, **options: float) -> AsyncIterator[ctx.WriteBehind]:
    behind = ctx.WriteBehind(shared, SystemClock(), retry_s=0.05, **options)
    stop = asyncio.Event()
    task = asyncio.create_task(behind.run(stop))
    yield behind
    stop.set()
    await task


async def test_write_behind_writes_and_the_newest_value_counts(shared: ctx.SharedContext) -> None:
    async with writing(shared) as behind:
        for tick in range(500):
            behind.put(ctx.CURSOR, f"s{tick % 5}", cursor(tick))
        assert len(behind) == 5
    for i in range(5):
        found = await shared.get(ctx.CURSOR, f"s{i}")
        assert found == cursor(495 + i)


async def test_write_behind_drops_the_oldest_and_counts(shared: ctx.SharedContext) -> None:
    before = CONTEXT_DROPPED._value.get()
    behind = ctx.WriteBehind(shared, SystemClock(), capacity=3)
    for tick in range(10):
        behind.put(ctx.CURSOR, f"s{tick}", cursor(tick))
    assert len(behind) == 3
    assert CONTEXT_DROPPED._value.get() - before == 7
    assert await behind.drain()
    kept = [tick for tick in range(10) if await shared.get(ctx.CURSOR, f"s{tick}") is not None]
    assert kept == [7, 8, 9]


async def test_write_behind_goes_on_by_itself_after_a_kill(
    server: LocalRedis, shared: ctx.SharedContext, tmp_path: Path
) -> None:
    async def written(tick: int) -> bool:
        with contextlib.suppress(ctx.ContextUnavailable):
            found = await shared.get(ctx.CURSOR, "s1")
            return found == cursor(tick)
        return False

    async with writing(shared) as behind:
        behind.put(ctx.CURSOR, "s1", cursor(1))
        await until(check=lambda: written(1))
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        behind.put(ctx.CURSOR, "s1", cursor(2))
        with pytest.raises(ctx.ContextUnavailable):
            await shared.ping()
        behind.put(ctx.CURSOR, "s1", cursor(3))
        server.start()
        await until(check=lambda: written(3))
        await shared.call("FLUSHALL")
        assert await shared.get(ctx.CURSOR, "s1") is None
        behind.put(ctx.CURSOR, "s1", cursor(4))
        await until(check=lambda: written(4))


async def test_write_behind_stops_in_time_while_redis_is_gone() -> None:
    context = ctx.SharedContext("redis://127.0.0.1:1/0", timeout_s=0.1)
    async with asyncio.timeout(10), writing(context) as behind:
        behind.put(ctx.CURSOR, "s1", cursor(1))
    assert len(behind) == 1
    await context.close()


async def test_registry_lists_live_workers_with_what_they_announce(shared: ctx.SharedContext) -> None:
    clock = SystemClock()
    a = ctx.WorkerRegistry(shared, clock, "encoder", "a")
    b = ctx.WorkerRegistry(shared, clock, "encoder", "b")
    other = ctx.WorkerRegistry(shared, clock, "interaction", "a")
    assert await a.live("encoder") == []
    assert await b.announce({"encoder_version": "v2"})
    assert await a.announce({"encoder_version": "v1", "load": 0.25})
    assert await other.announce({})
    found = await other.live("encoder")
    assert [(w.instance_id, w.info) for w in found] == [
        ("a", {"encoder_version": "v1", "load": 0.25}),
        ("b", {"encoder_version": "v2"}),
    ]
    await a.withdraw()
    assert [w.instance_id for w in await other.live("encoder")] == ["b"]


async def test_a_name_has_one_holder_until_the_lease_lapses(shared: ctx.SharedContext) -> None:
    first = ctx.WorkerRegistry(shared, SystemClock(), "encoder", "a", ttl_ms=300)
    second = ctx.WorkerRegistry(shared, SystemClock(), "encoder", "a", ttl_ms=60_000)
    assert await first.announce({"who": 1})
    assert not await second.announce({"who": 2})
    assert await first.announce({"who": 1})
    await second.withdraw()  # not its lease to give back
    assert [w.info for w in await first.live("encoder")] == [{"who": 1}]

    async def taken() -> bool:
        return await second.announce({"who": 2})

    await until(check=taken)
    assert not await first.announce({"who": 1})
    assert [w.info for w in await first.live("encoder")] == [{"who": 2}]


async def test_keep_renews_announces_again_after_a_flush_and_withdraws(shared: ctx.SharedContext) -> None:
    registry = ctx.WorkerRegistry(shared, SystemClock(), "encoder", "a", ttl_ms=150)
    stop = asyncio.Event()
    renewed = 0

    def info() -> dict[str, int]:
        nonlocal renewed
        renewed += 1
        return {"renewed": renewed}

    async def listed() -> bool:
        return bool(await registry.live("encoder"))

    async def renewed_often() -> bool:
        return renewed > 6 and await listed()

    task = asyncio.create_task(registry.keep(info, stop))
    await until(check=renewed_often)
    await shared.call("FLUSHALL")
    await until(check=listed)
    stop.set()
    await task
    assert not await listed()


async def test_a_loss_is_noticed_by_the_next_renewal(server: LocalRedis, shared: ctx.SharedContext) -> None:
    registry = ctx.WorkerRegistry(shared, SystemClock(), "encoder", "a", ttl_ms=60_000)
    for _ in range(3):
        assert await registry.announce({})
    assert registry.losses == 0
    await shared.call("FLUSHALL")
    assert await registry.announce({})
    assert registry.losses == 1
    assert server.process is not None
    await shared.call("SAVE")  # the lease itself survives, what was written since may not have
    server.process.kill()
    server.process.wait()
    with pytest.raises(ctx.ContextUnavailable):
        await registry.announce({})
    server.start()
    assert await registry.announce({})
    assert registry.losses == 2
    assert await registry.announce({})
    assert registry.losses == 2


async def test_keep_tells_of_a_loss_once(shared: ctx.SharedContext) -> None:
    registry = ctx.WorkerRegistry(shared, SystemClock(), "encoder", "a", ttl_ms=150)
    stop, lost, renewed = asyncio.Event(), 0, 0

    def on_lost() -> None:
        nonlocal lost
        lost += 1

    def info() -> dict[str, int]:
        nonlocal renewed
        renewed += 1
        return {}

    async def renewed_to(count: int) -> bool:
        return renewed >= count

    task = asyncio.create_task(registry.keep(info, stop, on_lost=on_lost))
    await until(check=lambda: renewed_to(3))
    seen = lost  # on a machine that is slow enough to let the lease lapse, not 0
    await shared.call("FLUSHALL")
    at = renewed

    async def told() -> bool:
        return lost > seen and renewed > at

    await until(check=told)
    stop.set()
    await task


async def test_missing_only_leaves_alone_what_is_there(shared: ctx.SharedContext) -> None:
    await shared.put(ctx.CURSOR, "s1", cursor(5))
    behind = ctx.WriteBehind(shared, SystemClock(), missing_only=True)
    behind.put(ctx.CURSOR, "s1", cursor(1))
    behind.put(ctx.CURSOR, "s2", cursor(1))
    assert await behind.drain()
    assert await shared.get(ctx.CURSOR, "s1") == cursor(5)
    assert await shared.get(ctx.CURSOR, "s2") == cursor(1)
