"""One service process under supervision: its output is passed on, its readiness known, its crash mended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local import children
from infra.local.events import Events

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 10.0
STABLE_AFTER_S = 30.0  # a process that lived so long starts over with the first backoff
CRASHES_BEFORE_READY = 5  # then it is no crash but a service that can't start
WRONG_SETTINGS = 2  # exit status by which a service refuses its settings; trying again would change nothing


class ServiceFailed(RuntimeError):
    """A service can't be brought up; the message names it and its exit status."""


class Supervised:
    """A process that is started again, after a growing pause, whenever it ends without having been told to."""

    def __init__(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, port: int, events: Events
    ) -> None:
        """``port`` is where the process serves ``/health/ready``, on the loopback interface."""
        self.name = name
        self.port = port
        self.restarts = 0
        self.failed: ServiceFailed | None = None
        self._command = list(command)
        self._env = env
        self._cwd = cwd
        self._events = events
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Raises ``RuntimeError`` while the process is down."""
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Begin to supervise, for the first time or again after ``stop``; returns at once."""
        self._stopping = False
        self._task = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")

    def kill(self, number: int) -> None:
        """Signal the process group, as a test of what happens then; it is started again when it dies of it."""
        children.signal_group(self.pid, number)

    async def wait_ready(self, *, timeout_s: float = 120.0) -> None:
        """Return once ``/health/ready`` of the process that runs now says so.

        Raises:
            ServiceFailed: it can't start, or wasn't ready in time.
        """
        reason = "no answer"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if self.failed is not None:
                        raise self.failed
                    ready, reason = await probe(self.port)
                    if ready:
                        self._was_ready = True
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise ServiceFailed(f"{self.name} was not ready within {timeout_s:.0f} s: {reason}") from None

    async def stop(self, *, grace_s: float) -> None:
        """SIGTERM, SIGKILL after ``grace_s``; returns when nothing of it is left."""
        if self._task is None:
            return
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            children.signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _supervise(self) -> None:
        backoff_s, crashes = FIRST_BACKOFF_S, 0
        while True:
            born = asyncio.get_running_loop().time()
            status = await self._run_once()
            if self._stopping:
                return
            age_s = asyncio.get_running_loop().time() - born
            if age_s > STABLE_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            crashes += 1
            if status == WRONG_SETTINGS or (not self._was_ready and crashes >= CRASHES_BEFORE_READY):
                self.failed = ServiceFailed(f"{self.name} can't start: it ended with status {status}")
                self._events.say(self.name, "failed", str(self.failed), status=status)
                return
            self._events.say(
                self.name, "crashed", f"ended with {_describe(status)}; again in {backoff_s:g} s", status=status
            )
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
            self.restarts += 1

    async def _run_once(self) -> int:
        # Our own pipe: asyncio's would have wait() return only when what the process left behind has closed it, too.
        read_end, write_end = os.pipe()
        output = asyncio.StreamReader(limit=2**20)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb")
        )
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self._env),
                cwd=self._cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=children.leash(),
            )
        except BaseException:
            transport.close()
            raise
        finally:
            os.close(write_end)
        self._events.say(self.name, "started", f"started, pid {process.pid}", pid=process.pid, port=self.port)
        lines = asyncio.create_task(self._pass_on(output))
        try:
            return await process.wait()
        finally:
            children.signal_group(process.pid, signal.SIGKILL)  # itself if we were cancelled, and what it left behind
            await process.wait()
            await lines
            transport.close()

    async def _pass_on(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:  # a line longer than the limit; its rest follows
                continue
            if not line:
                return
            self._events.log_line(self.name, line.decode(errors="replace").rstrip("\n"))


async def probe(port: int) -> tuple[bool, str]:
    """Whether the service with this metrics port is ready, and its own words for why not."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False, "no answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    return b" 200 " in head.partition(b"\r\n")[0] + b" ", body.decode(errors="replace").strip()


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"
