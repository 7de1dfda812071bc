"""Delegation: how soon a filler comes, how soon a result is woven in, what is said though it was called off, and
whether anything waits meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.scenario import Expectation, Want
from infra.eval.scorers import tau
from infra.eval.scorers.deadline import BUDGET_MS, wait_ms
from infra.eval.scorers.fdb1 import EARLY_MS, onset
from infra.eval.take import Observation, Take
from schemas.ticks import FRAME_MS

BLOCKED_MS = 1000.0  # a tick that waits for an answer waits for seconds; less is the machine's jitter (row 11)
SETTLED = frozenset({"final", "error", "cancelled"})


def score(take: Take) -> Iterator[Observation]:
    if not take.counts_for(10):
        return
    yield from _fillers(take)
    yield from _weaves(take)
    for wanted in take.wants(Want.DROP):
        stale = bool(take.mentioned(wanted.meanings, wanted.from_ms, wanted.to_ms))
        note = "said a result that was called off" if stale else ""
        yield take.see("stale_result_rate", stale, wanted.from_ms, failed=stale, note=note)
    yield from _while_pending(take)


def _fillers(take: Take) -> Iterator[Observation]:
    for wanted in take.wants(Want.DELEGATE):
        turn = take.turn_of(wanted.clip)
        if turn is None:
            continue
        delegated = any(wanted.from_ms <= at <= wanted.to_ms for at, _ in delegations(take))
        yield take.see("delegate_rate", delegated, turn.end_ms, failed=not delegated, note="not delegated")
        begun = onset(take.speech, turn)
        in_time = begun is not None and turn.end_ms - EARLY_MS <= begun.start_ms <= wanted.to_ms
        yield take.see("filler_rate", in_time, turn.end_ms, failed=not in_time, note="" if in_time else "no filler")
        if begun is not None and in_time:
            yield take.see("filler_s", (begun.start_ms - turn.end_ms) / 1000, turn.end_ms)


def _weaves(take: Take) -> Iterator[Observation]:
    """The result's key words in the window; the lag is from the result's arrival to the first key word."""
    for wanted in take.wants(Want.WEAVE):
        mentions = take.mentioned(wanted.meanings, wanted.from_ms, wanted.to_ms)
        note = "" if mentions else "the result was not said"
        yield take.see("weave_rate", bool(mentions), wanted.from_ms, failed=not mentions, note=note)
        ready = _ready_ms(take, wanted)
        if mentions and ready is not None:
            yield take.see("weave_lag_s", (mentions[0].start_ms - ready) / 1000, ready)


def _ready_ms(take: Take, wanted: Expectation) -> float | None:
    """When the result that is to be woven in was whole at the client: the last one before the window's end."""
    offset = take.recording.start_offset_ms
    ends = [r.arrived_ms - offset for r in take.recording.results if r.kind == "final"]
    return max((end for end in ends if end <= wanted.to_ms), default=None)


def delegations(take: Take) -> list[tuple[float, str]]:
    """When the model delegated, in ms of scenario time (end of the tick), and the task's id."""
    offset = take.recording.start_offset_ms
    return [
        ((tick.tick + 1) * FRAME_MS - offset, tick.task_ids[0] if tick.task_ids else "")
        for tick in take.recording.ticks
        if "delegated" in tick.events
    ]


def pending_spans(take: Take) -> list[tuple[float, float]]:
    """When a background task was under way, in ms of scenario time."""
    offset = take.recording.start_offset_ms
    settled = {r.task_id: r.arrived_ms - offset for r in reversed(take.recording.results) if r.kind in SETTLED}
    return [(at, settled.get(task, float(take.scenario.duration_ms))) for at, task in delegations(take)]


def _while_pending(take: Take) -> Iterator[Observation]:
    """Rows 1 and 11 once more, for what happened while a task was under way; row 5 also while its result was said."""
    spans = pending_spans(take)
    if not spans:
        return
    offset, name = take.recording.start_offset_ms, take.scenario.id
    due = [(tick, (tick.tick + 1) * FRAME_MS - offset) for tick in take.recording.ticks]
    ticks = [tick for tick, at in due if _inside(at, spans)]
    expected = {k for k in range(take.ticks) if _inside((k + 1) * FRAME_MS - offset, spans)}
    lost = expected - {tick.tick for tick in take.recording.ticks}
    blocked = len(lost) + sum(wait_ms(tick) > BLOCKED_MS for tick in ticks)
    yield take.see("ticks_blocked", blocked, spans[0][0], failed=blocked > 0, note=f"{blocked} ticks blocked")
    late = len(lost) + sum(wait_ms(tick) > BUDGET_MS for tick in ticks)
    yield Observation("deadline_miss_rate_pending", name, late, max(1, len(expected)))
    for wanted in take.wants(Want.REPLY):
        turn = take.turn_of(wanted.clip)
        begun = onset(take.speech, turn) if turn is not None and _inside(turn.end_ms, spans) else None
        if turn is not None and begun is not None:
            yield take.see("turn_latency_pending_s", (begun.start_ms - turn.end_ms) / 1000, turn.end_ms)
    yield from tau.yields(take, "R_Y_pending", "L_Y_pending_s")


def _inside(ms: float, spans: list[tuple[float, float]]) -> bool:
    return any(start <= ms < end for start, end in spans)
