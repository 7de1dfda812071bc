"""What the demo shows while it runs: a live view on a terminal, a line for every event elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.demo.conversation import Conversation
from infra.demo.summary import Summary
from schemas import client
from schemas.records import Floor, UserActivity
from schemas.ticks import FRAME_MS

_FLOOR = {Floor.HOLD: "grey35", Floor.TAKE: "green", Floor.BACKCHANNEL: "yellow", Floor.YIELD: "dark_orange"}
_USER = {UserActivity.SILENT: "grey35", UserActivity.SPEAKING: "dodger_blue1", UserActivity.ENDED: "bright_white"}
_ROLE = {"you": "dodger_blue1", "model": "green", "background": "medium_purple1", "notice": "red"}


class Screen:
    """Follows a conversation message by message."""

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._seconds = seconds
        self._live: Live | None = None
        self._turns: deque[client.Turn] = deque(maxlen=max(20, console.width - 16))
        self._lines: deque[tuple[str, str, str]] = deque(maxlen=8)
        self._open: dict[str, str] = {}
        self._latency_ms = 0.0
        self._tick = -1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show progress within the block."""
        if not self._console.is_terminal:
            yield
            self._flush_all()
            return
        with Live(self._view(), console=self._console, refresh_per_second=5) as live:
            self._live = live
            yield
            self._flush_all()
            live.update(self._view())

    def take(self, message: client.ServerMessage, conversation: Conversation) -> None:
        """One message of the server has come."""
        if isinstance(message, client.Turn):
            self._take_turn(message)
            self._latency_ms = conversation.heard[-1].latency_ms
        elif isinstance(message, client.Result) and message.kind in ("final", "error"):
            self._say("background", message.text or message.kind)
        elif isinstance(message, client.Notice):
            self._say("notice", f"{message.code}: {message.message} ({message.count})")
        elif isinstance(message, client.Error):
            self._say("notice", f"{message.code}: {message.message}")
        if self._live is not None:
            self._live.update(self._view())

    def _take_turn(self, turn: client.Turn) -> None:
        self._tick = turn.tick
        self._turns.append(turn)
        if turn.user_text:
            self._open["you"] = self._open.get("you", "") + turn.user_text
        if turn.user == UserActivity.ENDED:
            self._flush("you")
        if turn.text:
            self._flush("you")
            self._open["model"] = self._open.get("model", "") + turn.text
        if turn.floor in (Floor.HOLD, Floor.YIELD):
            self._flush("model", " –" if turn.floor == Floor.YIELD else "")
        for event in turn.events:
            if event.name != "ui":
                self._say("background", event.name.replace("_", " "))

    def _flush(self, role: str, mark: str = "") -> None:
        text = self._open.pop(role, "").strip()
        if text:
            self._say(role, text + mark)

    def _flush_all(self) -> None:
        for role in list(self._open):
            self._flush(role)

    def _say(self, role: str, text: str) -> None:
        at = _clock(self._tick)
        self._lines.append((at, role, text))
        if self._live is None:
            self._console.print(Text(f"{at}  {role:<10} {text}"), highlight=False, soft_wrap=True)

    def _view(self) -> Group:
        done = min(1.0, (self._tick + 1) * FRAME_MS / 1000 / self._seconds)
        width = max(10, self._console.width - 44)
        filled = round(done * width)
        bar = Text.assemble(
            (f"{_clock(self._tick)} / {_clock(int(self._seconds * 1000 / FRAME_MS))}  ", "bold"),
            ("━" * filled, "green"),
            ("━" * (width - filled), "grey35"),
            f"  tick {max(0, self._tick)}  {self._latency_ms:.0f} ms",
        )
        user, model = Text("you         "), Text("model       ")
        for turn in self._turns:
            user.append("█" if turn.user != UserActivity.SILENT else "▁", _USER[UserActivity(turn.user)])
            model.append("█" if turn.floor != Floor.HOLD else "▁", _FLOOR[Floor(turn.floor)])
        lines = [
            Text.assemble((f"{at}  ", "grey50"), (f"{role:<11}", _ROLE[role]), text)
            for at, role, text in [*self._lines, *((" now", role, text.strip()) for role, text in self._open.items())]
        ]
        return Group(bar, Text(), user, model, Text(), *lines)


def show_summary(console: Console, summary: Summary) -> None:
    """The figures, and the verdict."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in asdict(summary).items():
        table.add_row(name.replace("_ms", " (ms)").replace("_", " "), str(value))
    console.print(table)
    verdict = "every tick has exactly one turn" if summary.complete else "not every tick has exactly one turn"
    console.print(Text(verdict, "bold green" if summary.complete else "bold red"))


def _clock(tick: int) -> str:
    seconds = max(0, tick) * FRAME_MS // 1000
    return f"{seconds // 60:2d}:{seconds % 60:02d}"
