"""What the supervisor tells: to people as prefixed lines, to programs as one JSON object a line."""

from __future__ import annotations

import json
import sys
from typing import Protocol

_COLOURS = {
    "capture": 36,
    "encoder": 32,
    "interaction": 35,
    "background": 33,
    "monitor": 34,
    "kafka": 90,
    "redis": 90,
    "stack": 1,
}


class Events(Protocol):
    """Where the supervisor reports to."""

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        """Something happened: ``event`` is a word for programs, ``text`` a sentence for people."""

    def log_line(self, source: str, line: str) -> None:
        """A child printed a line."""


class Silent:
    """Keeps the last lines of every child, for the message of an error; prints nothing."""

    def __init__(self, *, keep: int = 200) -> None:
        self._keep = keep
        self.lines: list[str] = []

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        self._add(f"{source} | {event}: {text}")

    def log_line(self, source: str, line: str) -> None:
        self._add(f"{source} | {line}")

    def _add(self, line: str) -> None:
        self.lines.append(line)
        del self.lines[: -self._keep]


class Terminal:
    """Lines for people on stdout, coloured by source where it is a terminal."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty()

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        print(f"{self._prefix(source)}{text or event}", flush=True)

    def log_line(self, source: str, line: str) -> None:
        print(f"{self._prefix(source)}{line}", flush=True)

    def _prefix(self, source: str) -> str:
        name = f"{source:<13} | "
        colour = _COLOURS.get(source.rpartition("-")[0] or source)
        return f"\x1b[{colour}m{name}\x1b[0m" if self._colours and colour else name


class JsonLines:
    """Events on stdout as JSON; what the children print goes to stderr."""

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        print(json.dumps({"source": source, "event": event, "text": text, **facts}), flush=True)

    def log_line(self, source: str, line: str) -> None:
        print(f"{source:<13} | {line}", file=sys.stderr, flush=True)
