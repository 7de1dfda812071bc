"""The shared context in Redis: what other processes may want to know about a session; the sole redis import.

Redis is a notebook, never the truth: what it loses comes back from the log. ``shared/context_families.py`` says what
is kept, who writes it and for how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import redis.asyncio as redis_async
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.clock import Clock
from shared.context_families import (
    CONFIG,
    CURSOR,
    FACTS,
    FAMILIES,
    SUMMARY,
    TASKS,
    TRANSCRIPT,
    Cursor,
    Facts,
    Family,
    Summary,
    Tasks,
    TaskState,
    Transcript,
    Worker,
)
from shared.logging import get_logger
from shared.metrics import CONTEXT_DROPPED, CONTEXT_ERRORS

__all__ = [
    "CONFIG",
    "CURSOR",
    "FACTS",
    "FAMILIES",
    "SUMMARY",
    "TASKS",
    "TRANSCRIPT",
    "ContextUnavailable",
    "Cursor",
    "Facts",
    "Family",
    "SharedContext",
    "Summary",
    "TaskState",
    "Tasks",
    "Transcript",
    "Worker",
    "WorkerRegistry",
    "WriteBehind",
]

_log = get_logger(__name__)
_DAY_MS = 24 * 3_600_000
T = TypeVar("T")


class ContextUnavailable(Exception):
    """Redis did not answer in time, or not sensibly; the caller goes on without it."""


_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class _Write:
    key: str
    value: bytes
    ttl_ms: int


# --- reading and writing -------------------------------------------------------------------------------------------


class SharedContext:
    """A connection pool with bounded waiting: no call takes longer than about twice ``timeout_s``.

    Every failure surfaces as ``ContextUnavailable``. Nothing is connected before the first call.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.5, max_connections: int = 8) -> None:
        self._redis: redis_async.Redis = redis_async.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=max_connections,
            retry=Retry(NoBackoff(), 0),
        )

    async def put(self, family: Family[T], session_id: str, value: T) -> None:
        """Set a session's value and its time to live. Raises ``ContextUnavailable``."""
        await self.write([_Write(family.key(session_id), _encoder.encode(value), family.ttl_ms)])

    async def get(self, family: Family[T], session_id: str) -> T | None:
        """A session's value; None when there is none, or none that this build can read.

        Raises:
            ContextUnavailable: nobody knows whether there is one.
        """
        raw = await self.call("GET", family.key(session_id))
        if raw is None:
            return None
        try:
            return msgspec.msgpack.decode(raw, type=family.kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            CONTEXT_ERRORS.inc()
            _log.warning("context_value_unreadable", family=family.name, error=str(error))
            return None

    async def delete(self, family: Family[Any], session_id: str) -> None:
        await self.call("DEL", family.key(session_id))

    async def ping(self) -> None:
        """Raises ``ContextUnavailable``."""
        await self.call("PING")

    async def write(self, writes: Sequence[_Write], *, missing_only: bool = False) -> None:
        """Several values in one round trip, each on its own (no transaction). Raises ``ContextUnavailable``.

        ``missing_only`` leaves alone what is there.
        """
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for w in writes:
                pipeline.set(w.key, w.value, px=w.ttl_ms, nx=missing_only)
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def call(self, *command: str | bytes | int) -> Any:
        """One Redis command, for this module's own use. Raises ``ContextUnavailable``."""
        try:
            # untyped in redis 8
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()


def _unavailable(error: BaseException) -> ContextUnavailable:
    CONTEXT_ERRORS.inc()
    return ContextUnavailable(f"shared context: {type(error).__name__}: {error}")


class WriteBehind:
    """Writes later, so that the fast path never waits for Redis.

    ``put`` only notes the value. Of several values for one key the newest counts; beyond ``capacity`` keys the oldest
    note is dropped and counted. ``run`` writes in batches; while Redis is gone it tries again every ``retry_s``.
    ``missing_only`` is for who comes later than the families' own writers: it never replaces a value.
    """

    def __init__(
        self,
        context: SharedContext,
        clock: Clock,
        *,
        capacity: int = 1024,
        batch: int = 64,
        retry_s: float = 1.0,
        missing_only: bool = False,
    ) -> None:
        self._context = context
        self._clock = clock
        self._capacity = capacity
        self._batch = batch
        self._retry_s = retry_s
        self._missing_only = missing_only
        self._waiting: OrderedDict[str, _Write] = OrderedDict()
        self._noted = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, family: Family[T], session_id: str, value: T) -> None:
        """Note a value (encoded now: later changes to it do not matter). Never waits, never raises for Redis."""
        write = _Write(family.key(session_id), _encoder.encode(value), family.ttl_ms)
        self._waiting.pop(write.key, None)
        self._waiting[write.key] = write
        self._trim()
        self._noted.set()

    def _trim(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            CONTEXT_DROPPED.inc()

    async def run(self, stop: asyncio.Event) -> None:
        """Write what was noted until ``stop``; what remains then gets one last try."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                noted = asyncio.ensure_future(self._noted.wait())
                await asyncio.wait({noted, stopping}, return_when=asyncio.FIRST_COMPLETED)
                noted.cancel()
                if not await self.drain() and not stop.is_set():
                    pause = asyncio.ensure_future(self._clock.sleep(self._retry_s))
                    await asyncio.wait({pause, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    pause.cancel()
            await self.drain()
        finally:
            stopping.cancel()

    async def drain(self) -> bool:
        """Write everything that is noted; False when Redis could not be reached (what is left stays noted)."""
        while self._waiting:
            taken = [self._waiting.popitem(last=False)[1] for _ in range(min(self._batch, len(self._waiting)))]
            try:
                await self._context.write(taken, missing_only=self._missing_only)
            except ContextUnavailable as error:
                _log.warning("context_unavailable", error=str(error), waiting=len(self._waiting) + len(taken))
                self._put_back(taken)
                return False
        self._noted.clear()
        return True

    def _put_back(self, taken: list[_Write]) -> None:
        for write in reversed(taken):
            if write.key not in self._waiting:  # a newer value may have been noted meanwhile
                self._waiting[write.key] = write
                self._waiting.move_to_end(write.key, last=False)
        self._trim()


# --- workers -------------------------------------------------------------------------------------------------------

_ANNOUNCE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {0, ''} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
return {owner and 2 or 1, run}
"""
_WITHDRAW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[2])
return 1
"""


_TAKEN, _NEW, _RENEWED = 0, 1, 2


class WorkerRegistry:
    """Who is alive. A worker holds the lease on its instance name while it renews it; a lapsed one is not listed.

    The lease doubles as a canary: when it is gone although it was ours a moment ago, or another Redis process answers
    than before, then Redis was emptied, restarted or unreachable, and whatever else we wrote may be gone as well.
    """

    def __init__(
        self, context: SharedContext, clock: Clock, service: str, instance_id: str, *, ttl_ms: int = 5_000
    ) -> None:
        self._context = context
        self._clock = clock
        self._service = service
        self._instance_id = instance_id
        self._ttl_ms = ttl_ms
        self._owner = secrets.token_bytes(12)
        self._run_id = b""
        self._held = False
        self.losses = 0
        """How often what was written before may have been lost since the first announcement."""

    def _keys(self) -> tuple[str, str, str]:
        tag = f"worker:{{{self._service}}}"
        return f"{tag}:lease:{self._instance_id}", f"{tag}:info:{self._instance_id}", f"{tag}:names"

    async def announce(self, info: Mapping[str, Any]) -> bool:
        """Take or renew the lease and publish ``info``; False when another process holds this instance name.

        Raises:
            ContextUnavailable: the lease lapses unless a later call succeeds in time.
        """
        worker = _encoder.encode(Worker(service=self._service, instance_id=self._instance_id, info=dict(info)))
        arguments = (self._owner, worker, self._instance_id, self._ttl_ms, _DAY_MS)
        state, run_id = await self._context.call("EVAL", _ANNOUNCE, 3, *self._keys(), *arguments)
        if state == _TAKEN:
            self._held = False
            return False
        if self._held and (state == _NEW or run_id != self._run_id):
            self.losses += 1
        self._held, self._run_id = True, run_id
        return True

    async def withdraw(self) -> None:
        """Give the lease back, if it is still ours. Raises ``ContextUnavailable``."""
        await self._context.call("EVAL", _WITHDRAW, 3, *self._keys(), self._owner, self._instance_id)

    async def live(self, service: str) -> list[Worker]:
        """The workers of a service whose lease has not lapsed, by instance name. Raises ``ContextUnavailable``."""
        tag = f"worker:{{{service}}}"
        names = sorted(name.decode() for name in await self._context.call("SMEMBERS", f"{tag}:names"))
        if not names:
            return []
        found = await self._context.call("MGET", *(f"{tag}:info:{name}" for name in names))
        return [msgspec.msgpack.decode(raw, type=Worker) for raw in found if raw is not None]

    async def keep(
        self,
        info: Callable[[], Mapping[str, Any]],
        stop: asyncio.Event,
        *,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """Announce and renew three times a lease until ``stop``, then withdraw; goes on while Redis is gone.

        ``on_lost`` is called when Redis may have lost what was written to it: time to write it again.
        """
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                losses = self.losses
                try:
                    if not await self.announce(info()):
                        _log.warning("worker_name_taken", name=self._instance_id)
                    elif self.losses > losses and on_lost is not None:
                        _log.warning("context_lost", service=self._service, name=self._instance_id)
                        on_lost()
                except ContextUnavailable as error:
                    _log.warning("context_unavailable", error=str(error))
                pause = asyncio.ensure_future(self._clock.sleep(self._ttl_ms / 3000))
                await asyncio.wait({pause, stopping}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
        finally:
            stopping.cancel()
            with contextlib.suppress(ContextUnavailable):
                await self.withdraw()
