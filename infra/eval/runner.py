"""Plays suites with models and keeps the recordings; what the same model and code recorded before is kept."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from infra.eval import recording, stacks
from infra.eval.clips import Clips
from infra.eval.player import play
from infra.eval.recording import Recording
from infra.eval.render import render
from infra.eval.scenario import Scenario, load_suite
from infra.eval.scripted_llm import Script, serving
from infra.eval.speech import script
from infra.local.jars import PROJECT

SCENARIOS = PROJECT / "tests" / "behaviour" / "scenarios"
RECORDINGS = PROJECT / "build" / "eval"
START_S = 20.0  # a stack's start and stop, and its first conversation
TRIES = 2
LATE_SHARE = 0.05  # of a conversation's turns: then there were too many at once
PLAYER_LATE_MS = 100.0  # then the measurement itself was disturbed
_JOIN_SPREAD_S = 0.2
_WARM_UP = Scenario(id="warm-up", suite="", rows=[], seed=1, duration_ms=3000)


class NoSuchSuite(ValueError):
    """The message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario to be played with a model; ``stamp`` names what must not have changed since a recording."""

    scenario: Scenario
    model: str
    folder: Path
    stamp: str
    repeated: bool = False

    def kept(self) -> bool:
        """Whether it has been played already, by the same code and model, without an error."""
        try:
            former = recording.load(self.folder)
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        sound = (self.folder / "user.wav").exists() and (self.folder / "model.wav").exists()
        return former.stamp == self.stamp and not former.error and sound


def suite_names() -> list[str]:
    return [*sorted(path.stem for path in SCENARIOS.glob("*.json")), script.SUITE]


def choose(suites: Sequence[str], count: int) -> list[Scenario]:
    """The first ``count`` scenarios of each suite (0: all). Raises ``NoSuchSuite``, ``BadScenario``."""
    chosen: list[Scenario] = []
    for name in suites:
        if name not in suite_names():
            raise NoSuchSuite(f"no suite {name!r}; there are {', '.join(suite_names())}")
        scenarios = load_suite(script.FILE if name == script.SUITE else SCENARIOS / f"{name}.json").scenarios
        chosen += scenarios[:count] if count else scenarios
    return chosen


def jobs(scenarios: Sequence[Scenario], model: str, root: Path, identity: str) -> list[Job]:
    """One job a scenario that this model plays: suite ``speech`` is the reader's, and the reader has no other."""
    made = []
    for scenario in scenarios:
        if (scenario.suite == script.SUITE) == (model == stacks.READER):
            made.append(Job(scenario, model, root / model / scenario.id, stamp(scenario, identity)))
    return made


def stamp(scenario: Scenario, identity: str) -> str:
    """Names a scenario together with the model and code that play it."""
    return hashlib.sha256(msgspec.json.encode(scenario) + identity.encode()).hexdigest()[:16]


def estimate_s(todo: Sequence[Job], sessions: int) -> float:
    """Wall time for these jobs with so many at once: as if they filled their places evenly."""
    if not todo:
        return 0.0
    lengths = [job.scenario.duration_ms / 1000 + 1.5 for job in todo]
    return START_S + max(max(lengths), sum(lengths) / sessions)


Done = Callable[[Job, Recording], None]


class Seats:
    """How many conversations run at once: up to ``most``, fewer while turns come late, so that what is measured is the
    model and not a machine with too much to do. ``fixed``: always ``most``."""

    def __init__(self, most: int, *, fixed: bool = False) -> None:
        self.most = most
        self.fixed = fixed
        self._limit = float(most if fixed else max(1, most // 2))

    @property
    def count(self) -> int:
        return int(self._limit)

    def saw(self, made: Recording) -> None:
        """One is over: a little more, or a good deal less."""
        if self.fixed or not made.ticks:
            return
        if made.late_ticks > LATE_SHARE * len(made.ticks):
            self._limit = max(1.0, self._limit * 0.75)
        else:
            self._limit = min(float(self.most), self._limit + 1.0)


async def play_all(url: str, todo: Sequence[Job], speech: Clips, *, seats: Seats, done: Done, token: str = "",
                   redis_url: str = "") -> None:  # fmt: skip
    """Play all jobs. One that failed is tried again; one in which the player itself was kept waiting, once more at the
    end."""
    waiting, again = deque(todo), deque[Job]()
    running: dict[asyncio.Task[Recording], Job] = {}
    try:
        while waiting or again or running:
            if not waiting and not running:
                waiting, again = again, deque()
            while waiting and len(running) < seats.count:
                job = waiting.popleft()
                delay_s = len(running) % int(1 / _JOIN_SPREAD_S) * _JOIN_SPREAD_S
                at_once = len(running) + 1
                playing = _play(url, job, speech, at_once, delay_s=delay_s, token=token, redis_url=redis_url)
                running[asyncio.create_task(playing)] = job
            over, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in over:
                job, made = running.pop(task), task.result()
                seats.saw(made)
                if made.player_late_ms > PLAYER_LATE_MS and not job.repeated:
                    again.append(replace(job, repeated=True))
                else:
                    done(job, made)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _play(
    url: str, job: Job, speech: Clips, at_once: int, *, delay_s: float, token: str, redis_url: str
) -> Recording:
    rendered = await asyncio.to_thread(render, job.scenario, speech)
    await asyncio.sleep(delay_s)  # conversations begin one after the other, as callers do
    for _ in range(TRIES):
        made = await play(
            url, job.scenario, rendered, job.folder, model=job.model, stamp=job.stamp, at_once=at_once, token=token,
            redis_url=redis_url,
        )  # fmt: skip
        if not made.error:
            break
    return made


async def run_model(
    model: str, todo: Sequence[Job], answers: Script, speech: Clips, *, seats: Seats, done: Done
) -> None:
    """Start the model's stack, warm it up, play. Raises what ``stacks.stack_for`` does."""
    async with serving(answers) as llm_url, stacks.stack_for(model, llm_url) as where:
        aside = todo[0].folder.parent / "warm-up"
        await play(where.page, _WARM_UP, render(_WARM_UP, speech), aside, model=model)
        shutil.rmtree(aside, ignore_errors=True)
        await play_all(where.page, todo, speech, seats=seats, done=done, redis_url=where.redis_url)
