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
    NUMBERS,
    RECALL,
    TALLY,
    TASKS,
    TRANSLATED,
    USERS,
    USERS_WORD,
)

TICKS_PER_SECOND = 5
NO_TASK = 0
_SILENT, _YIELD = USERS.index("silent"), FLOORS.index("yield")
AWAITING = (HEAR, COUNT_TO, TALLY)  # tasks about a word of the user's
_RESTED = 8  # ticks without a number after which a count is over: a busy voice holds one up for three or four
_EVERY = frozenset(n for n, name in enumerate(TASKS) if name.startswith("every"))
_ONCE = frozenset(n for n, name in enumerate(TASKS) if name.startswith(("timer", "watch")))
SECONDS = MAX_TICKS // TICKS_PER_SECOND + 1
MAX_LIKELY = 127
_STEPS = 8  # of a score, in a logit
_LIKELY_FROM = -8.0  # the logit that scores 0
MAX_DOUBT = 1023
DOUBT_STEPS = 64  # of doubt, in a tick in which yielding is certain
SETTLING_TICKS = 8  # after an order in which its last words are still written down: it may be thought over
FORGETTING_TICKS = 15  # of silence: longer than a pause in an order, so what was said before is no part of the next
LAST_PLACE, TASK_PLACE, WORD_PLACE, AGE_PLACE, HEARD_PLACE, TRIGGER_PLACE = 4, 6, 7, 8, -2, -1  # in what is fed


class Tokens(NamedTuple):
    """Decisions of a tick (class ids) and the registers after it; ``last``, ``word`` and ``text`` are text ids,
    ``trigger``, ``heard`` and ``awaitable`` are ids of what is heard, ``written``, ``noted`` and ``sayable`` 1 + places
    in the lexicon, all times are ticks, and what is likely is told by ``score``."""

    floor: int = 0
    user: int = 0
    text: int = NONE
    event: int = 0
    last: int = NONE  # the last word of its own that it said
    since: int = MAX_SINCE  # ticks since
    task: int = NO_TASK  # place in ``TASKS``
    word: int = NONE  # what the task is to say, where that does not follow from what happens: one of its own, or
    # ``USERS_WORD``, the one in ``noted``
    age: int = 0  # since the task was set, or a repeating one last spoke
    quiet: int = 0  # since the user spoke
    lapse: int = 0  # the user's last silence of ``BREAK_TICKS`` and more
    trigger: int = NONE  # the word of the user's that ``hear`` waits for, or ``count to`` ends with
    heard: int = NONE  # the word of the user's that was written down; one more than the last for one that is not known
    written: int = NONE  # the same word's place in the lexicon, which knows more of them
    noted: int = NONE  # the user's word that the standing task is to say, if it is to say one
    sayable: int = NONE  # of the words written down since the last order, the likeliest that it is asked to say
    say_score: int = 0  # how likely it was; less with every tick
    awaitable: int = NONE  # the likeliest that it is asked to listen for
    await_score: int = 0
    settling: int = 0  # ticks since the task was set, up to ``SETTLING_TICKS``
    counted: int = 0  # the number that it counted last since then, or lately where no task stands
    doubt: int = 0  # how much speaks for yielding, of this tick and those before: see ``doubted``


LIMITS = Tokens(0, 0, 0, 0, 0, MAX_SINCE + 1, len(TASKS), 0, *(MAX_TICKS + 1,) * 3, 0, 0, 0, 0)._replace(
    say_score=MAX_LIKELY + 1,
    await_score=MAX_LIKELY + 1,
    settling=SETTLING_TICKS + 1,
    counted=len(NUMBERS) + 1,
    doubt=MAX_DOUBT + 1,
)
"""Exclusive upper bounds of what does not depend on vocabularies."""


class Pointed(NamedTuple):
    """How likely the word written down in the tick before is one to say, or to listen for (scores; 0: not at all), and
    the number that is said now, if it is one of a count."""

    say: int = 0
    listen: int = 0
    number: int = 0


NOTHING_POINTED = Pointed()


def score(logit: float) -> int:
    """A likelihood as a whole number, 0 to ``MAX_LIKELY``, for registers are whole numbers."""
    return max(0, min(MAX_LIKELY, round((logit - _LIKELY_FROM) * _STEPS)))


def doubted(before: int, likely: float, keep: float) -> int:
    """How much speaks for yielding, in ``DOUBT_STEPS`` of a certain tick: what the model thinks ``likely`` now
    and, less with every tick, what it thought before. A whole number, as registers are."""
    return min(MAX_DOUBT, int(before * keep) + round(likely * DOUBT_STEPS))


def reachable(at: float, keep: float) -> bool:
    """Whether doubt can come to ``at`` certain ticks and is forgotten again."""
    return 0 <= at <= MAX_DOUBT / DOUBT_STEPS and 0 <= keep <= 1


def recalled(before: Tokens) -> int:
    """The text id of the standing task's word: one of its own, ``RECALL`` for one of the user's, ``NONE`` for none."""
    if before.word == USERS_WORD:
        return RECALL
    return before.word if before.word > TRANSLATED else NONE


