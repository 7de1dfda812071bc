"""What nano should do in every tick of a script: the targets, and the inputs that follow from doing it."""

from __future__ import annotations

import dataclasses
import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.interaction.nano.config import COPY, EVENTS, FLOORS, LEFT_STEPS, NONE, USERS, WORD_BUCKETS
from services.interaction.protocol import Voice
from training.phrases import COUNT_PACE_TICKS, Phrase
from training.scenes import TICK, Script, UserTurn

HEARD_AFTER = 6400  # a word is written down in the tick that holds its end + 400 ms
COLOUR_MEMORY_TICKS = 35
HOLD, TAKE, _, YIELD = range(len(FLOORS))
SILENT, SPEAKING, ENDED = range(len(USERS))
NO_EVENT, DELEGATE, CANCEL, DROP = range(len(EVENTS))
Ids = npt.NDArray[np.int64]


@dataclass(slots=True)
class Targets:
    """Per tick: the five decisions ``[T]``, where they count, and the pending inputs ``[T, 5]``."""

    floor: Ids
    user: Ids
    text: Ids
    heard: Ids
    event: Ids
    speak_counts: npt.NDArray[np.bool_]
    heard_counts: npt.NDArray[np.bool_]
    pending: Ids


def word_bucket(word: str) -> int:
    """Pending words enter by their hash; 0 is none."""
    return 1 + zlib.crc32(word.encode()) % WORD_BUCKETS if word else 0


def left_step(left: int) -> int:
    return sum(left >= step for step in LEFT_STEPS) - 1


