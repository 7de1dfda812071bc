"""The targets of a session, and those of them that its script alone decides: what is to be heard and seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from services.interaction.nano.config import AUDIO_TOKENS, COLOURS, EVENTS, FLOORS, PHONES_A_TOKEN, USERS
from training.phones import PAUSE, UNKNOWN
from training.script import TICK, Script, written
from training.sight import SIGHTS

ENDING_TICKS = 3
HEARINGS = AUDIO_TOKENS * PHONES_A_TOKEN  # phones that are named in a tick
HEARING = TICK // HEARINGS
HOLD, TAKE, BACKCHANNEL, YIELD = range(len(FLOORS))
SILENT, SPEAKING, ENDED = range(len(USERS))
NO_EVENT, DELEGATE, CANCEL, DROP = range(len(EVENTS))
NOTHING_SEEN = 0
Ids = npt.NDArray[np.int64]


@dataclass(slots=True)
class Targets:
    """Per tick: the decisions ``[T]``, where they count (``trigger_counts``: while an order waits for its word,
    ``due_counts``: where a task says something, or what was measured), and the pending inputs ``[T, 5]``. What is
    done late on purpose is ``overdue`` before, which has the tick that it is done in; ``meant`` is the class of the
    task where another one is guessed; both are ``UNKNOWN`` elsewhere: see ``wanted``. The others are hints, and
    ``UNKNOWN`` where nothing is known: ``phones`` of the audio tokens' halves ``[8 T]``; ``sight`` (0, or 1 + what of
    ``SIGHTS`` is seen to happen), ``colour`` and ``fingers`` that are seen, ``[T]``."""

    floor: Ids
    user: Ids
    text: Ids
    heard: Ids
    event: Ids
    task: Ids
    word: Ids
    manner: Ids
    ending: Ids
    trigger: Ids
    note: Ids
    listen: Ids
    trigger_counts: npt.NDArray[np.bool_]
    due_counts: npt.NDArray[np.bool_]
    meant: Ids
    overdue: Ids
    phones: Ids
    sight: Ids
    colour: Ids
    fingers: Ids
    speak_counts: npt.NDArray[np.bool_]
    heard_counts: npt.NDArray[np.bool_]
    pending: Ids

    @classmethod
    def nothing(cls, ticks: int) -> Targets:
        """Of a session in which nothing happens."""
        made: dict[str, npt.NDArray[Any]] = {field.name: np.zeros(ticks, np.int64) for field in fields(cls)}
        made |= {name: np.full(ticks, UNKNOWN, np.int64) for name in ("sight", "colour", "fingers", "meant", "overdue")}
        made |= {name: np.ones(ticks, bool) for name in ("speak_counts", "heard_counts")}
        made |= {name: np.zeros(ticks, bool) for name in ("trigger_counts", "due_counts")}
        made["phones"] = np.full(ticks * HEARINGS, UNKNOWN, np.int64)
        made["pending"] = np.zeros((ticks, 5), np.int64)
        return cls(**made)

    def wanted(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be learned, by name: what is done in these ticks, but to do what is overdue, and to understand
        what is misjudged."""
        wanted = {field.name: getattr(self, field.name) for field in fields(self)}
        wanted["task"] = np.where(self.meant == UNKNOWN, self.task, self.meant)
        late = self.overdue != UNKNOWN
        at = np.where(late, self.overdue, np.arange(len(late)))
        wanted |= {name: wanted[name][at] for name in ("floor", "text", "event", "task", "word", "manner")}
        wanted["due_counts"] = self.due_counts & ~late
        del wanted["overdue"], wanted["meant"], wanted["pending"]
        return wanted


def mark(script: Script, targets: Targets, heard_ids: Mapping[str, int]) -> None:
    """What is to be heard and seen, whatever nano does: when the user speaks, phones and words, and the sights."""
    _mark_user(script, targets)
    _mark_phones(script, targets)
    _mark_sights(script, targets)
    _mark_heard(script, targets, heard_ids)


def _mark_user(script: Script, targets: Targets) -> None:
    for turn in script.turns:
        for start, stop in turn.pieces:
            first, last = (start + TICK - 800) // TICK, (stop - 800) // TICK
            targets.user[first : last + 1] = SPEAKING
    for turn in script.turns:
        if turn.phrase is not None and turn.kind != "typed":
            targets.user[turn.decision_tick : turn.decision_tick + 1] = ENDED
            targets.ending[max(0, turn.decision_tick - ENDING_TICKS) : turn.decision_tick] = 1


def _mark_phones(script: Script, targets: Targets) -> None:
    """Half an audio token names the phone that sounded one tick before its middle: a pause where nobody speaks to
    nano, whatever else sounds. Of an engine that does not tell its phones nothing is known."""
    middle = HEARING // 2 - TICK
    targets.phones[:] = PAUSE
    for turn in script.turns:
        if turn.phones is None:
            if turn.kind != "typed":
                first, last = ((at - middle) // HEARING for at in (turn.start, turn.stop))
                targets.phones[max(first - 1, 0) : last + 2] = UNKNOWN
            continue
        places = [UNKNOWN, *(phone for phone, _ in turn.phones), UNKNOWN]
        ends = [turn.start, *(end for _, end in turn.phones)]
        first, last = (turn.start - middle) // HEARING, (ends[-1] - middle) // HEARING + 1
        at = np.arange(max(first, 0), min(last, len(targets.phones)))
        which = np.searchsorted(np.array(ends), at * HEARING + middle, side="right")
        named = np.array(places)[which]
        beyond = (which == 0) | (which > len(turn.phones))
        targets.phones[at] = np.where(beyond, targets.phones[at], named)


def _mark_sights(script: Script, targets: Targets) -> None:
    """Of the ticks from the first picture on; what stands there to be named, where a picture shows it."""
    if not script.pictures:
        return
    targets.sight[script.pictures[0][0] :] = NOTHING_SEEN
    for tick, name in script.sights:
        targets.sight[tick] = 1 + SIGHTS.index(name)
    for tick, _, colour in script.pictures:
        if colour:
            targets.colour[tick] = COLOURS.index(colour)
        for first, until, count in script.fingers:
            if first <= tick < until:
                targets.fingers[tick] = count


def _mark_heard(script: Script, targets: Targets, heard_ids: Mapping[str, int]) -> None:
    """Each word once, in the first free tick at or after its due one; unknown timing or words don't count."""
    for turn in script.turns:
        if turn.kind != "typed" and turn.word_ends is None:
            targets.heard_counts[turn.start // TICK : turn.stop // TICK + 6] = False
    for _, word, tick in written(script.turns):
        if tick >= script.ticks:
            continue
        if word in heard_ids:
            targets.heard[tick] = heard_ids[word]
        else:
            targets.heard_counts[tick] = False
