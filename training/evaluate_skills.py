"""Closed-loop figures of what nano does besides answering: orders, cues, time, stories, what is seen, asides."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from schemas.records import Floor
from services.interaction.nano.config import TASKS
from services.interaction.nano.registers import Tokens
from training.closed_loop import Played
from training.script import RECONSIDER_TICKS, SIGN_AFTER, TICK, Due, UserTurn

if TYPE_CHECKING:
    from training.evaluate import Scores

UNDERSTOOD_WITHIN = 1 + RECONSIDER_TICKS  # ticks after an order's end by which it must stand
TOLD_WITHIN = 10  # ticks after an order's end, the word that it waits for
EARLY, LATE = 2, 4  # ticks around the due one in which a word counts: about half a second before, a little more after
SIGN_WORDS = 2
TAKES_FLOOR_WORDS = 3
_UNANSWERED = {
    "asides": "words to somebody else",
    "overheard": "words by somebody else",
    "hesitations": "hesitations and exclamations",
}


def score_skills(played: Played, scores: Scores) -> None:
    """Add one session's cases."""
    turns = sorted(played.script.turns, key=lambda t: t.start)
    for turn in turns:
        if turn.phrase is not None and turn.phrase.task:
            _score_order(played, turn, scores)
        if turn.kind in ("stories", *_UNANSWERED):
            _score_listening(played, turn, scores)
    for due in played.script.dues:
        _score_due(played, due, scores)
    for turn, following in pairwise(turns):
        if turn.kind == "leads":
            _score_lead(played, turn, following, scores)
    for turn in turns:
        if turn.kind == "carriers":
            _score_carrier(played, turn, scores)


def _kind(task: str) -> str:
    """``timer 3`` is a timer, ``cue fruit`` a cue, ``spanish numbers`` what it says."""
    return task if task.startswith("spanish") else task.split()[0]


def _stands(played: Played, tick: int) -> str:
    return TASKS[Tokens(*played.outputs[tick].tokens).task]


def _score_order(played: Played, turn: UserTurn, scores: Scores) -> None:
    assert turn.phrase is not None
    last = min(turn.decision_tick + UNDERSTOOD_WITHIN, played.script.ticks - 1)
    if last <= turn.decision_tick + 1:
        return
    stood = {_stands(played, tick) for tick in range(turn.decision_tick - 1, last + 1)}
    scores.add(f"order understood: {_kind(turn.phrase.task)}", turn.phrase.task in stood)
    if turn.phrase.trigger:
        told = min(turn.decision_tick + TOLD_WITHIN, played.script.ticks)  # its last words come after the answer
        shown = {played.outputs[tick].ui.get("trigger") for tick in range(turn.decision_tick - 1, told)}
        scores.add("awaited word understood", turn.phrase.trigger in shown)


def _score_due(played: Played, due: Due, scores: Scores) -> None:
    """Whether the word was said about when it was due. Not asked where the script's user has called it off."""
    ticks = range(max(0, due.tick - EARLY), min(due.tick + LATE + 1, played.script.ticks))
    if due.tick + LATE < played.script.ticks:
        said = any(due.word in played.words(tick).split() for tick in ticks)
        scores.add(f"said when due: {_kind(due.task)}", said)


def _score_listening(played: Played, turn: UserTurn, scores: Scores) -> None:
    """Stories get signs of listening and no more; words to somebody else or to nobody get nothing."""
    end = turn.stop // TICK
    if end + LATE >= played.script.ticks or played.left_ms[turn.start // TICK]:
        return
    during = [tick for tick in range(turn.start // TICK + 1, end + LATE) if played.words(tick)]
    if turn.kind != "stories":
        scores.add(f"silent at {_UNANSWERED[turn.kind]}", not during)
        return
    taken = [tick for tick in during if played.outputs[tick].floor is not Floor.BACKCHANNEL]
    scores.add("leaves the floor to a story", len(taken) < TAKES_FLOOR_WORDS)
    if (turn.stop + SIGN_AFTER) // TICK not in played.script.signs:
        return  # of a first sentence
    near = [tick for tick in during if abs(tick - end) <= EARLY]
    scores.add("sign of listening at a sentence's end", 0 < len(near) <= SIGN_WORDS and not taken)


def _score_lead(played: Played, turn: UserTurn, following: UserTurn, scores: Scores) -> None:
    """Who announces a question is let come to it."""
    span = range(turn.start // TICK + 1, min(following.start // TICK, played.script.ticks))
    if span and not played.left_ms[span[0]]:
        scores.add("waits for an announced question", not any(played.words(tick) for tick in span))


def _score_carrier(played: Played, turn: UserTurn, scores: Scores) -> None:
    """While the user talks on, nothing is said that no cue asked for."""
    span = range(turn.start // TICK + 1, min(turn.stop // TICK, played.script.ticks))
    if not span or played.left_ms[span[0]]:
        return
    due = [d.tick for d in played.script.dues]
    spurious = [t for t in span if played.words(t) and not any(d - EARLY <= t <= d + LATE for d in due)]
    scores.add("nothing said in a sentence beyond its cues", not spurious)
