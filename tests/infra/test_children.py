"""Children on a leash: nothing of them survives a stop, or the death of who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.local import children
from infra.local.jars import PROJECT

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
open(sys.argv[1], "w").write("ready")
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
from infra.local import children
child = children.spawn([sys.executable, "-c", "import time; time.sleep(600)"], log=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(600)
"""


def eventually(check: Callable[[], bool], *, timeout_s: float = 15.0) -> bool:
    """Whether ``check`` holds within the time."""
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def group_members(group: int) -> list[psutil.Process]:
    """Living processes of a process group; zombies have ended and only wait to be reaped."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def test_stop_ends_a_child_that_ignores_sigterm_and_what_it_started(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    child = children.spawn([sys.executable, "-c", STUBBORN, str(flag)], log=subprocess.DEVNULL)
    assert eventually(flag.exists)
    assert len(group_members(child.pid)) == 2
    assert children.stop(child, grace_s=0.2) == -signal.SIGKILL
    assert eventually(lambda: not group_members(child.pid))


def test_stop_lets_a_child_end_by_itself(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "open(sys.argv[1], 'w').write('ready'); time.sleep(600)"
    )
    flag = tmp_path / "ready"
    child = children.spawn([sys.executable, "-c", code, str(flag)], log=subprocess.DEVNULL)
    assert eventually(flag.exists)
    assert children.stop(child, grace_s=10) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
        parent.wait()
        assert eventually(lambda: not group_members(child))


def test_waiting_for_a_child_that_ends_tells_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        child = children.spawn([sys.executable, "-c", "print('no disk'); raise SystemExit(3)"], log=output)
    with pytest.raises(RuntimeError, match=r"the thing ended with status 3.*\n.*no disk"):
        children.wait_until(lambda: False, process=child, what="the thing", log_path=log, timeout_s=30)
