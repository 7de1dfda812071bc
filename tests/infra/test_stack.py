"""The stack as a user runs it: comes up, mends itself, is gone 5 s after Ctrl-C, also when it is killed itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.local.__main__ import options_from, parse
from infra.local.jars import PROJECT
from infra.local.plan import Addresses, StackOptions, environment
from tests.conftest import StartStack
from tests.infra.test_children import eventually, group_members

pytestmark = pytest.mark.kafka
LONGEST_STOP_S = 5.0  # what is promised of Ctrl-C


class Running:
    """``python -m infra.local up --json`` and what it said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    def wait_for(self, event: str, source: str | None = None) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event and source in (None, self.events[-1]["source"]):
                return self.events[-1]
        raise AssertionError(f"ended without {event!r}; said {self.events}")

    def pids(self) -> list[int]:
        """Every process that was ever reported: servers and services."""
        found = [event["pid"] for event in self.events if "pid" in event]
        return found + [pid for event in self.events for pid in event.get("pids", ()) if isinstance(pid, int)]


@contextmanager
def run_stack(tmp_path: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """Starts the supervisor as a user would; SIGKILL at the end if a test left it running."""
    command = [sys.executable, "-m", "infra.local", "up", "--json", "--port", "0", *arguments]
    if "--ephemeral" not in arguments:
        command += ["--data", str(tmp_path / "data")]
    external = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
    inherited = {name: value for name, value in os.environ.items() if name not in external}
    with (
        (tmp_path / "logs").open("w") as logs,
        subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=logs, text=True, env={**inherited, **variables}
        ) as process,
    ):
        try:
            yield Running(process)
        finally:
            process.kill()


def all_gone(pids: list[int]) -> bool:
    return not any(group_members(pid) for pid in pids)


def test_ctrl_c_ends_everything_and_the_data_stays(tmp_path: Path) -> None:
    for _ in range(2):  # the second time on the data of the first
        with run_stack(tmp_path, "--services", "capture") as stack:
            up = stack.wait_for("up")
            assert httpx.get(up["page"] + "health/ready", timeout=10).status_code == 200
            assert len(stack.pids()) == 3  # Kafka, Redis, capture
            stack.process.send_signal(signal.SIGINT)
            assert stack.process.wait(LONGEST_STOP_S) == 0
            assert all_gone(stack.pids())
    assert (tmp_path / "data" / "kafka-1" / "node-1" / "data" / "capture.frames-0").is_dir()


def test_a_killed_service_and_a_killed_broker_come_back(tmp_path: Path) -> None:
    with run_stack(tmp_path, "--ephemeral", "--services", "capture") as stack:
        up = stack.wait_for("up")
        os.kill(up["pids"]["capture-0"], signal.SIGKILL)
        assert stack.wait_for("crashed", "capture-0")["status"] == -signal.SIGKILL
        assert stack.wait_for("started", "capture-0")["pid"] != up["pids"]["capture-0"]
        kafka = next(event for event in stack.events if event["source"] == "kafka" and event["event"] == "ready")
        os.kill(kafka["pids"][0], signal.SIGKILL)
        stack.wait_for("crashed", "kafka")
        stack.process.send_signal(signal.SIGTERM)
        assert stack.process.wait(LONGEST_STOP_S) == 0
        assert all_gone(stack.pids())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with run_stack(tmp_path, "--services", "capture") as stack:
        stack.wait_for("up")
        pids = stack.pids()
        assert len(pids) == 3
        stack.process.kill()
        stack.process.wait()
        assert eventually(lambda: all_gone(pids))


def test_a_second_stack_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with run_stack(tmp_path, "--services", "capture") as first:
        first.wait_for("ready", "redis")
        with run_stack(tmp_path, "--services", "capture") as second:
            assert "another stack runs on" in second.wait_for("failed")["text"]
            assert second.process.wait(LONGEST_STOP_S) == 1
        first.process.send_signal(signal.SIGINT)  # in the middle of its start
        assert first.process.wait(LONGEST_STOP_S) == 0
        assert all_gone(first.pids())


