"""What nano carries beyond its attention windows: a few small registers, moved on by its own decisions alone.

A standing task ("say ready in five seconds") may outlive every window, and no window counts ticks. So decisions of a
tick and registers make one tuple, the step's *tokens*, which the log keeps and which the next step is fed with: a
restore has them exactly. Training moves them by this very code.
"""

from __future__ import annotations

from typing import NamedTuple

from services.interaction.nano.config import (
    BREAK_TICKS,
    COUNT_TO,
    FLOORS,
    HEAR,
    KEEP,
    MAX_SINCE,
    MAX_TICKS,
    NONE,
    RECALL,
    TASKS,
    USERS,
    USERS_WORD,
)

TICKS_PER_SECOND = 5
NO_TASK = 0
_SILENT, _YIELD = USERS.index("silent"), FLOORS.index("yield")
_AWAITING = (HEAR, COUNT_TO)  # tasks about a word of the user's
_RESTED = 8  # ticks without a number after which a count is over: a busy voice holds one up for three or four
_EVERY = frozenset(n for n, name in enumerate(TASKS) if name.startswith("every"))
_ONCE = frozenset(n for n, name in enumerate(TASKS) if name.startswith(("timer", "watch")))
SECONDS = MAX_TICKS // TICKS_PER_SECOND + 1
TASK_PLACE, HEARD_PLACE, TRIGGER_PLACE = 6, -2, -1  # in what is fed


class Tokens(NamedTuple):
    """Decisions of a tick (class ids) and the registers after it; ``last``, ``word`` and ``text`` are text ids,
    ``trigger`` and ``heard`` are ids of what is heard, ``written`` and ``noted`` 1 + places in the lexicon, all times
    are ticks."""

    floor: int = 0
    user: int = 0
    text: int = NONE
    event: int = 0
    last: int = NONE  # the last word of its own that it said
    since: int = MAX_SINCE  # ticks since
    task: int = NO_TASK  # place in ``TASKS``
    word: int = NONE  # what the task is to say, where that does not follow from what happens: one of its own, or
    # ``USERS_WORD``, the one that it noted
    age: int = 0  # since the task was set, or a repeating one last spoke
    quiet: int = 0  # since the user spoke
    lapse: int = 0  # the user's last silence of ``BREAK_TICKS`` and more
    trigger: int = NONE  # the word of the user's that ``hear`` waits for, or ``count to`` ends with
    heard: int = NONE  # the word of the user's that was written down; one more than the last for one that is not known
    written: int = NONE  # the same word's place in the lexicon, which knows more of them
    noted: int = NONE  # the word of the user's that it last noted: one that it may be asked to say


LIMITS = Tokens(0, 0, 0, 0, 0, MAX_SINCE + 1, len(TASKS), 0, *(MAX_TICKS + 1,) * 3, 0, 0, 0, 0)
"""Exclusive upper bounds of what does not depend on vocabularies."""


def recalled(before: Tokens) -> int:
    """The text id of the standing task's word: one of its own, ``RECALL`` for one that it noted, ``NONE`` for none."""
    if before.word == USERS_WORD:
        return RECALL
    return before.word if before.word > RECALL else NONE


def moved(
    before: Tokens,
    floor: int,
    user: int,
    text: int,
    event: int,
    task: int,
    word: int,
    trigger: int = NONE,
    heard: int = NONE,
    written: int = NONE,
    notes: int = 0,
) -> Tokens:
    """The tokens of a tick with these decisions. ``task`` is the task head's class: ``KEEP``, or 1 + the new task;
    ``trigger`` counts while ``hear`` or ``count to`` stands and has none; ``notes`` is whether the word written down in
    the tick before is to be noted. A count is over when it is interrupted or nothing has been said for a while."""
    last, since = (text, 0) if text != NONE else (before.last, min(before.since + 1, MAX_SINCE))
    speaks = user != _SILENT and before.user != _SILENT  # a single tick may be a cough
    lapse = before.quiet if speaks and before.quiet > BREAK_TICKS else before.lapse
    quiet = 0 if speaks else min(before.quiet + 1, MAX_TICKS)
    standing, named, age = before.task, before.word, min(before.age + 1, MAX_TICKS)
    awaited = before.trigger
    if task != KEEP:
        standing, named, age = task - 1, word if task - 1 != NO_TASK else NONE, 0
        awaited = NONE
    elif text != NONE and text == recalled(before):
        if standing in _EVERY:
            age = 0
        elif standing in _ONCE:
            standing, named, age = NO_TASK, NONE, 0
    if standing == COUNT_TO and (floor == _YIELD or min(since, age) >= _RESTED):
        standing, awaited = NO_TASK, NONE
    if standing in _AWAITING and awaited == NONE:
        awaited = trigger  # said last, it is told some ticks after the order has been understood
    if standing == NO_TASK:
        age = 0
    noted = before.written if notes and before.written != NONE else before.noted
    times = (age, quiet, lapse)
    return Tokens(floor, user, text, event, last, since, standing, named, *times, awaited, heard, written, noted)


def fed(tokens: Tokens) -> tuple[int, ...]:
    """Ids for the embedding tables, times as whole seconds and the ticks beyond them; at last the words: what was
    heard, and what is awaited."""
    times = [part for ticks in (tokens.age, tokens.quiet, tokens.lapse) for part in divmod(ticks, TICKS_PER_SECOND)]
    return (*tokens[:8], *times, tokens.heard, tokens.trigger)


def table_sizes(text_words: int, floors: int, users: int, events: int) -> tuple[int, ...]:
    """How many rows each of these tables has; the user's words have rows of their own."""
    decided = (floors, users, text_words, events, text_words, MAX_SINCE + 1, len(TASKS), text_words)
    return (*decided, *(SECONDS, TICKS_PER_SECOND) * 3)
