"""``python -m infra.eval SUITE|all``: play scenarios with models, score what came back, write the behaviour report."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import SubprocessError

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from infra.eval import report, runner, stacks
from infra.eval.agents.harness.weights import WeightsMissing
from infra.eval.clips import Clips, SpeechMissing, committed
from infra.eval.recording import Recording
from infra.eval.runner import Job, Seats
from infra.eval.scenario import Scenario
from infra.eval.scripted_llm import Script
from infra.eval.speech import cost, script
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
    arguments.players = players(arguments.suites, arguments.names, url=arguments.url)
    if arguments.url and len(arguments.names) != 1:
        parser.error("--url is one stack with one model: name it with --models")
    return arguments


def players(suites: Sequence[str], names: Sequence[str], *, url: str = "") -> list[str]:
    """Who plays: the models that were asked for, and the reader, who speaks with nano's voice, beside nano."""
    voice = script.SUITE in suites and (stacks.READER in names or ("nano" in names and not url))
    models = [name for name in names if name != stacks.READER and set(suites) != {script.SUITE}]
    return [*models, *([stacks.READER] if voice else [])]


async def record(arguments: argparse.Namespace, scenarios: list[Scenario], console: Console) -> int:
    """Play what has not been played. Returns how many conversations failed."""
    speech = committed()
    plans = {
        model: runner.jobs(scenarios, model, arguments.recordings, stacks.identity(model))
        for model in arguments.players
    }
    todo = {model: [job for job in plan if not job.kept()] for model, plan in plans.items()}
    if todo.get(stacks.READER):
        await asyncio.to_thread(cost.keep, arguments.recordings / stacks.READER, stacks.speech_dir())
    seats = {model: arguments.sessions or stacks.sessions_of(model) for model in arguments.players}
    for model, left in todo.items():
        kept = len(plans[model]) - len(left)
        minutes = runner.estimate_s(left, seats[model]) / 60
        console.print(f"{model}: {len(left)} to play, {kept} kept, {seats[model]} at once, about {minutes:.1f} min")
    total_s = sum(runner.estimate_s(left, seats[model]) for model, left in todo.items())
    console.print(f"in all about {total_s / 60:.0f} min of playing")
    failed = 0
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as progress:
        for model, left in todo.items():
            if left:
                room = Seats(seats[model], fixed=bool(arguments.sessions))
                failed += await _record_model(model, left, arguments.url, Script(scenarios), speech, room, progress)
    return failed


async def _record_model(
    model: str, left: list[Job], url: str, script: Script, speech: Clips, room: Seats, progress: Progress
) -> int:
    """One model's conversations; that its stack does not come up is no reason to leave out the other models'."""
    task = progress.add_task(model, total=len(left))
    made: list[Recording] = []

    def done(_job: Job, one: Recording) -> None:
        made.append(one)
        progress.update(task, advance=1, description=f"{model}, {room.count} at once")

    try:
        if url:
            await runner.play_all(url, left, speech, seats=room, done=done)
        else:
            await runner.run_model(model, left, script, speech, seats=room, done=done)
    except (StackFailed, KafkaUnavailable, WeightsMissing, SubprocessError) as error:
        progress.console.print(f"{model}: {error}", style="red")
        return len(left) - len(made)
    ticks, late = sum(len(one.ticks) for one in made), sum(one.late_ticks for one in made)
    disturbed = sum(one.player_late_ms > runner.PLAYER_LATE_MS for one in made)
    busy = f"; {disturbed} disturbed: this machine has too much else to do" if disturbed else ""
    progress.console.print(f"{model}: {late} of {ticks} turns late, up to {max(o.at_once for o in made)} at once{busy}")
    errors = [one for one in made if one.error]
    for one in errors:
        progress.console.print(f"failed: {model} {one.scenario}: {one.error}", style="red")
    return len(errors)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(sys.argv[1:] if argv is None else argv)
    console = Console(width=None if sys.stdout.isatty() else 100)
    try:
        scenarios = runner.choose(arguments.suites, arguments.n)
        failed = uvloop.run(record(arguments, scenarios, console))
    except (ValueError, SpeechMissing) as error:
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
