"""Plays an agent on paper: its decisions, step by step, at a client to whom everything comes on time.

No stack, no clock and no sound: what comes out is what the script, the agent and the scorers make of each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infra.eval.agents.protocol import AgentSession, Reply
from infra.eval.agents.speech import Speech
from infra.eval.heard import from_text, nominal
from infra.eval.recording import Recording, ResultLog, TickLog
from infra.eval.scenario import Scenario
from infra.eval.scripted_llm import Script
from infra.eval.take import Take
from schemas import records as r
from schemas.ticks import FRAME_MS

LAG_MS = 20.0  # an output device's buffer
HEARING_MS = 100  # the background hears the question again


def play(scenario: Scenario, session: AgentSession, model: str, script: Script) -> Take:
    """The take of one scenario; the background answers from the script."""
    logs: list[TickLog] = []
    results: list[ResultLog] = []
    due: list[tuple[float, r.BackgroundResult]] = []
    for tick in range(scenario.duration_ms // FRAME_MS):
        end_ms = (tick + 1) * FRAME_MS
        for ready in [each for each in due if each[0] <= end_ms]:
            due.remove(ready)
            session.offer(ready[1])
            result = ready[1]
            results.append(
                ResultLog(task_id=result.task_id, kind=str(result.kind), arrived_ms=ready[0] + LAG_MS, text=result.text)
            )
        reply = session.step(_frame(scenario, tick))
        for side in reply.sides:
            if isinstance(side, r.BackgroundTask):
                due.append(_answer(side, script, end_ms))
            else:
                due = [each for each in due if each[1].task_id != side.task_id]
        logs.append(_log(tick, reply))
    session.close()
    recording = Recording(scenario=scenario.id, model=model, ticks=logs, results=results)
    return Take(scenario, recording, from_text(recording), nominal(recording))


def _frame(scenario: Scenario, tick: int) -> r.CaptureFrame:
    events = [r.ClientEvent(name="scenario", data={"id": scenario.id})] if tick == 0 else []
    return r.CaptureFrame(
        session_id="paper", timestamp_ms=tick * FRAME_MS, tick=tick, audio=bytes(6400), events=events
    )


def _answer(task: r.BackgroundTask, script: Script, asked_ms: float) -> tuple[float, r.BackgroundResult]:
    answer = script.answer(task.context.entries[-1].text)
    result = r.BackgroundResult(
        session_id="paper",
        timestamp_ms=task.timestamp_ms,
        task_id=task.task_id,
        seq=0,
        kind=r.ResultKind.FINAL,
        text=answer.text,
    )
    return asked_ms + HEARING_MS + answer.delay_ms, result


def _log(tick: int, reply: Reply) -> TickLog:
    return TickLog(
        tick=tick,
        arrived_ms=(tick + 1) * FRAME_MS + LAG_MS / 2,
        played_ms=(tick + 1) * FRAME_MS + LAG_MS,
        floor=str(reply.floor),
        user=str(reply.user),
        text=reply.text,
        user_text=reply.user_text,
        events=[event.name for event in reply.events],
        task_ids=[event.task_id for event in reply.events if event.task_id],
        level_dbfs=-20.0 if reply.audio else -120.0,
        has_audio=reply.audio is not None,
    )


def spoken(text: str) -> Speech:
    """A text at one word a tick; its sound does not matter here."""
    words = text.split()
    return Speech(text, np.ones(4800 * len(words), np.int16), tuple(4800 * i for i in range(len(words))))


Opens = Callable[[], AgentSession]
