"""One process under supervision: known when ready, started again after a crash, given up when it can't start."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.local import supervised
from infra.local.children import free_port
from infra.local.events import Silent
from infra.local.supervised import ServiceFailed, Supervised
from tests.infra.test_children import eventually, group_members

SERVER = """
import http.server, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/health/ready" and os.path.exists(sys.argv[2])
        self.send_response(200 if ready else 503); self.end_headers()
        self.wfile.write(b"ready" if ready else b"not ready: loading")
    def log_message(self, *_): pass
print("x" * 3_000_000); print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if check():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def supervise(code: str, *arguments: str, port: int = 1) -> AsyncIterator[tuple[Supervised, Silent]]:
    events = Silent()
    command = [sys.executable, "-c", code, *arguments]
    process = Supervised("thing-0", command, env={}, cwd=Path.cwd(), port=port, events=events)
    process.start()
    try:
        yield process, events
    finally:
        await process.stop(grace_s=1)


async def test_a_process_is_ready_when_it_says_so_and_not_before(tmp_path: Path) -> None:
    port, flag = free_port(), tmp_path / "ready"
    async with supervise(SERVER, str(port), str(flag), port=port) as (process, events):
        with pytest.raises(ServiceFailed, match="not ready: loading"):
            await process.wait_ready(timeout_s=3)
        flag.touch()
        await process.wait_ready(timeout_s=30)
        assert "thing-0 | listening" in events.lines  # also after a line of 3 MB


async def test_a_killed_process_comes_back(tmp_path: Path) -> None:
    port, flag = free_port(), tmp_path / "ready"
    flag.touch()
    async with supervise(SERVER, str(port), str(flag), port=port) as (process, events):
        await process.wait_ready(timeout_s=30)
        first = process.pid
        process.kill(signal.SIGKILL)
        await until(lambda: process.restarts == 1)
        await process.wait_ready(timeout_s=30)
        second = process.pid
        assert second != first
        assert any("SIGKILL" in line for line in events.lines)
    assert eventually(lambda: not group_members(first) and not group_members(second))
    with pytest.raises(RuntimeError, match="thing-0 is not running"):
        assert process.pid


async def test_a_stopped_process_stays_down_until_it_is_started_again(tmp_path: Path) -> None:
    port, flag = free_port(), tmp_path / "ready"
    flag.touch()
    async with supervise(SERVER, str(port), str(flag), port=port) as (process, _events):
        await process.wait_ready(timeout_s=30)
        first = process.pid
        await process.stop(grace_s=5)
        with pytest.raises(RuntimeError, match="thing-0 is not running"):
            assert process.pid
        process.start()
        await process.wait_ready(timeout_s=30)
        assert (process.pid != first, process.restarts) == (True, 0)


async def test_wrong_settings_are_final() -> None:
    async with supervise("print('setting MODEL: no such thing'); raise SystemExit(2)") as (process, events):
        with pytest.raises(ServiceFailed, match=r"thing-0 can't start.*status 2"):
            await process.wait_ready(timeout_s=30)
        assert process.restarts == 0
        assert "thing-0 | setting MODEL: no such thing" in events.lines


async def test_a_process_that_never_gets_ready_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "FIRST_BACKOFF_S", 0.01)
    async with supervise("raise SystemExit(1)") as (process, _events):
        with pytest.raises(ServiceFailed, match=r"can't start.*status 1"):
            await process.wait_ready(timeout_s=60)
        assert process.restarts == supervised.CRASHES_BEFORE_READY - 1


async def test_what_a_crashed_process_left_behind_does_not_hold_up_its_successor(tmp_path: Path) -> None:
    # The grandchild keeps the output pipe open, as a forgotten worker process would.
    code = (
        "import os, sys, time\n"
        "if os.fork() == 0: time.sleep(600)\n"
        "print('born', flush=True); raise SystemExit(1)"
    )
    async with supervise(code) as (process, events):
        await until(lambda: process.restarts == 2)
    assert events.lines.count("thing-0 | born") >= 2
