"""Child processes on a leash: each in its own process group, dead when we are, stopped within a bounded time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # loaded before any fork

Popen = subprocess.Popen[bytes]


def leash() -> Callable[[], None]:
    """A ``preexec_fn`` that has the kernel kill the child when the thread that started it ends (on Linux)."""
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above took effect
            os._exit(1)

    return between_fork_and_exec


def spawn(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, log: IO[bytes] | int
) -> Popen:
    """Start a process in a new session; its output goes to ``log`` (a file, or ``subprocess.PIPE``).

    On Linux the kernel kills it when the *thread* that called this ends, so call it from one that lives as long
    as the child should: the main thread, never a pool's.
    """
    return subprocess.Popen(
        list(command),
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=leash(),
    )


def signal_group(pid: int, number: int) -> None:
    """Signal the child with this pid and everything it started; nothing happens when all are gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def stop(process: Popen, *, grace_s: float) -> int:
    """SIGTERM to the group, SIGKILL after ``grace_s``; returns the exit status once the child is reaped."""
    if process.poll() is None:
        signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
    signal_group(process.pid, signal.SIGKILL)  # what it left behind in its group
    return process.wait()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(check: Callable[[], bool], *, process: Popen, what: str, log_path: Path, timeout_s: float) -> None:
    """Poll ``check`` until it holds.

    Raises:
        RuntimeError: the process ended first, or the time is up; the message ends with its last log lines.
    """
    deadline = time.monotonic() + timeout_s
    while not check():
        status = process.poll()
        if status is not None or time.monotonic() > deadline:
            how = f"ended with status {status}" if status is not None else f"was not ready within {timeout_s:.0f} s"
            raise RuntimeError(f"{what} {how}; {log_path} ends with:\n{_tail(log_path)}")
        time.sleep(0.05)


def _tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"(unreadable: {error})"
