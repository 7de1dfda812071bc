"""The oracle: reads the script and does what it wants. What it cannot win, nobody can: then the scenario is wrong.

A client names its scenario with an event ``scenario`` (``data.id``). Background results are not made up: the oracle
delegates like any model and weaves in what comes back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.eval.agents.controls import SilentSession
from infra.eval.agents.protocol import AgentSession, Reply
from infra.eval.agents.script import Ask, Plan, plan
from infra.eval.scenario import Scenario, load_suite
from schemas import records as r
from schemas.ticks import FRAME_MS
from shared.logging import get_logger

TASK_DEADLINE_MS = 30_000

logger = get_logger(__name__)


class OracleSession(SilentSession):
    """One conversation whose script is known as soon as the client has named it."""

    def __init__(self, session_id: str, scenarios: dict[str, Scenario]) -> None:
        self._id = session_id
        self._scenarios = scenarios
        self._plan = Plan()
        self._asked: dict[str, Ask] = {}
        self._results: deque[r.BackgroundResult] = deque()
        self._woven: dict[int, tuple[str, str]] = {}  # tick -> (task id, event) of a result's words

    def offer(self, result: r.BackgroundResult) -> None:
        if result.kind is r.ResultKind.FINAL:
            self._results.append(result)

    def step(self, frame: r.CaptureFrame) -> Reply:
        for event in frame.events:
            if event.name == "scenario":
                self._begin(str(event.data.get("id", "")))
        events: list[r.TurnEvent] = []
        sides: list[r.BackgroundTask | r.BackgroundCancel] = []
        self._ask(frame, events, sides)
        self._drop(frame, events, sides)
        self._weave(frame.tick)
        if frame.tick in self._woven:
            task_id, name = self._woven.pop(frame.tick)
            events.append(r.TurnEvent(name=name, task_id=task_id))
        made = self._plan
        word = made.words.get(frame.tick, "")
        stopped = frame.tick - 1 in made.yields and frame.tick not in made.words
        return Reply(
            floor=r.Floor.YIELD if stopped else made.floor.get(frame.tick, r.Floor.HOLD),
            user=made.user.get(frame.tick, r.UserActivity.SILENT),
            text=f" {word}" if word else "",
            user_text=made.heard.get(frame.tick, ""),
            events=tuple(events),
            sides=tuple(sides),
        )

    def _begin(self, scenario_id: str) -> None:
        scenario = self._scenarios.get(scenario_id)
        if scenario is None:
            logger.warning("unknown_scenario", scenario=scenario_id)
            return
        self._plan = plan(scenario)

    def _ask(
        self, frame: r.CaptureFrame, events: list[r.TurnEvent], sides: list[r.BackgroundTask | r.BackgroundCancel]
    ) -> None:
        for ask in self._plan.asks:
            if ask.tick != frame.tick:
                continue
            task_id = f"{self._id}-{frame.tick}"
            start_ms = frame.timestamp_ms - frame.tick * FRAME_MS
            asked_ms = start_ms + ask.from_ms
            entry = r.ContextEntry(role="user_typed", timestamp_ms=asked_ms, text=ask.question)
            context = r.ContextPackage(entries=[entry], span_start_ms=asked_ms, span_end_ms=frame.timestamp_ms)
            task = r.BackgroundTask(
                session_id=self._id,
                timestamp_ms=frame.timestamp_ms,
                task_id=task_id,
                deadline_ms=frame.timestamp_ms + TASK_DEADLINE_MS,
                context=context,
            )
            self._asked[task_id] = ask
            sides.append(task)
            events.append(r.TurnEvent(name="delegated", task_id=task_id))

    def _drop(
        self, frame: r.CaptureFrame, events: list[r.TurnEvent], sides: list[r.BackgroundTask | r.BackgroundCancel]
    ) -> None:
        for task_id in [t for t, ask in self._asked.items() if ask.drop_tick == frame.tick]:
            del self._asked[task_id]
            events.append(r.TurnEvent(name="cancelled", task_id=task_id))
            sides.append(r.BackgroundCancel(session_id=self._id, timestamp_ms=frame.timestamp_ms, task_id=task_id))

    def _weave(self, tick: int) -> None:
        """Lay the words of results that have come into the next free ticks."""
        while self._results:
            result = self._results.popleft()
            ask = self._asked.get(result.task_id)
            words = result.text.split()
            if ask is None or not words or ask.drop_tick is not None:
                continue
            first = self._plan.free(tick, len(words))
            cut = self._plan.cut_after(first) and min(y for y in self._plan.yields if y >= first) < first + len(words)
            places = self._plan.say_until_cut(words, first) if cut else self._plan.say(words, first)
            self._woven[first] = (result.task_id, "weave_started")
            self._woven.setdefault(places[-1] + 1, (result.task_id, "weave_dropped" if cut else "weave_finished"))


class Oracle:
    """Knows all scripts under a folder."""

    name = "oracle"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scenarios: dict[str, Scenario] = {}

    async def __aenter__(self) -> Self:
        """Raises ``BadScenario``, or ``FileNotFoundError`` when there is none."""
        self._scenarios = await asyncio.to_thread(read_all, self._folder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def session(self, session_id: str) -> AgentSession:
        return OracleSession(session_id, self._scenarios)


def read_all(folder: Path) -> dict[str, Scenario]:
    """Every scenario of the suites in ``folder``, by its id."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileNotFoundError(f"no scenarios in {folder.resolve()}")
    return {scenario.id: scenario for path in files for scenario in load_suite(path).scenarios}
