"""Visual proactivity: counting repetitions online, naming begin and end of an action, PAUC, false alarms.

RepCount online: the last number said after the penultimate repetition is right when within one of the true count.
ProactiveVideoQA's PAUC(w): the score of what has been said so far (0 to 2; before anything is said 0.5), over time
since the span's begin, points moved to ``(t - t0)(1 - w)``, as a share of the best. To say nothing scores 0.25.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.eval.meaning import any_mention, mentions, numbers, share_said
from infra.eval.scenario import Expectation, VideoEvent, Want
from infra.eval.take import Observation, Take
from schemas.ticks import FRAME_MS

W = 0.5
SILENT_SCORE, FULL_SCORE, PART_SCORE = 0.5, 2.0, 1.0
COUNT_SLACK = 1
SLACK_MS = FRAME_MS + 100.0  # a micro-turn, the finest step that a model has, and its delivery: so much off is exact


def score(take: Take) -> Iterator[Observation]:
    if not take.counts_for(9):
        return
    says = take.wants(Want.SAY)
    yield from _counts(take, [e for e in says if e.number >= 0])
    pairs = list(_actions(take, says))
    timed = {id(e) for _, start, stop in pairs for e in (start, stop)}
    for wanted in says:
        if wanted.number < 0 and id(wanted) not in timed:
            value = pauc(_points(take, wanted), wanted.to_ms - wanted.from_ms)
            yield take.see("pauc_05", value, wanted.from_ms, failed=value <= 0.25, note="no good answer in the span")
    for event, start, stop in pairs:
        value = _iou(take, event, start, stop)
        yield take.see("action_iou", value, event.start_ms, failed=value < 0.5, note=f"overlap {value:.2f}")
    alarms = _false_alarms(take, says)
    minutes = take.scenario.duration_ms / 60_000
    note = f"{alarms} segments that nothing asked for" if alarms else ""
    yield Observation("false_alarms_per_min", take.scenario.id, alarms, minutes, "", 0.0, alarms > 0, note)


def _counts(take: Take, wanted: Sequence[Expectation]) -> Iterator[Observation]:
    """The last number said, and each repetition's number in its own window."""
    if not wanted:
        return
    for each in wanted:
        said = numbers(take.said_in(each.from_ms - SLACK_MS, each.to_ms + 1))
        yield take.see("rep_count_each", any(token.number == each.number for token in said), each.from_ms)
    last = max(wanted, key=lambda e: e.number)
    marks = sorted(mark for event in take.scenario.video for mark in event.marks_ms)
    after = marks[-2] if len(marks) > 1 else 0
    said = numbers(take.said_in(after, last.to_ms + 1))
    right = bool(said) and abs(said[-1].number - last.number) <= COUNT_SLACK
    note = "" if right else f"{last.number} were shown, {said[-1].number if said else 'nothing'} said"
    yield take.see("rep_count", right, after, failed=not right, note=note)


def _actions(take: Take, says: Sequence[Expectation]) -> Iterator[tuple[VideoEvent, Expectation, Expectation]]:
    """Events whose begin and end each lie in the window of a ``SAY`` of their own."""
    for event in take.scenario.video:
        if not event.kind.startswith("action"):
            continue
        starts = [e for e in says if e.number < 0 and e.from_ms <= event.start_ms <= e.to_ms]
        stops = [e for e in says if e.number < 0 and e.from_ms <= event.end_ms <= e.to_ms and e not in starts]
        if starts and stops:
            yield event, starts[0], stops[0]


def _iou(take: Take, event: VideoEvent, start: Expectation, stop: Expectation) -> float:
    """Intersection over union, in time, of the action as announced and as shown; 0 when no begin was announced."""
    begun = [m.start_ms for m in any_mention(take.said, start.meanings) if m.start_ms >= start.from_ms - SLACK_MS]
    if not begun:
        return 0.0
    ended = [m.start_ms for m in any_mention(take.said, stop.meanings) if m.start_ms > begun[0]]
    first = _snap(begun[0], event.start_ms)
    last = _snap(ended[0], event.end_ms) if ended else float(take.scenario.duration_ms)
    shared = min(last, event.end_ms) - max(first, event.start_ms)
    return max(0.0, shared) / (max(last, event.end_ms) - min(first, event.start_ms))


def _snap(ms: float, true_ms: float) -> float:
    return true_ms if abs(ms - true_ms) <= SLACK_MS else ms


def pauc(points: Sequence[tuple[float, float]], span_ms: float, w: float = W) -> float:
    """``points``: (ms after the span's begin, score 0 to 2) of each answer, in order."""
    area, height, at = 0.0, SILENT_SCORE, 0.0
    for after_ms, score_then in points:
        moved = min(max(after_ms, 0.0) * (1 - w), span_ms)
        area += height * (moved - at)
        height, at = score_then, moved
    return (area + height * (span_ms - at)) / (FULL_SCORE * span_ms)


def _points(take: Take, wanted: Expectation) -> list[tuple[float, float]]:
    """After each segment that speaks in the span: how good all that was said in it so far is."""
    points: list[tuple[float, float]] = []
    first_ms = wanted.from_ms - SLACK_MS
    for segment in take.speech.segments:
        if segment.end_ms <= first_ms or segment.start_ms > wanted.to_ms:
            continue
        said = take.said_in(first_ms, min(segment.end_ms, wanted.to_ms + 1.0))
        if not said:
            continue
        full = [m.start_ms for meaning in wanted.meanings for m in mentions(said, meaning)]
        part = max((share_said(said, meaning) for meaning in wanted.meanings), default=0.0)
        # the answer stands from when it is said, not from when an unrelated sentence began
        at_ms = max(segment.start_ms, min(full)) if full else segment.start_ms
        points.append((at_ms - wanted.from_ms - SLACK_MS, FULL_SCORE if full else PART_SCORE if part >= 0.5 else 0.0))
    return points


def _false_alarms(take: Take, says: Sequence[Expectation]) -> int:
    """Segments begun outside of every window, the first after each turn of the user aside: it may be an answer."""
    answers = {begun[0] for turn in take.turns if (begun := take.speech.starts_in(turn.end_ms - 500, turn.until_ms))}
    return sum(
        segment not in answers and not any(e.from_ms - SLACK_MS <= segment.start_ms <= e.to_ms for e in says)
        for segment in take.speech.segments
    )