class Oracle:
    """Knows the script, and reacts no earlier than a listener could."""

    def __init__(self, script: Script, text_ids: dict[str, int], heard_ids: dict[str, int]) -> None:
        self._script, self._text_ids, self._heard_ids = script, text_ids, heard_ids
        self._queue: deque[str] = deque()
        self._pace, self._wait = 1, 0
        self._saying_pending = False
        self._mouth = dataclasses.replace(script.mouth)
        self._pending: deque[str] = deque()
        self._arrivals: list[tuple[int, str]] = []
        self._running: list[int] = []  # ticks at which delegated tasks will have answered
        self._results = deque(script.results)
        self._decisions = {
            t.decision_tick + t.delay_ticks: t for t in script.turns if t.phrase is not None
        }
        self._yields = {t.yield_tick for t in script.turns if t.phrase is not None and t.kind != "typed"}
        self._in_turn = self._occupied()

    def _occupied(self) -> npt.NDArray[np.bool_]:
        """Ticks in which the user has the floor: from the first half tick of a turn until it is answered."""
        occupied = np.zeros(self._script.ticks + 8, dtype=bool)
        for turn in self._script.turns:
            if turn.phrase is not None and turn.kind != "typed":
                occupied[(turn.start + TICK // 2) // TICK : turn.decision_tick + turn.delay_ticks] = True
        return occupied

    def run(self) -> Targets:
        ticks = self._script.ticks
        floor, user, text, heard, event = np.zeros((5, ticks), dtype=np.int64)
        counts = np.ones((2, ticks), dtype=bool)
        pending = np.zeros((ticks, 5), dtype=np.int64)
        targets = Targets(floor, user, text, heard, event, counts[0], counts[1], pending)
        self._mark_user(targets)
        self._mark_heard(targets)
        for tick in range(ticks):
            self._deliver(tick)
            word = self._pending[0] if self._pending else ""
            targets.pending[tick] = (
                word_bucket(word),
                left_step(len(self._pending)),
                bool(self._running),
                self._script.gaps.get(tick, 0) > 0,
                self._mouth.state,
            )
            self._act(tick, targets)
            self._mouth.tick()
        for turn in self._script.turns:
            if turn.delay_ticks and turn.phrase is not None:
                targets.speak_counts[turn.decision_tick : turn.decision_tick + turn.delay_ticks] = False
        return targets

    def _deliver(self, tick: int) -> None:
        while self._arrivals and self._arrivals[0][0] <= tick:
            self._pending.append(self._arrivals.pop(0)[1])
        self._running = [due for due in self._running if due > tick]

    def _act(self, tick: int, targets: Targets) -> None:
        turn = self._decisions.get(tick)
        heard = self._mouth.state is not Voice.SILENT
        speaking = bool(self._queue) or self._saying_pending or heard
        if tick in self._yields and speaking and turn is None:
            self._queue.clear()
            self._saying_pending = False
            self._mouth.stop()
            targets.floor[tick] = YIELD
            return
        if turn is not None:
            self._saying_pending = False
            targets.event[tick] = self._answer(tick, turn)
        room = self._mouth.state is not Voice.BUSY
        if heard:
            targets.floor[tick] = TAKE
        if self._queue:
            targets.floor[tick] = TAKE
            self._wait -= 1
            if self._wait <= 0 and room:
                word = self._queue.popleft()
                self._mouth.say(word)
                targets.text[tick] = self._text_ids[word]
                self._wait = self._pace
            return
        free = not self._in_turn[tick]
        if self._pending and free and room:
            self._saying_pending = True
            self._mouth.say(self._pending.popleft())
            targets.floor[tick], targets.text[tick] = TAKE, COPY
        if not self._pending:
            self._saying_pending = False

    def _answer(self, tick: int, turn: UserTurn) -> int:
        """Queue the reply to a finished turn; returns the event."""
        phrase = turn.phrase
        assert phrase is not None
        self._queue = deque(self._reply(tick, phrase))
        self._pace = COUNT_PACE_TICKS if phrase.intent.startswith("count_") else 1
        self._wait = 0
        if phrase.delegate:
            self._delegate(tick)
            return DELEGATE
        if phrase.intent in ("cancel", "stop") and self._pending:
            self._pending.clear()
            self._arrivals.clear()
            return DROP
        if phrase.intent == "cancel" and self._running:
            self._running.clear()
            self._arrivals.clear()
            return CANCEL
        return NO_EVENT

    def _delegate(self, tick: int) -> None:
        words, delay, step = self._results.popleft()
        due = tick + max(2, delay)
        self._running.append(due)
        self._arrivals += [(due + step * (n // 2), word) for n, word in enumerate(words)]
        self._arrivals.sort(key=lambda arrival: arrival[0])

    def _reply(self, tick: int, phrase: Phrase) -> tuple[str, ...]:
        if phrase.intent != "colour":
            return phrase.reply
        seen = [colour for at, _, colour in self._script.pictures if tick - COLOUR_MEMORY_TICKS < at <= tick]
        return ("i", "see", seen[-1]) if seen else phrase.reply

    def _mark_user(self, targets: Targets) -> None:
        for turn in self._script.turns:
            for start, stop in turn.pieces:
                first, last = (start + TICK - 800) // TICK, (stop - 800) // TICK
                targets.user[first : last + 1] = SPEAKING
        for turn in self._script.turns:
            if turn.phrase is not None and turn.kind != "typed":
                targets.user[turn.decision_tick : turn.decision_tick + 1] = ENDED

    def _mark_heard(self, targets: Targets) -> None:
        """Each word once, in the first free tick at or after its due one; unknown timing or words don't count."""
        ticks = self._script.ticks
        free_from = 0
        for turn in sorted(self._script.turns, key=lambda t: t.start):
            if turn.kind == "typed":
                continue
            if turn.word_ends is None:
                targets.heard_counts[turn.start // TICK : turn.stop // TICK + 6] = False
                continue
            for word, end in zip(turn.text.split(), turn.word_ends, strict=True):
                tick = max((end + HEARD_AFTER) // TICK, free_from)
                free_from = tick + 1
                if tick >= ticks:
                    break
                if word in self._heard_ids:
                    targets.heard[tick] = self._heard_ids[word]
                else:
                    targets.heard_counts[tick] = False


def fed_back(targets: Targets, max_since: int) -> Ids:
    """What each tick is fed with, ``[T, 6]``: the former tick's decisions, the last word and the ticks since it."""
    ticks = len(targets.floor)
    fed = np.zeros((ticks, 6), dtype=np.int64)
    columns = (targets.floor, targets.user, targets.text, targets.event)
    for place, column in enumerate(columns):
        fed[1:, place] = column[:-1]
    last, since = NONE, max_since
    fed[0, 5] = max_since
    for tick in range(1, ticks):
        said = targets.text[tick - 1]
        last, since = (said, 0) if said != NONE else (last, min(since + 1, max_since))
        fed[tick, 4:] = (last, since)
    return fed
