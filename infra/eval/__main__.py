"""``python -m infra.eval SUITE|all``: play scenarios with models, score what came back, write the behaviour report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from infra.eval import report, runner, stacks
from infra.eval.agents.harness.weights import WeightsMissing
from infra.eval.clips import SpeechMissing, committed
from infra.eval.recording import Recording
from infra.eval.runner import Job, Seats
from infra.eval.scenario import Scenario
from infra.eval.scripted_llm import Script
from infra.local.jars import KafkaUnavailable
from infra.local.stack import StackFailed
from services.background.hearing import HearingMissing

DEFAULT_N = 20


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.eval", description=__doc__)
    parser.add_argument("suite", help=f"all, or some of {', '.join(runner.suite_names())}, separated by commas")
    parser.add_argument("--models", default="", help=f"separated by commas (default: {','.join(stacks.MODELS)})")
    parser.add_argument("--n", type=int, default=DEFAULT_N, help=f"scenarios a suite, 0: all (default {DEFAULT_N})")
    parser.add_argument("--sessions", type=int, default=0, help="conversations at once (default: as many as keep up)")
    parser.add_argument("--url", default="", help="a stack that runs already, instead of starting one; names one model")
    parser.add_argument("--recordings", type=Path, default=runner.RECORDINGS, help="where recordings are kept")
    parser.add_argument("--no-report", action="store_true", help="only record")
    arguments = parser.parse_args(argv)
    arguments.suites = runner.suite_names() if arguments.suite == "all" else arguments.suite.split(",")
    arguments.names = [name for name in arguments.models.split(",") if name] or list(stacks.MODELS)
    if arguments.url and len(arguments.names) != 1:
        parser.error("--url is one stack with one model: name it with --models")
    return arguments


async def record(arguments: argparse.Namespace, scenarios: list[Scenario], console: Console) -> int:
    """Play what has not been played. Returns how many conversations failed."""
    speech = committed()
    plans = {
        model: runner.jobs(scenarios, model, arguments.recordings, stacks.identity(model)) for model in arguments.names
    }
    todo = {model: [job for job in plan if not job.kept()] for model, plan in plans.items()}
    seats = {model: arguments.sessions or stacks.sessions_of(model) for model in arguments.names}
    for model, left in todo.items():
        kept = len(plans[model]) - len(left)
        minutes = runner.estimate_s(left, seats[model]) / 60
        console.print(f"{model}: {len(left)} to play, {kept} kept, {seats[model]} at once, about {minutes:.1f} min")
    total_s = sum(runner.estimate_s(left, seats[model]) for model, left in todo.items())
    console.print(f"in all about {total_s / 60:.0f} min of playing")
    failed: list[Recording] = []
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as progress:
        for model, left in todo.items():
            if not left:
                continue
            task = progress.add_task(model, total=len(left))

            def done(_job: Job, made: Recording, task: int = task) -> None:
                progress.update(task, advance=1)  # type: ignore[arg-type]
                if made.error:
                    failed.append(made)

            room = Seats(seats[model], fixed=bool(arguments.sessions))
            if arguments.url:
                await runner.play_all(arguments.url, left, speech, seats=room, done=done)
            else:
                await runner.run_model(model, left, Script(scenarios), speech, seats=room, done=done)
    for made in failed:
        console.print(f"failed: {made.model} {made.scenario}: {made.error}", style="red")
    return len(failed)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(sys.argv[1:] if argv is None else argv)
    console = Console(width=None if sys.stdout.isatty() else 100)
    try:
        scenarios = runner.choose(arguments.suites, arguments.n)
        failed = uvloop.run(record(arguments, scenarios, console))
    except (ValueError, SpeechMissing, StackFailed, KafkaUnavailable, WeightsMissing) as error:
        console.print(str(error), style="red")
        return 1
    if not arguments.no_report:
        failed += publish(arguments, console)
    return 1 if failed else 0


def publish(arguments: argparse.Namespace, console: Console) -> int:
    """Score these suites for all models that have recordings, and say where the report is. Returns 1 without one."""
    models = list(dict.fromkeys([*arguments.names, *report.recorded(arguments.recordings)]))
    try:
        path = report.write(arguments.recordings, models, arguments.suites, say=console.print)
    except HearingMissing as error:
        console.print(str(error), style="red")
        return 1
    console.print(f"written: {path}, {path.with_suffix('.md')}")
    for defect in report.defects(path):
        console.print(f"metric defect: {defect}", style="red")
    return 0


if __name__ == "__main__":
    sys.exit(main())
