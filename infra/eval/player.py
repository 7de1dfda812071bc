"""Plays one scenario as a client would: the same protocol, in real time, and keeps everything that came back.

The user's channel leaves like a microphone's: 20 ms at a time, each chunk when its last sample has been spoken. All
times are on the client's clock, counted from the begin of tick 0, which the server's first turn tells
(``frame_end_ms``); a server whose clock is not ours (more than a second off) is taken to have begun when its welcome
came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from msgspec.structs import replace

from infra.client.stream import Disconnected, Refusal, StreamClient
from infra.eval import notes, playout, recording
from infra.eval.playout import Received
from infra.eval.recording import Recording, ResultLog, TickLog
from infra.eval.render import Rendered
from infra.eval.scenario import RATE_HZ, Scenario, fingerprint
from schemas import client
from schemas.records import SessionConfig
from schemas.ticks import FRAME_MS, OUTPUT_RATE_HZ
from shared.clock import Clock, SystemClock

CHUNK_MS = 20
LEAD_IN_MS = 20.0  # the first sample is spoken so long after the welcome: surely after the begin of tick 0
BUDGET_MS = 200.0
ANSWERS_WITHIN_S = 15.0  # after the last word: the last turn, and the end of the session
_SAME_CLOCK_MS = 1000.0
SCENARIO_EVENT = "scenario"
DEFAULT_VOICE = SessionConfig().voice


@dataclass(slots=True)
class Heard:
    """What came, stamped on arrival (our wall clock, epoch ms)."""

    welcome_ms: float
    session_id: str = ""
    began_ms: float = 0.0
    late_ms: float = 0.0
    turns: list[tuple[float, client.Turn]] = field(default_factory=list)
    results: list[tuple[float, client.Result]] = field(default_factory=list)
    ended: int = 0


async def play(url: str, scenario: Scenario, rendered: Rendered, folder: Path, *, model: str, stamp: str = "",
               at_once: int = 1, token: str = "", redis_url: str = "",
               clock: Clock | None = None) -> Recording:  # fmt: skip
    """Play and record into ``folder``. A session that fails leaves a recording with ``error``, and no sound.

    ``redis_url``: where the shared context is, for scenarios in which what stands there counts.
    """
    clock = clock or SystemClock()
    heard = Heard(clock.wall_ms())
    try:
        await _converse(url, scenario, rendered, heard, token, clock)
    except (Refusal, Disconnected, OSError, TimeoutError) as error:
        failed = Recording(
            scenario=scenario.id, model=model, ticks=[], stamp=stamp, error=f"{type(error).__name__}: {error}"
        )
        recording.save(failed, folder)
        return failed
    made = replace(_recording(heard, scenario), model=model, stamp=stamp, at_once=at_once)
    if scenario.lines and redis_url:
        made = replace(made, context=await notes.transcript(redis_url, heard.session_id, heard.ended - 1, clock))
    _keep(made, heard, scenario, rendered, folder)
    return made


async def _converse(
    url: str, scenario: Scenario, rendered: Rendered, heard: Heard, token: str, clock: Clock
) -> None:
    voice = scenario.model_voice or DEFAULT_VOICE
    config = SessionConfig(seed=scenario.seed, video=bool(scenario.video), voice=voice)
    async with StreamClient(url, rate_hz=RATE_HZ, config=config, token=token, clock=clock) as session:
        heard.welcome_ms, heard.session_id = clock.wall_ms(), session.welcome.session_id
        await session.send(client.Event(name=SCENARIO_EVENT, data={"id": scenario.id}))
        sending = asyncio.create_task(_send(session, scenario, rendered, heard, clock))
        try:
            async with asyncio.timeout(scenario.duration_ms / 1000 + ANSWERS_WITHIN_S):
                await _receive(session, heard, clock)
                await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _send(session: StreamClient, scenario: Scenario, rendered: Rendered, heard: Heard, clock: Clock) -> None:
    began = clock.monotonic() + LEAD_IN_MS / 1000
    heard.began_ms = clock.wall_ms() + LEAD_IN_MS
    for due_ms, message in outgoing(scenario, rendered):
        await clock.sleep_until(began + due_ms / 1000)
        heard.late_ms = max(heard.late_ms, (clock.monotonic() - began) * 1000 - due_ms)
        await session.send(message)
    await session.bye()


def outgoing(scenario: Scenario, rendered: Rendered) -> Iterator[tuple[float, client.ClientMessage]]:
    """Every message of the script with the ms at which it leaves, in order."""
    size = RATE_HZ * CHUNK_MS // 1000
    pcm = rendered.pcm.astype("<i2")
    messages: list[tuple[float, int, client.ClientMessage]] = []
    for start in range(0, len(pcm), size):
        chunk = pcm[start : start + size]
        messages.append(((start + len(chunk)) * 1000 / RATE_HZ, 0, client.Audio(pcm=chunk.tobytes())))
    messages += [(float(ms), 1, client.Picture(jpeg=jpeg)) for ms, jpeg in rendered.pictures]
    messages += [(float(typed.at_ms), 2, client.Text(text=typed.text)) for typed in scenario.typed]
    for due_ms, _, message in sorted(messages, key=lambda m: m[:2]):
        yield due_ms, message


async def _receive(session: StreamClient, heard: Heard, clock: Clock) -> None:
    async for message in session.messages():
        now_ms = clock.wall_ms()
        if isinstance(message, client.Turn):
            heard.turns.append((now_ms, message))
        elif isinstance(message, client.Result):
            heard.results.append((now_ms, message))
        elif isinstance(message, client.Ended):
            heard.ended = message.ticks


def _recording(heard: Heard, scenario: Scenario) -> Recording:
    origin_ms = _origin_ms(heard)
    received = _received(heard, origin_ms)
    played = playout.schedule([one for one, _ in received])
    ticks = [_tick(turn, one, begin) for (one, turn), begin in zip(received, played.begins_ms, strict=True)]
    return Recording(
        scenario=scenario.id,
        model="",
        ticks=ticks,
        results=[
            ResultLog(task_id=r.task_id, kind=r.kind, arrived_ms=round(ms - origin_ms, 1), text=r.text)
            for ms, r in heard.results
        ],
        start_offset_ms=round(heard.began_ms - origin_ms, 3),
        missing_ticks=max(0, heard.ended - len(ticks)),
        doubled_ticks=len(heard.turns) - len(ticks),
        late_ticks=sum(t.arrived_ms - (t.tick + 1) * FRAME_MS > BUDGET_MS for t in ticks),
        underruns=played.underruns,
        player_late_ms=round(heard.late_ms, 1),
        script=fingerprint(scenario),
    )


def _received(heard: Heard, origin_ms: float) -> list[tuple[Received, client.Turn]]:
    """Each tick once, in order."""
    turns: dict[int, tuple[float, client.Turn]] = {}
    for arrived_ms, turn in heard.turns:
        turns.setdefault(turn.tick, (arrived_ms - origin_ms, turn))
    return [
        (Received(tick, arrived_ms, np.frombuffer(turn.audio, "<i2") if turn.audio else None), turn)
        for tick, (arrived_ms, turn) in sorted(turns.items())
    ]


def _keep(made: Recording, heard: Heard, scenario: Scenario, rendered: Rendered, folder: Path) -> None:
    """Both channels from the begin of tick 0, and last, when they are whole, the log."""
    folder.mkdir(parents=True, exist_ok=True)
    lead = np.zeros(max(0, round(made.start_offset_ms * RATE_HZ / 1000)), np.int16)
    soundfile.write(folder / "user.wav", np.concatenate([lead, rendered.pcm]), RATE_HZ, subtype="PCM_16")
    received = [one for one, _ in _received(heard, _origin_ms(heard))]
    begins_ms = playout.schedule(received).begins_ms
    sound = playout.mix(received, begins_ms, made.start_offset_ms + scenario.duration_ms)
    soundfile.write(folder / "model.wav", sound, OUTPUT_RATE_HZ, subtype="PCM_16")
    recording.save(made, folder)


def _origin_ms(heard: Heard) -> float:
    """The begin of tick 0 on our wall clock."""
    for _, turn in heard.turns[:1]:
        told_ms = turn.frame_end_ms - (turn.tick + 1) * FRAME_MS
        if abs(told_ms - heard.welcome_ms) < _SAME_CLOCK_MS:
            return told_ms
    return heard.welcome_ms


def _tick(turn: client.Turn, received: Received, begin_ms: float) -> TickLog:
    return TickLog(
        tick=turn.tick,
        arrived_ms=round(received.arrived_ms, 1),
        played_ms=round(begin_ms, 1),
        floor=turn.floor,
        user=turn.user,
        text=turn.text,
        user_text=turn.user_text,
        events=[event.name for event in turn.events],
        task_ids=[event.task_id for event in turn.events if event.task_id],
        gap_ms=turn.gap_ms,
        level_dbfs=round(received.level_dbfs, 1),
        has_audio=received.audio is not None,
    )
