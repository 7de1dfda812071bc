"""``make chaos``: break the running pipeline in every way we know, and count what the clients notice."""

from __future__ import annotations

import argparse
import asyncio
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.bench.report import REPORTS, write
from infra.chaos.faults import WITH_STANDBY, Fault, FullDisk, NotHere, catalogue
from infra.chaos.report import render
from infra.chaos.row import Setting, Unwell, broken, measure
from infra.chaos.screen import Screen, StackLog
from infra.local.stack import LocalStack, StackFailed, StackOptions

FULL_DISK = "full-disk"
DISK_MB = 2048
COMMAND = "make chaos"
LOG = REPORTS / "chaos.log"
CORES_FOR_THREE = 4
FEWER = 10  # sessions beside three brokers on a machine that has fewer cores than that
WITH_NANO = ("control", "kill-interaction")
WITH_CLUSTER = ("control", "kill-interaction")
PROCESSES = (
    "Every record is on all brokers, acks=all. 2 capture, 1 encoder, 2 interaction, 1 background and 1 monitor "
    "process; with standby one spare of encoder and of interaction. `echo` is no model: it answers with the user's own "
    "audio, so that its rows show the plumbing."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do on one stack."""

    nodes: int
    standby: bool
    faults: tuple[str, ...]
    sessions: int
    model: str


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage on a wrong one."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--faults", type=_faults, default=(), metavar="A,B", help="only these (default: all)")
    parser.add_argument("--sessions", type=int, default=30, help="clients at the same time (30)")
    parser.add_argument("--cluster-sessions", type=int, help="the same beside three brokers on a small machine")
    parser.add_argument("--nano-sessions", type=int, default=6, help="clients of the rows with the nano model; 0: none")
    parser.add_argument("--model", choices=("echo", "nano"), default="echo", help="what answers in the other rows")
    parser.add_argument(
        "--kafka-nodes",
        type=int,
        choices=(1, 3),
        default=3 if (psutil.cpu_count() or 1) >= CORES_FOR_THREE else 1,
        help=f"brokers; faults of brokers get three in any case (default: 3 with {CORES_FOR_THREE} cores, else 1)",
    )
    parser.add_argument("--standby", choices=("both", "yes", "no"), default="both", help="with warm spares, without")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    return parser.parse_args(arguments)


def _faults(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = set(names) - {*catalogue(), FULL_DISK}
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(unknown))}; see --list")
    return names


def plans(arguments: argparse.Namespace) -> list[Plan]:
    """One stack after the other: without standbys, with them, with the real model, with three brokers."""
    nodes, sessions, model = arguments.kafka_nodes, arguments.sessions, arguments.model
    chosen = arguments.faults or (*catalogue(), FULL_DISK)
    of_brokers = {"kill-broker", FULL_DISK}
    plain = tuple(name for name in chosen if name not in of_brokers)
    again = tuple(name for name in plain if name in WITH_STANDBY)
    nano = tuple(name for name in again if name in WITH_NANO) if arguments.nano_sessions and model != "nano" else ()
    cluster = tuple(name for name in chosen if name in (of_brokers if nodes == 3 else {*of_brokers, *WITH_CLUSTER}))
    found = []
    if arguments.standby != "yes":
        found.append(Plan(nodes, False, plain, sessions, model))
        if of_brokers & set(cluster):
            fewer = sessions if nodes == 3 else min(sessions, arguments.cluster_sessions or FEWER)
            found.append(Plan(3, False, cluster, fewer, model))
    if arguments.standby != "no":
        found.append(Plan(nodes, True, again, sessions, model))
        found.append(Plan(nodes, True, nano, arguments.nano_sessions, "nano"))
    return [plan for plan in found if plan.faults]


async def carry_out(plan: Plan, screen: Screen) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The rows of one stack, and what was left out."""
    with ExitStack() as cleanup:
        data = None
        faults: dict[str, Fault] = dict(catalogue())
        left_out = []
        if FULL_DISK in plan.faults:
            try:
                data, disk = _small_disk(cleanup, plan.nodes)
                faults[FULL_DISK] = FullDisk(disk)
            except NotHere as reason:
                left_out.append({"fault": FULL_DISK, "reason": str(reason)})
        broker = f"{plan.nodes} node{'s' if plan.nodes > 1 else ''}"
        setting = Setting(broker, plan.standby, plan.sessions, plan.model)
        options = StackOptions(
            model="nano" if plan.model == "nano" else "echo",
            captures=2,
            interactions=2,
            standbys=int(plan.standby),
            kafka_nodes=plan.nodes,
            data_dir=data,
            log_level="warning",
        )
        screen.stack(f"{setting.broker}, {plan.sessions} sessions, {plan.model}, standby {plan.standby}")
        async with LocalStack(options, screen.log) as stack:
            chosen = [faults[name] for name in plan.faults if name in faults]
            rows, skipped = await _rows(stack, chosen, setting, screen)
            return rows, left_out + skipped


async def _rows(
    stack: LocalStack, faults: list[Fault], setting: Setting, screen: Screen
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for fault in faults:
        try:
            with screen.row(fault.name, setting.standby) as say:
                rows.append(await measure(stack, fault, setting, say))
        except (NotHere, Unwell) as reason:
            skipped.append({"fault": fault.name, "standby": str(setting.standby), "reason": str(reason)})
            screen.skipped(fault.name, str(reason))
        else:
            screen.done(rows[-1], broken(rows[-1]))
    return rows, skipped


def _small_disk(cleanup: ExitStack, nodes: int) -> tuple[Path, Path]:
    """A data directory whose third broker has a disk of its own. Raises ``NotHere``."""
    data = Path(tempfile.mkdtemp(prefix="microturn-chaos-"))
    cleanup.callback(shutil.rmtree, data, ignore_errors=True)
    disk = data / f"kafka-{nodes}" / "node-3"
    disk.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError as error:
        raise NotHere(f"a small disk can't be mounted: {error}") from None
    if done.returncode:
        raise NotHere(f"a small disk can't be mounted: {done.stderr.strip()}")
    cleanup.callback(subprocess.run, ["umount", str(disk)], check=False, timeout=10)
    return data, disk


async def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """All rows; the report."""
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for plan in plans(arguments):
        measured, left_out = await carry_out(plan, screen)
        rows += measured
        skipped += left_out
    said = " ".join(sys.argv[1:])
    what: dict[str, Callable[[], str] | str] = {name: fault.what for name, fault in catalogue().items()}
    what[FULL_DISK] = FullDisk(Path()).what
    return {
        "suite": "chaos",
        "command": COMMAND + (f" ARGS='{said}'" if said else ""),
        "processes": PROCESSES,
        "machine": {"cores": psutil.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "rows": rows,
        "skipped": skipped,
        "faults": {name: what[name] for name in {row["fault"]: None for row in rows}},
    }


def main() -> int:
    arguments = parse(sys.argv[1:])
    if arguments.list:
        for fault in catalogue().values():
            print(f"{fault.name:<20} {fault.what}")
        print(f"{FULL_DISK:<20} {FullDisk(Path()).what}")
        return 0
    try:
        report = asyncio.run(run(arguments, Screen(StackLog(LOG))))
    except StackFailed as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    write("chaos", report, render(report))
    wrong = [row for row in report["rows"] if broken(row)]
    if wrong:
        print(f"{len(wrong)} of {len(report['rows'])} rows lost, doubled or disordered something", file=sys.stderr)
    return 1 if wrong or not report["rows"] else 0


if __name__ == "__main__":
    sys.exit(main())
