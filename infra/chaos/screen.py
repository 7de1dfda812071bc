"""What the runner shows while it works: a live line on a terminal, a line for every row elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from infra.chaos.row import Say


class StackLog:
    """What the stack's processes and their supervisor say, with the time, in a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", buffering=1)

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        self._file.write(f"{time.strftime('%H:%M:%S')} {source:<24} | {event}: {text}\n")

    def log_line(self, source: str, line: str) -> None:
        self._file.write(f"{time.strftime('%H:%M:%S')} {source:<24} | {line}\n")


class Screen:
    """Prints to stdout; ``log`` also gets what is measured when, between the lines of the stack."""

    def __init__(self, log: StackLog, console: Console | None = None) -> None:
        self.log = log
        self._console = console or Console(width=160)

    def stack(self, what: str) -> None:
        """A new stack is started."""
        self._console.print(Text(f"stack: {what} …", style="bold"))

    @contextmanager
    def row(self, fault: str, standby: bool) -> Iterator[Say]:
        """Show progress of one row within the block."""
        began = time.monotonic()
        self.log.say("chaos", "row", f"{fault}, standby {standby}")
        label = f"{fault}{' with standby' if standby else ''}"
        if not self._console.is_terminal:
            yield self._note
            return
        with self._console.status(label) as line:

            def say(phase: str, status: dict[str, Any]) -> None:
                self._note(phase, status)
                line.update(
                    f"{label:<34} {time.monotonic() - began:5.0f} s  {phase:<11} {status['turns']:6} turns, "
                    f"worst of 2 s {status['worst_ms']:.0f} ms, longest silence {status['silent_s']:.1f} s"
                )

            yield say

    def _note(self, phase: str, status: dict[str, Any]) -> None:
        if not status["well"]:
            self.log.say("chaos", phase, str(status))

    def skipped(self, fault: str, reason: str) -> None:
        """A row can't be measured."""
        self._console.print(Text(f"{fault:<20} left out: {reason}", style="yellow"))

    def done(self, row: dict[str, Any], wrong: list[str]) -> None:
        """A row is measured."""
        recovered = "never" if row["recovered_s"] is None else f"{row['recovered_s']:.1f} s"
        text = (
            f"{row['fault']:<20} {'standby' if row['standby'] else '':<8} lost {row['ticks_lost']}, doubled "
            f"{row['ticks_doubled']}, disorder {row['order_violations']}, gap p50 {row['gap_ms_p50']:.0f} ms, max "
            f"{row['gap_ms_max']:.0f} ms, recovered after {recovered}"
        )
        self._console.print(Text(text, style="red" if wrong else "green"))
        for problem in (*wrong, *row["errors"]):
            self._console.print(Text(f"  {problem}", style="red"))
