"""The whole pipeline on this machine: Kafka, Redis, topics, services; started in order, kept up, taken down."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from infra.local import children, jars
from infra.local.events import Events, Silent
from infra.local.kafka import LocalKafka
from infra.local.plan import Addresses, StackOptions, environment, missing_weights, package
from infra.local.redis import LocalRedis
from infra.local.supervised import ServiceFailed, Supervised
from infra.topics import create_topics
from shared.log.api import LogError

SERVICE_GRACE_S = 2.0  # with SERVER_GRACE_S: everything is down within 5 s
SERVER_GRACE_S = 2.0
SERVER_CHECK_S = 0.25
TERMINATE_GRACE_S = 10.0  # as in compose: a worker hands its sessions over before it goes


class StackFailed(RuntimeError):
    """The stack can't be brought up; the message says which part and why. Nothing of it is left running."""


def check_weights(options: StackOptions) -> None:
    """Raises ``StackFailed`` when a service would look for its weights in vain."""
    missing = missing_weights(options)
    if missing is not None:
        raise StackFailed(f"no weights in {missing}: `make train` makes them, MODEL_DIR names another folder")


class LocalStack:
    """``async with LocalStack(StackOptions(...)) as stack:`` gives a stack that is ready.

    Instances are named ``encoder-0``, ``interaction-1``, ``interaction-standby-0``, ``capture-0``. Start it from the
    main thread's event loop: the processes die with the thread that started them.
    """

    def __init__(self, options: StackOptions | None = None, events: Events | None = None) -> None:
        self.options = options or StackOptions()
        self.kafka: LocalKafka | None = None
        self.redis: LocalRedis | None = None
        self._events = events or Silent()
        self._addresses: Addresses | None = None
        self._processes: dict[str, Supervised] = {}
        self._guards: list[asyncio.Task[None]] = []
        self._temporary: Path | None = None
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def addresses(self) -> Addresses:
        """Where everything is; raises ``RuntimeError`` before ``start``."""
        if self._addresses is None:
            raise RuntimeError("the stack is not started")
        return self._addresses

    @property
    def instances(self) -> list[str]:
        """Names of all service processes, in the order of their start."""
        return list(self._processes)

    async def start(self) -> None:
        """Bring everything up and return when all services are ready.

        Raises:
            jars.KafkaUnavailable: no broker can run on this machine.
            StackFailed: for any other reason; all that was started is stopped again.
        """
        try:
            await self._start()
        except (RuntimeError, LogError, OSError) as error:
            await self.stop()
            if isinstance(error, (jars.KafkaUnavailable, StackFailed)):
                raise
            raise StackFailed(f"{error}{self._last_lines()}") from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take everything down within 5 s: services first, then the servers. Does nothing the second time."""
        for guard in self._guards:
            guard.cancel()
        await asyncio.gather(*self._guards, return_exceptions=True)
        self._guards.clear()
        await asyncio.gather(*(process.stop(grace_s=SERVICE_GRACE_S) for process in self._processes.values()))
        servers = [server for server in (self.kafka, self.redis) if server is not None]
        await asyncio.gather(*(asyncio.to_thread(server.stop, grace_s=SERVER_GRACE_S) for server in servers))
        self.kafka = self.redis = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._temporary is not None:
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)
            self._temporary = None

    def pid(self, instance: str) -> int:
        """Process id of a service instance. Raises ``KeyError``, or ``RuntimeError`` while it is down."""
        return self._find(instance).pid

    def kill(self, instance: str, number: int) -> None:
        """Send a signal to a service instance; it is started again if it dies of it."""
        self._find(instance).kill(number)

    async def terminate(self, instance: str, *, grace_s: float = TERMINATE_GRACE_S) -> None:
        """End one service instance as a planned restart does: SIGTERM, SIGKILL after ``grace_s``. It stays down."""
        await self._find(instance).stop(grace_s=grace_s)

    async def restart(self, instance: str, *, grace_s: float = TERMINATE_GRACE_S) -> None:
        """``terminate`` and start one instance again; returns once it is ready. Raises ``ServiceFailed``."""
        await self.terminate(instance, grace_s=grace_s)
        self._find(instance).start()
        await self.wait_ready(instance)

    def restarts(self, instance: str) -> int:
        """How often a service instance was started again."""
        return self._find(instance).restarts

    async def wait_ready(self, instance: str, *, timeout_s: float = 120.0) -> None:
        """Return once this instance says that it is ready. Raises ``ServiceFailed``."""
        await self._find(instance).wait_ready(timeout_s=timeout_s)

    def metrics_url(self, instance: str) -> str:
        """Where this instance serves its Prometheus metrics."""
        return f"http://127.0.0.1:{self._find(instance).port}/metrics"

    def _find(self, instance: str) -> Supervised:
        if instance not in self._processes:
            raise KeyError(f"no instance {instance!r}; there are {', '.join(self._processes)}")
        return self._processes[instance]

    async def _start(self) -> None:
        check_weights(self.options)
        data = self._data_dir()
        redis_url = await self._start_redis(data)
        bootstrap = await self._start_kafka(data)
        options = self.options
        self._addresses = Addresses(bootstrap, redis_url, options.host, self._ports())
        await create_topics(bootstrap, partitions=options.partitions, replication_factor=options.replication_factor)
        self._events.say("stack", "topics", f"topics are there, {options.partitions} partitions each")
        # All but the door at once: they don't wait for each other. The door opens when somebody reads behind it.
        for service in options.running:
            if service != "capture":
                self._spawn(service)
        ready = {name: asyncio.create_task(self._ready(name)) for name in self._processes}
        try:
            if "capture" in options.running:
                before = options.before_door
                await asyncio.gather(*(task for name, task in ready.items() if name.partition("-")[0] in before))
                self._spawn("capture")
                await asyncio.gather(*(self._ready(name) for name in options.instances("capture")))
            await asyncio.gather(*ready.values())
        finally:
            for task in ready.values():
                task.cancel()
            await asyncio.gather(*ready.values(), return_exceptions=True)

    def _ports(self) -> tuple[int, ...]:
        count, first = self.options.captures, self.options.port
        return tuple(range(first, first + count)) if first else tuple(children.free_port() for _ in range(count))

    def _data_dir(self) -> Path:
        if self.options.data_dir is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="microturn-"))
            return self._temporary
        data = self.options.data_dir.resolve()
        data.mkdir(parents=True, exist_ok=True)
        self._lock = (data / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackFailed(f"another stack runs on {data}; stop it, or use --ephemeral") from None
        return data

    async def _start_kafka(self, data: Path) -> str:
        options = self.options
        if options.kafka_bootstrap_servers:
            self._events.say("kafka", "external", f"using {options.kafka_bootstrap_servers}")
            return options.kafka_bootstrap_servers
        await self._fetch_jars()
        started = asyncio.get_running_loop().time()
        # A cluster's size is written into its data, so each size has its own.
        kafka = LocalKafka(data / f"kafka-{options.kafka_nodes}", nodes=options.kafka_nodes, port=options.kafka_port)
        self.kafka = kafka
        await asyncio.to_thread(kafka.prepare)
        kafka.spawn()
        await asyncio.to_thread(kafka.wait_ready)
        took = asyncio.get_running_loop().time() - started
        where = kafka.bootstrap_servers
        text = f"Apache Kafka {jars.kafka_version()} ready on {where} ({took:.1f} s)"
        self._events.say("kafka", "ready", text, address=where, pids=[kafka.pid(n.number) for n in kafka.nodes])
        self._guards.append(asyncio.create_task(self._guard_kafka(kafka)))
        return where

    async def _fetch_jars(self) -> None:
        """In a process of its own, because Maven can take minutes and Ctrl-C must end it as well."""
        fetch = await asyncio.create_subprocess_exec(
            *jars.FETCH_COMMAND,
            cwd=jars.PROJECT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=children.leash(),
        )
        lines = []
        try:
            assert fetch.stdout is not None
            async for line in fetch.stdout:
                lines.append(line.decode(errors="replace").rstrip())
                self._events.log_line("kafka", lines[-1])
            status = await fetch.wait()
        finally:
            children.signal_group(fetch.pid, signal.SIGKILL)
            await fetch.wait()
        if status:
            raise jars.KafkaUnavailable("\n".join(lines) or f"fetching Apache Kafka ended with status {status}")

    async def _start_redis(self, data: Path) -> str:
        if self.options.redis_url:
            self._events.say("redis", "external", f"using {self.options.redis_url}")
            return self.options.redis_url
        redis = self.redis = LocalRedis(data / "redis", port=self.options.redis_port)
        redis.spawn()
        await asyncio.to_thread(redis.wait_ready)
        self._events.say("redis", "ready", f"ready on {redis.url}", address=redis.url, pid=redis.pid)
        self._guards.append(asyncio.create_task(self._guard_redis(redis)))
        return redis.url

    async def _guard_kafka(self, kafka: LocalKafka) -> None:
        while True:
            await asyncio.sleep(SERVER_CHECK_S)
            for number in kafka.crashed():
                self._events.say("kafka", "crashed", f"node {number} ended; starting it again on the same data")
                kafka.spawn(number)

    async def _guard_redis(self, redis: LocalRedis) -> None:
        while True:
            await asyncio.sleep(SERVER_CHECK_S)
            if redis.crashed():
                self._events.say("redis", "crashed", "ended; starting it again on the same data")
                redis.spawn()

    def _spawn(self, service: str) -> None:
        for name in self.options.instances(service):
            port = children.free_port()
            env = environment(service, name.removeprefix(f"{service}-"), port, self.addresses, self.options)
            command = [sys.executable, "-m", self.options.packages.get(service, package(service))]
            process = Supervised(name, command, env=env, cwd=jars.PROJECT, port=port, events=self._events)
            self._processes[name] = process
            process.start()

    async def _ready(self, name: str) -> None:
        started = asyncio.get_running_loop().time()
        await self._processes[name].wait_ready()
        took = asyncio.get_running_loop().time() - started
        self._events.say(name, "ready", f"ready ({took:.1f} s)", seconds=round(took, 2))

    def _last_lines(self) -> str:
        if not isinstance(self._events, Silent):
            return ""
        with contextlib.suppress(IndexError):
            return "\nlast lines:\n  " + "\n  ".join(self._events.lines[-25:])
        return ""


__all__ = ["LocalStack", "ServiceFailed", "StackFailed", "StackOptions"]
