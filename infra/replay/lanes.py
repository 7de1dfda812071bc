"""Two conversations over the same input: as a picture one above the other, and in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.demo.conversation import Conversation, Heard
from infra.demo.recording import Recording
from infra.demo.timeline import Lane, draw_lanes
from infra.replay.compare import COMPARED
from infra.replay.recorded import Recorded
from infra.replay.rerun import Rerun
from schemas import client
from schemas import records as r
from schemas.ticks import FRAME_MS, INPUT_RATE_HZ, INPUT_SAMPLES, SAMPLE_BYTES

Turns = Mapping[int, r.InteractionTurn]
Results = Sequence[tuple[int, r.BackgroundResult]]


def conversation(turns: Turns, results: Results) -> Conversation:
    """Turns and results (each with the tick that saw it) as a client would have received them."""
    heard = [Heard(_turn(turn), turn.timestamp_ms + FRAME_MS) for _, turn in sorted(turns.items())]
    told = [
        (
            tick,
            client.Result(
                task_id=one.task_id, seq=one.seq, kind=one.kind, timestamp_ms=one.timestamp_ms, text=one.text
            ),
        )
        for tick, one in results
    ]
    return Conversation(heard=heard, results=told)


def _turn(turn: r.InteractionTurn) -> client.Turn:
    return client.Turn(
        tick=turn.tick,
        timestamp_ms=turn.timestamp_ms,
        frame_end_ms=turn.timestamp_ms + FRAME_MS,
        floor=turn.floor,
        user=turn.user,
        gap_ms=turn.gap_ms,
        audio=turn.audio,
        text=turn.text,
        user_text=turn.user_text,
        events=turn.events,
        final=turn.final,
    )


def seen_results(recorded: Recorded) -> list[tuple[int, r.BackgroundResult]]:
    """The recorded results, each with the first tick whose step had seen it."""
    seen: list[tuple[int, r.BackgroundResult]] = []
    due = sorted(recorded.results.items(), reverse=True)
    for tick, turn in sorted(recorded.turns.items()):
        while due and due[-1][0] < turn.results_offset:
            seen.append((tick, due.pop()[1]))
    return seen


def recording(recorded: Recorded) -> Recording:
    """What the client sent, 16 kHz; silence where the log holds no frame."""
    size = INPUT_SAMPLES * SAMPLE_BYTES
    ticks = 1 + max((*recorded.turns, *(frame.tick for frame in recorded.capture.values())), default=-1)
    pcm = bytearray(ticks * size)
    for frame in recorded.capture.values():
        if len(frame.audio) == size:
            pcm[frame.tick * size : (frame.tick + 1) * size] = frame.audio
    return Recording(Path(recorded.session_id), INPUT_RATE_HZ, bytes(pcm))


def draw(recorded: Recorded, rerun: Rerun, path: Path) -> None:
    """The recorded conversation above, the other model's below."""
    was = Lane("recorded: " + ", ".join(recorded.models), conversation(recorded.turns, seen_results(recorded)))
    now = Lane(f"run again: {rerun.model}", conversation(rerun.turns, rerun.results))
    differing = differences(recorded.turns, rerun.turns)
    note = f"{len(rerun.compared)} ticks of {FRAME_MS} ms · {differing['ticks']} differ"
    draw_lanes((was, now), recording(recorded), f"session {recorded.session_id}", note, path)


def figures(turns: Turns) -> dict[str, Any]:
    """One conversation in numbers, by the model's own decisions."""
    ordered = [turn for _, turn in sorted(turns.items())]
    floors = Counter(turn.floor for turn in ordered)
    events = Counter(event.name for turn in ordered for event in turn.events if event.name != "ui")
    said = "".join(turn.text for turn in ordered).split()
    talked_over = sum(t.floor is r.Floor.TAKE and t.user is r.UserActivity.SPEAKING for t in ordered)
    return {
        "ticks": len(ordered),
        "floor_ticks": {floor.value: floors[floor] for floor in r.Floor},
        "both_speak_ticks": talked_over,
        "words_said": len(said),
        "words_heard": len("".join(turn.user_text for turn in ordered).split()),
        "events": dict(sorted(events.items())),
        "ticks_to_answer": answer_delays(ordered),
        "said": " ".join(said),
    }


def answer_delays(turns: Sequence[r.InteractionTurn]) -> list[int]:
    """Ticks from each end of the user's turn, as the model believes, to its next word, if the user lets it come."""
    delays: list[int] = []
    ended: int | None = None
    for turn in turns:
        if turn.user is r.UserActivity.ENDED:
            ended = turn.tick
        elif turn.user is r.UserActivity.SPEAKING:
            ended = None
        if ended is not None and turn.floor is r.Floor.TAKE:
            delays.append(turn.tick - ended)
            ended = None
    return delays


def differences(was: Turns, now: Turns) -> dict[str, Any]:
    """Over the ticks that both have: how many differ, in which fields, and where first. ``model`` always does."""
    names = [name for name in COMPARED if name not in ("model", "results_offset", "tokens")]
    fields: Counter[str] = Counter()
    ticks: list[int] = []
    for tick in sorted(was.keys() & now.keys()):
        changed = [name for name in names if _said(was[tick], name) != _said(now[tick], name)]
        fields.update(changed)
        if changed:
            ticks.append(tick)
    return {"ticks": len(ticks), "first_tick": ticks[0] if ticks else None, "fields": dict(sorted(fields.items()))}


def _said(turn: r.InteractionTurn, name: str) -> Any:
    """A field for comparison between models: whether tasks wait, not where their results lie in the log."""
    if name == "tasks":
        return [(task.task_id, task.words_said) for task in turn.tasks]
    return getattr(turn, name)
