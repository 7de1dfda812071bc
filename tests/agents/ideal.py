"""Plays a scenario with an agent's session as if machine and network took no time, and scores what came of it."""

from __future__ import annotations

import math

from infra.eval.agents.protocol import AgentSession
from infra.eval.heard import from_text, nominal
from infra.eval.player import LEAD_IN_MS
from infra.eval.recording import Recording, ResultLog, TickLog
from infra.eval.scenario import Scenario
from infra.eval.scorers import score
from infra.eval.scripted_llm import Script
from infra.eval.take import Take
from schemas import records as r
from schemas.ticks import FRAME_MS
from tests.agents.sound import START_MS


def perform(session: AgentSession, scenario: Scenario, *, late_ms: float = 0.0) -> Take:
    """Every turn arrives ``late_ms`` after its tick's end; a task's answer as the endpoint would have it."""
    ticks: list[TickLog] = []
    results: list[ResultLog] = []
    pending: dict[int, list[r.BackgroundResult]] = {}
    for tick in range(-(-scenario.duration_ms // FRAME_MS)):
        for result in pending.pop(tick, []):
            session.offer(result)
            results.append(
                ResultLog(task_id=result.task_id, kind="final", arrived_ms=tick * FRAME_MS, text=result.text)
            )
        events = [r.ClientEvent(name="scenario", data={"id": scenario.id})] if tick == 0 else []
        frame = r.CaptureFrame(
            session_id="s", timestamp_ms=START_MS + tick * FRAME_MS, tick=tick, audio=bytes(6400), events=events
        )
        reply = session.step(frame)
        for side in reply.sides:
            if isinstance(side, r.BackgroundTask):
                answer, delay_ms = _answer(scenario, side)
                pending.setdefault(tick + 1 + math.ceil(delay_ms / FRAME_MS), []).append(answer)
        ticks.append(
            TickLog(
                tick=tick,
                arrived_ms=(tick + 1) * FRAME_MS + late_ms,
                played_ms=(tick + 1) * FRAME_MS + late_ms,
                floor=reply.floor,
                user=reply.user,
                text=reply.text,
                events=[event.name for event in reply.events],
                task_ids=[event.task_id for event in reply.events if event.task_id],
            )
        )
    recording = Recording(
        scenario=scenario.id, model="oracle", ticks=ticks, results=results, start_offset_ms=LEAD_IN_MS
    )
    return Take(scenario, recording, from_text(recording), nominal(recording))


def _answer(scenario: Scenario, task: r.BackgroundTask) -> tuple[r.BackgroundResult, int]:
    known = Script([scenario]).answer(task.context.entries[-1].text)
    result = r.BackgroundResult(
        session_id="s", timestamp_ms=START_MS, task_id=task.task_id, seq=0, kind=r.ResultKind.FINAL, text=known.text
    )
    return result, known.delay_ms


def means(take: Take) -> dict[str, float]:
    """What the scorers make of it: the weighted mean of each metric."""
    totals: dict[str, tuple[float, float]] = {}
    for seen in score(take):
        value, weight = totals.get(seen.metric, (0.0, 0.0))
        totals[seen.metric] = (value + seen.value, weight + seen.weight)
    return {metric: value / weight for metric, (value, weight) in totals.items() if weight}


def failures(take: Take) -> list[str]:
    """What the scorers list as failed."""
    return [f"{o.scenario} {o.metric} at {o.at_ms:.0f} ms: {o.note}" for o in score(take) if o.failed]
