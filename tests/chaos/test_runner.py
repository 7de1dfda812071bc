"""The runner: what it plans, when it says that something is wrong, and one real fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.chaos.__main__ import FULL_DISK, WITH_NANO, Plan, parse, plans
from infra.chaos.faults import WITH_STANDBY, FullDisk, catalogue
from infra.chaos.report import render
from infra.chaos.row import broken
from infra.local.jars import PROJECT

ISSUE_KEYS = {
    "fault",
    "broker",
    "standby",
    "sessions",
    "ticks_lost",
    "ticks_doubled",
    "order_violations",
    "gap_ms_p50",
    "gap_ms_max",
    "recovered_s",
}


def row(**changes: Any) -> dict[str, Any]:
    good = {
        "fault": "kill-encoder",
        "broker": "3 nodes",
        "standby": False,
        "sessions": 2,
        "model": "echo",
        "ticks": 100,
        "ticks_lost": 0,
        "ticks_doubled": 0,
        "order_violations": 0,
        "gap_ms_p50": 300.0,
        "gap_ms_max": 900.0,
        "recovered_s": 1.25,
        "latency_ms_p50": 40.0,
        "latency_ms_p99": 90.0,
        "resumes": 0,
        "errors": [],
        "restarts": {"encoder-0": 1},
        "log": {"missing": 0, "disordered": 0, "unended": 0, "other": 0, "repeated": 3, "fenced": 0, "dead": 0},
    }
    return good | changes


def test_a_good_row_is_not_broken_and_every_flaw_is_named() -> None:
    assert broken(row()) == []
    assert broken(row(recovered_s=None)) == ["no steady state again"]
    for key in ("ticks_lost", "ticks_doubled", "order_violations"):
        assert len(broken(row(**{key: 2}))) == 1
    for key in ("missing", "disordered", "unended", "other"):
        assert len(broken(row(log=row()["log"] | {key: 1}))) == 1
    assert broken(row(errors=["Refusal: unknown_session"])) == ["1 clients with an error"]


def test_everything_is_done_without_a_standby_and_what_it_changes_again_with_one() -> None:
    first, brokers, second, nano = plans(parse(["--kafka-nodes", "3"]))
    assert first == Plan(3, False, tuple(name for name in catalogue() if name != "kill-broker"), 30, "echo")
    assert brokers == Plan(3, False, ("kill-broker", FULL_DISK), 30, "echo")
    assert second == Plan(3, True, WITH_STANDBY, 30, "echo")
    assert nano == Plan(3, True, WITH_NANO, 6, "nano")


def test_on_a_small_machine_only_what_needs_three_brokers_gets_them_and_fewer_clients() -> None:
    first, brokers, second, nano = plans(parse(["--kafka-nodes", "1", "--cluster-sessions", "8"]))
    assert {first.nodes, second.nodes, nano.nodes} == {1}
    assert brokers == Plan(3, False, ("control", "kill-interaction", "kill-broker", FULL_DISK), 8, "echo")


def test_a_quick_look_is_one_stack() -> None:
    arguments = parse("--faults kill-interaction --sessions 10 --standby no --kafka-nodes 1".split())
    assert plans(arguments) == [Plan(1, False, ("kill-interaction",), 10, "echo")]
    (only,) = plans(parse("--faults flush-redis --sessions 3".split()))
    assert (only.faults, only.sessions, only.standby) == (("flush-redis",), 3, False)


def test_an_unknown_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--faults", "earthquake"])
    assert "no such fault: earthquake" in capsys.readouterr().err


def test_faults_have_names_of_their_own_and_say_what_they_do() -> None:
    faults = [*catalogue().values(), FullDisk(Path())]
    assert len({fault.name for fault in faults}) == len(faults)
    assert all(len(fault.what) > 10 for fault in faults)
    assert set(WITH_STANDBY) <= set(catalogue())


def test_the_report_has_a_line_for_every_row_and_for_what_was_left_out() -> None:
    text = render(
        {
            "command": "make chaos",
            "processes": "",
            "machine": {"cores": 2},
            "rows": [row(), row(fault="full-disk", ticks_lost=4, recovered_s=None)],
            "skipped": [{"fault": "kill-broker", "reason": "Kafka is not ours"}],
            "faults": {"kill-encoder": "kill -9"},
        }
    )
    assert "| kill-encoder | 3 nodes | no | echo | 2 | 100 | 0 | 0 | 0 | 300 | 900 | 1.2 | 0 | 40 / 90 |" in text
    assert "| full-disk | no | 3 | 0 | 0 | encoder-0 1 | 4 ticks lost; no steady state again |" in text
    assert "**kill-broker**: Kafka is not ours" in text


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.kafka
def test_a_real_fault_ends_in_a_report_without_losses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.chaos", "--faults", "kill-interaction,kill-capture", "--sessions", "4"]
    command += ["--kafka-nodes", "1", "--standby", "no"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "build" / "reports" / "chaos.json").read_text())
    assert [one["fault"] for one in report["rows"]] == ["kill-interaction", "kill-capture"]
    for one in report["rows"]:
        assert one.keys() >= ISSUE_KEYS
        assert one["ticks"] > 4 * 20
        assert (one["ticks_lost"], one["ticks_doubled"], one["order_violations"]) == (0, 0, 0)
        assert one["restarts"]