def test_wrong_settings_end_the_stack_with_their_name(tmp_path: Path, kafka_bootstrap: str) -> None:
    wrong = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "CAPTURE_MAX_SESSIONS": "none"}
    with run_stack(tmp_path, "--ephemeral", "--services", "capture", **wrong) as stack:
        assert "capture-0 can't start" in stack.wait_for("failed", "stack")["text"]
        assert stack.process.wait(LONGEST_STOP_S) == 1
        assert all_gone(stack.pids())
    assert "CAPTURE_MAX_SESSIONS" in (tmp_path / "logs").read_text()


def test_missing_weights_are_named_before_anything_starts(tmp_path: Path) -> None:
    with run_stack(tmp_path, "--ephemeral", MODEL_DIR=str(tmp_path)) as stack:
        assert f"no weights in {tmp_path}" in stack.wait_for("failed", "stack")["text"]
        assert stack.process.wait(LONGEST_STOP_S) == 1
        assert stack.pids() == []


def test_without_java_all_runs_in_one_process_and_says_so(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    with run_stack(tmp_path, "--services", "capture", PATH=str(bare), JAVA_HOME="", KAFKA_HOME="") as stack:
        assert "no java" in stack.wait_for("in_memory")["text"]
        up = stack.wait_for("up")
        assert httpx.get(up["page"] + "health/ready", timeout=10).status_code == 200
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(LONGEST_STOP_S) == 0
        assert all_gone(stack.pids())


async def test_a_stack_of_python_tells_where_everything_is(
    local_stack: StartStack, kafka_bootstrap: str, redis_url: str
) -> None:
    stack = await local_stack(
        services=("capture",), kafka_bootstrap_servers=kafka_bootstrap, redis_url=redis_url
    )
    assert stack.instances == ["capture-0"]
    async with httpx.AsyncClient() as client:
        metrics = await client.get(stack.metrics_url("capture-0"))
    assert "microturn_sessions_open" in metrics.text
    assert psutil.Process(stack.pid("capture-0")).ppid() == os.getpid()
    with pytest.raises(KeyError, match="there are capture-0"):
        stack.pid("capture-1")


def test_the_command_line_becomes_options() -> None:
    line = "up --encoder 2 --interaction 3 --standby 1 --kafka-nodes 3 --model echo --ephemeral"
    arguments = parse(line.split())
    options = options_from(arguments, {"REDIS_URL": "redis://elsewhere/0"})
    names = ["interaction-0", "interaction-1", "interaction-2", "interaction-standby-0"]
    assert options.instances("interaction") == names
    assert (options.encoders, options.kafka_nodes, options.model, options.data_dir) == (2, 3, "echo", None)
    assert options.replication_factor == 3
    assert (options.kafka_bootstrap_servers, options.redis_url) == (None, "redis://elsewhere/0")


def test_captures_listen_in_a_row_and_hand_their_sessions_over() -> None:
    options = options_from(parse("up --captures 2 --port 9000".split()), {})
    assert options.instances("capture") == ["capture-0", "capture-1"]
    addresses = Addresses("k", "r", "127.0.0.1", (9000, 9001))
    assert addresses.streams == ("ws://127.0.0.1:9000/v1/stream", "ws://127.0.0.1:9001/v1/stream")
    second = environment("capture", "1", 9100, addresses, options)
    assert (second["CAPTURE_PORT"], second["INSTANCE_ID"], second["CAPTURE_STOP"]) == ("9001", "1", "hand_over")
    assert environment("capture", "0", 9100, addresses, StackOptions())["CAPTURE_STOP"] == "end"


@pytest.mark.parametrize("wrong", ["up --encoder 0", "up --kafka-nodes 2", "up --services x", "up --port", "down", ""])
def test_a_wrong_command_line_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(wrong.split())
    assert refused.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_options_name_services_that_exist() -> None:
    with pytest.raises(ValueError, match="no such service: player"):
        StackOptions(services=("capture", "player"))