def measured(before: Tokens) -> int:
    """Seconds of the user's last silence, as they are said: 1 to 20; 0 where there was none. The tick in which the user
    begins is counted to the silence."""
    if not before.lapse:
        return 0
    return max(1, min(len(NUMBERS), round((before.lapse - 1) / TICKS_PER_SECOND)))


def next_number(before: Tokens, task: int) -> int:
    """The number after the one that was counted last, 1 to 20; 0 beyond. ``task`` is the tick's: a new one begins
    anew."""
    goes_on = task == KEEP or (task - 1 == before.task and not begins(before, task))
    counted = before.counted if goes_on else 0
    return counted + 1 if counted < len(NUMBERS) else 0


def begins(before: Tokens, task: int) -> bool:
    """Whether a task begins, or ends, by this class of the task head: not where all is left as it is, nor where a task
    that has just been set is thought over, for meanwhile more of the order has been written down."""
    thinks_again = before.task != NO_TASK and before.settling < SETTLING_TICKS
    return task - 1 == NO_TASK or (task != KEEP and not thinks_again)


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
    pointed: Pointed = NOTHING_POINTED,
) -> Tokens:
    """The tokens of a tick with these decisions. ``task`` is the task head's class: ``KEEP``, or 1 + the new task,
    which corrects one that has just been set but keeps its time. ``trigger`` counts while a task about a word of the
    user's stands and has none: then none was written down, as when the order was typed. A count is over when it is
    interrupted or nothing has been said for a while."""
    last, since = (text, 0) if text != NONE else (before.last, min(before.since + 1, MAX_SINCE))
    speaks = user != _SILENT and before.user != _SILENT  # a single tick may be a cough
    lapse = before.quiet if speaks and before.quiet > BREAK_TICKS else before.lapse
    quiet = 0 if speaks else min(before.quiet + 1, MAX_TICKS)
    standing, named, age = before.task, before.word, min(before.age + 1, MAX_TICKS)
    awaited, noted = before.trigger, before.noted
    settling, counted = min(before.settling + 1, SETTLING_TICKS), before.counted
    sayable = _likeliest(before.written, pointed.say, before.sayable, before.say_score)
    awaitable = _likeliest(before.heard, pointed.listen, before.awaitable, before.await_score)
    if begins(before, task):
        age = settling = since if since < SETTLING_TICKS else 0  # it counts from what was answered
        standing, named = task - 1, word if task - 1 != NO_TASK else NONE
        awaited, noted, counted = NONE, NONE, 0
    elif task != KEEP:
        if task - 1 != standing:
            awaited, counted = NONE, 0
        standing, named = task - 1, word
    elif text != NONE and text == recalled(before):
        if standing in _EVERY:
            age = 0
        elif standing in _ONCE:
            standing, named, age = NO_TASK, NONE, 0
    counted = pointed.number or counted
    if standing == COUNT_TO and (floor == _YIELD or min(since, age) >= _RESTED):
        standing, awaited = NO_TASK, NONE
    if settling < SETTLING_TICKS:  # what is said last is written down some ticks after the order has been understood
        noted = sayable[0] or noted
        awaited = (awaitable[0] or awaited) if standing in AWAITING else awaited
    if standing in AWAITING and awaited == NONE:
        awaited = trigger
    if quiet >= FORGETTING_TICKS or before.settling < settling == SETTLING_TICKS:
        sayable = awaitable = (NONE, 0)
    if standing == NO_TASK:
        age, settling, noted = 0, SETTLING_TICKS, NONE
        counted = counted if since < _RESTED else 0
    times, words = (age, quiet, lapse), (awaited, heard, written, noted)
    last_ones = (*sayable, *awaitable, settling, counted)
    return Tokens(floor, user, text, event, last, since, standing, named, *times, *words, *last_ones)


def _likeliest(word: int, likely: int, kept: int, kept_likely: int) -> tuple[int, int]:
    """A word and its score: the newer one, unless the one that is kept was likelier, less an eighth of a logit for each
    tick since."""
    kept_likely = max(kept_likely - 1, 0)
    if word != NONE and likely and likely >= kept_likely:
        return word, likely
    return (kept, kept_likely) if kept_likely else (NONE, 0)


def fed(tokens: Tokens) -> tuple[int, ...]:
    """Ids for the embedding tables, times as whole seconds and the ticks beyond them; at last the words: what was
    heard, and what is awaited."""
    times = [part for ticks in (tokens.age, tokens.quiet, tokens.lapse) for part in divmod(ticks, TICKS_PER_SECOND)]
    return (*tokens[:8], *times, tokens.heard, tokens.trigger)


def table_sizes(text_words: int, floors: int, users: int, events: int) -> tuple[int, ...]:
    """How many rows each of these tables has; the user's words have rows of their own."""
    decided = (floors, users, text_words, events, text_words, MAX_SINCE + 1, len(TASKS), text_words)
    return (*decided, *(SECONDS, TICKS_PER_SECOND) * 3)
