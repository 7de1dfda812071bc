"""Plays suites with models and keeps the recordings; what the same model and code recorded before is kept."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from infra.eval import recording, stacks
from infra.eval.clips import Clips
from infra.eval.player import play
from infra.eval.recording import Recording
from infra.eval.render import render
from infra.eval.scenario import Scenario, load_suite
from infra.eval.scripted_llm import Script, serving
from infra.local.jars import PROJECT

SCENARIOS = PROJECT / "tests" / "behaviour" / "scenarios"
RECORDINGS = PROJECT / "build" / "eval"
START_S = 20.0  # a stack's start and stop, and its first conversation
TRIES = 2
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

    def kept(self) -> bool:
        """Whether it has been played already, by the same code and model, without an error."""
        try:
            former = recording.load(self.folder)
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        sound = (self.folder / "user.wav").exists() and (self.folder / "model.wav").exists()
        return former.stamp == self.stamp and not former.error and sound


def suite_names() -> list[str]:
    return sorted(path.stem for path in SCENARIOS.glob("*.json"))


def choose(suites: Sequence[str], count: int) -> list[Scenario]:
    """The first ``count`` scenarios of each suite (0: all). Raises ``NoSuchSuite``, ``BadScenario``."""
    chosen: list[Scenario] = []
    for name in suites:
        if name not in suite_names():
            raise NoSuchSuite(f"no suite {name!r}; there are {', '.join(suite_names())}")
        scenarios = load_suite(SCENARIOS / f"{name}.json").scenarios
        chosen += scenarios[:count] if count else scenarios
    return chosen


def jobs(scenarios: Sequence[Scenario], model: str, root: Path, identity: str) -> list[Job]:
    """One job a scenario."""
    made = []
    for scenario in scenarios:
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


async def play_all(
    url: str, todo: Sequence[Job], speech: Clips, *, sessions: int, done: Done, token: str = ""
) -> None:
    """Play all jobs, so many at once; one that fails is tried again."""
    waiting = deque(todo)
    rng = random.Random(0)

    async def seat(number: int) -> None:
        await asyncio.sleep(number * _JOIN_SPREAD_S)  # sessions begin one after the other, as callers do
        while waiting:
            job = waiting.popleft()
            rendered = await asyncio.to_thread(render, job.scenario, speech)
            await asyncio.sleep(rng.uniform(0, _JOIN_SPREAD_S))
            for _ in range(TRIES):
                made = await play(
                    url, job.scenario, rendered, job.folder, model=job.model, stamp=job.stamp, token=token
                )
                if not made.error:
                    break
            done(job, made)

    await asyncio.gather(*(seat(n) for n in range(min(sessions, len(todo)))))


async def run_model(
    model: str, todo: Sequence[Job], script: Script, speech: Clips, *, sessions: int, done: Done
) -> None:
    """Start the model's stack, warm it up, play. Raises what ``stacks.stack_for`` does."""
    async with serving(script) as llm_url, stacks.stack_for(model, llm_url) as url:
        aside = todo[0].folder.parent / "warm-up"
        await play(url, _WARM_UP, render(_WARM_UP, speech), aside, model=model)
        shutil.rmtree(aside, ignore_errors=True)
        await play_all(url, todo, speech, sessions=sessions, done=done)
