"""``python -m infra.demo``: plays a recording through the pipeline in real time and shows what came of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from infra.client import Disconnected, Refusal, StreamClient
from infra.demo import recording, summary, timeline
from infra.demo.conversation import Conversation, play
from infra.demo.screen import Screen, show_summary
from infra.demo.stack import running_stack
from infra.local.jars import PROJECT
from infra.local.stack import StackFailed
from schemas.records import SessionConfig
from shared.clock import SystemClock

DEMO_WAV = PROJECT / "tests" / "fixtures" / "demo.wav"
OUT = PROJECT / "build" / "demo"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage on a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    parser.add_argument("--wav", type=Path, default=DEMO_WAV, help="what to play: any rate, mono or stereo")
    parser.add_argument("--url", default="", help="a stack that runs already, e.g. http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where the results go")
    parser.add_argument("--model", choices=("nano", "echo"), default="nano", help="what answers; echo is no model")
    parser.add_argument("--in-memory", action="store_true", help="one process and no Kafka")
    parser.add_argument("--seed", type=int, default=1, help="of the session's sampling")
    parser.add_argument("--tail", type=float, default=25.0, metavar="S", help="longest wait for the last answer")
    return parser.parse_args(arguments)


@asynccontextmanager
async def stack_for(arguments: argparse.Namespace, console: Console) -> AsyncIterator[str]:
    """The address to stream to."""
    if arguments.url:
        yield arguments.url
        return

    def tell(text: str) -> None:
        console.print(f"  {text}", style="grey50", highlight=False, soft_wrap=True, markup=False)

    console.print("starting the stack", style="bold")
    async with running_stack(arguments.model, tell, in_memory=arguments.in_memory) as address:
        yield address


async def run(arguments: argparse.Namespace, console: Console) -> int:
    """Play, draw, report. Exit status 0 only when every tick has exactly one turn."""
    played = recording.load(arguments.wav)
    conversation = Conversation()
    screen = Screen(console, played.seconds)
    failure = ""
    async with stack_for(arguments, console) as address:
        console.print(f"playing {played.path.name}, {played.seconds:.1f} s, in real time", style="bold")
        config = SessionConfig(seed=arguments.seed)
        token = os.environ.get("CAPTURE_TOKEN", "")
        try:
            async with StreamClient(address, rate_hz=played.rate_hz, config=config, token=token) as session:
                with screen.running():
                    await play(
                        session,
                        played,
                        conversation,
                        SystemClock(),
                        lambda message: screen.take(message, conversation),
                        tail_s=arguments.tail,
                    )
        except (Refusal, Disconnected, OSError) as error:
            failure = f"the session broke off: {error}"
    if failure and not conversation.heard:
        console.print(failure, style="bold red", markup=False)
        return 1
    return report(played, conversation, arguments.out, console, failure)


def report(played: recording.Recording, conversation: Conversation, out: Path, console: Console, failure: str) -> int:
    """Write the files, show the figures; the exit status."""
    figures = summary.summarise(conversation)
    written = summary.write(figures, conversation, out)
    timeline.draw(conversation, played, figures, out / "timeline.png")
    console.print()
    show_summary(console, figures)
    if failure:
        console.print(failure, style="bold red", markup=False)
    for path in [*written, out / "timeline.png"]:
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        console.print(f"  {shown}", highlight=False, soft_wrap=True, markup=False)
    return 0 if figures.complete and not failure else 1


def main() -> int:
    """Run; 130 when interrupted."""
    arguments = parse(sys.argv[1:])
    console = Console()
    try:
        return asyncio.run(run(arguments, console))
    except (recording.Unreadable, StackFailed) as error:
        console.print(str(error), style="bold red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
