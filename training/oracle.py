"""What nano should do in every tick of a script: the targets, and the inputs that follow from doing it."""

from __future__ import annotations

import dataclasses
from collections import deque

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from services.interaction.nano.config import (
    COPY,
    COUNT_TO,
    KEEP,
    MANNERS,
    MEASURED,
    NEXT,
    NONE,
    NUMBERS,
    RECALL,
    TASKS,
    TRANSLATED,
    USERS_WORD,
)
from services.interaction.nano.pending import left_step, word_bucket
from services.interaction.nano.pointing import Pointing
from services.interaction.nano.registers import Pointed, Tokens, fed, moved
from services.interaction.protocol import Voice
from training.phones import UNKNOWN
from training.phrases import COUNT_PACE_TICKS, Phrase
from training.script import DUE_TICKS, PATIENCE_TICKS, RECONSIDER_TICKS, TICK, Due, Script, UserTurn
from training.skills.words import LISTENING, SPANISH
from training.targets import (
    BACKCHANNEL,
    CANCEL,
    DELEGATE,
    DROP,
    NO_EVENT,
    TAKE,
    YIELD,
    Ids,
    Targets,
    mark,
)

COLOUR_MEMORY_TICKS = 35
UNTOLD_TICKS = 3  # after an order that waits for a word which was misheard
OCCUPYING = ("stories", "carriers", "countings", "leads")
ONCE = ("timer", "watch")
READ_OFF = ("how_long", "fingers")  # intents whose answer is to be read off a register or a picture
COUNTING = ("count", "tally", TASKS[COUNT_TO])
IN_SPANISH = ("spanish numbers", "spanish colours")
ASKING = ("greet", "help")  # intents that are answered by a question


def yields_at(turn: UserTurn) -> int:
    """The tick in which nano falls silent for somebody who speaks over its voice: when its patience ends, but while it
    is spoken to, and before it answers. What is over so soon that it is answered at once needs no yield: then that is a
    tick before ``yield_tick``."""
    last = turn.stop // TICK if turn.phrase is None else turn.decision_tick + turn.delay_ticks - 1
    return min(turn.yield_tick + turn.patience_ticks, last)


class Oracle:
    """Knows the script, and reacts no earlier than a listener could."""

    def __init__(self, script: Script, text_ids: dict[str, int], heard_ids: dict[str, int]) -> None:
        self._script, self._text_ids, self._heard_ids = script, text_ids, heard_ids
        self._queue: deque[str] = deque()
        self._pace, self._wait = 1, 0
        self._by_task = False  # what is queued is what a task has to say, or was measured
        self._saying_pending = False
        self._mouth = dataclasses.replace(script.mouth)
        self._pending: deque[str] = deque()
        self._arrivals: list[tuple[int, str]] = []
        self._running: list[int] = []  # ticks at which delegated tasks will have answered
        self._results = deque(script.results)
        self._decisions = {t.decision_tick + t.delay_ticks: t for t in script.turns if t.phrase is not None}
        self._yields = {at for t in script.turns if self._interrupts(t) and (at := yields_at(t)) >= t.yield_tick}
        self._in_turn = self._occupied()
        self._dues = deque(sorted(script.dues, key=lambda due: due.tick))
        self._late: list[Due] = []
        self._signs = set(script.signs)
        self._task, self._named, self._last = "none", "", ""
        self._counted = 0  # the last number of a count, as the register has it
        self._measured = ""  # the number of seconds that is to be said
        self._sayable = True  # the task's word is one of its own, or one that it could note
        self._awaiting: tuple[int, int, bool] | None = None  # from which tick on, which word, and whether it was told
        self._manner = Manner.STATEMENT

    @staticmethod
    def _interrupts(turn: UserTurn) -> bool:
        return turn.kind != "typed" and (turn.phrase is not None or turn.kind in OCCUPYING)

    def _occupied(self) -> npt.NDArray[np.bool_]:
        """Ticks in which the user has the floor: from the first half tick of a turn until it is answered."""
        occupied = np.zeros(self._script.ticks + 8, dtype=bool)
        for turn in self._script.turns:
            if turn.kind in OCCUPYING or (turn.phrase is not None and turn.kind != "typed"):
                occupied[(turn.start + TICK // 2) // TICK : turn.decision_tick + turn.delay_ticks] = True
        return occupied

    def run(self) -> Targets:
        ticks = self._script.ticks
        targets = Targets.nothing(ticks)
        mark(self._script, targets, self._heard_ids)
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
            self._name_trigger(tick, targets)
            self._mouth.tick()
        for due in self._late:
            targets.speak_counts[due.tick : due.tick + due.delay_ticks] = False
        for turn in self._script.turns:
            if turn.delay_ticks and turn.phrase is not None:
                answer = turn.decision_tick + turn.delay_ticks
                targets.overdue[turn.decision_tick : answer] = answer if answer < ticks else UNKNOWN
        for turn in self._script.turns:
            if self._interrupts(turn):
                begin, end = turn.yield_tick, yields_at(turn)
                sure = min(begin + PATIENCE_TICKS, end)
                targets.speak_counts[begin:sure] &= targets.floor[begin:sure] != TAKE
                goes_on = (targets.floor[sure:end] == TAKE) & (targets.overdue[sure:end] == UNKNOWN)
                targets.overdue[sure:end][goes_on] = end
        for turn in self._script.turns:
            for tick, pointing in ((turn.note_tick, targets.note), (turn.listen_tick, targets.listen)):
                if tick >= 0:
                    pointing[tick : tick + 1] = 1
        for first, end in self._script.unsure:
            targets.speak_counts[first:end] = False
        if self._script.listening:
            targets.speak_counts[:] = False
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
            targets.event[tick] = self._answer(tick, turn, targets)
        self._meet_dues(tick, targets)
        room = self._mouth.state is not Voice.BUSY
        if heard:
            targets.floor[tick] = TAKE
        if self._queue:
            targets.floor[tick] = TAKE
            self._wait -= 1
            if self._wait <= 0 and room:
                self._say(tick, targets, self._queue.popleft())
                targets.due_counts[tick] = self._by_task
                self._wait = self._pace
            return
        if tick in self._signs and not heard:
            self._manner = Manner.BACKCHANNEL
            self._say(tick, targets, self._sign())
            targets.floor[tick] = BACKCHANNEL
            return
        free = not self._in_turn[tick]
        if self._pending and free and room:
            self._saying_pending = True
            self._last = ""
            self._mouth.say(self._pending.popleft())
            targets.floor[tick], targets.text[tick] = TAKE, COPY
        if not self._pending:
            self._saying_pending = False

    def _say(self, tick: int, targets: Targets, word: str) -> None:
        self._mouth.say(word)
        self._last = word
        targets.text[tick] = self._pointing(tick, word)
        targets.manner[tick] = MANNERS.index(self._manner)
        if self._task.startswith(ONCE) and word == self._named:
            self._task, self._named = "none", ""

    def _pointing(self, tick: int, word: str) -> int:
        """The text id by which a word is said: one that points at it, where there is one."""
        if word == self._named:
            return RECALL
        if self._by_task and word == self._measured:
            self._measured = ""
            return MEASURED
        if word in NUMBERS:
            counted, self._counted = self._counted, NUMBERS.index(word) + 1
            if self._task in COUNTING and self._counted == counted + 1:
                return NEXT
        if self._by_task and word == SPANISH.get(self._script.told.get(tick - 1, "")) and self._task in IN_SPANISH:
            return TRANSLATED
        return self._text_ids[word]

    def _name_trigger(self, tick: int, targets: Targets) -> None:
        """Once an order to listen for a word is understood: which word, as soon as it has been told."""
        if self._awaiting is None:
            return
        due, trigger, told = self._awaiting
        targets.trigger_counts[tick] = told
        if tick >= due:
            targets.trigger[tick], self._awaiting = trigger, None

    def _sign(self) -> str:
        """Signs of listening take turns."""
        place = LISTENING.index(self._last) + 1 if self._last in LISTENING else 0
        return LISTENING[place % len(LISTENING)]

    def _meet_dues(self, tick: int, targets: Targets) -> None:
        """What a standing task has to say now, if the task still stands and nothing else is being said; nobody knows
        where it could not know its word."""
        while self._dues and self._dues[0].tick + DUE_TICKS < tick:
            self._dues.popleft()
        come = self._dues and self._dues[0].tick + self._dues[0].delay_ticks <= tick
        if come and not self._queue and self._mouth.state is not Voice.BUSY:
            due = self._dues.popleft()
            if due.word not in self._text_ids and not (self._sayable and due.word == self._named):
                targets.speak_counts[tick : tick + DUE_TICKS] = False
            elif due.task == self._task:
                self._late.append(due)
                self._queue.append(due.word)
                self._by_task = True
                self._pace, self._wait, self._manner = 1, 0, due.manner

    def _answer(self, tick: int, turn: UserTurn, targets: Targets) -> int:
        """Queue the reply to a finished turn; returns the event."""
        phrase = turn.phrase
        assert phrase is not None
        targets.task[tick : tick + RECONSIDER_TICKS] = KEEP  # there is something else to think about
        if self._task == TASKS[COUNT_TO] and not self._queue:  # it has ended: the registers know by themselves
            self._task, self._awaiting = "none", None
        self._queue = deque(self._reply(tick, turn))
        self._by_task = phrase.intent in READ_OFF
        self._manner = manner_of(phrase)
        self._pace = COUNT_PACE_TICKS if phrase.intent.startswith("count_") else 1
        self._wait = 0
        if phrase.task:
            self._counted = 0
            self._task, self._named = phrase.task, phrase.word
            targets.task[tick] = 1 + TASKS.index(phrase.task)
            targets.word[tick] = self._text_ids.get(phrase.word, USERS_WORD) if phrase.word else NONE
            self._sayable = phrase.word in self._text_ids or turn.note_tick >= 0
            if turn.kind != "typed":
                self._reconsider(tick, turn, targets)
            self._await_word(tick, turn, phrase.trigger)
        elif phrase.ends_with and self._task == "none":
            self._task, self._named, self._counted = TASKS[COUNT_TO], "", 0
            targets.task[tick] = 1 + COUNT_TO
            self._await_word(tick, turn, phrase.ends_with)
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
        if phrase.intent in ("cancel", "stop") and self._task != "none":
            self._task, self._named, self._awaiting = "none", "", None
            targets.task[tick] = 1
        return NO_EVENT

    @staticmethod
    def _reconsider(tick: int, turn: UserTurn, targets: Targets) -> None:
        """An order may be misjudged while it is only heard; what it was is seen when its words have been told."""
        again = tick + RECONSIDER_TICKS
        if again < len(targets.task):
            targets.task[again], targets.word[again] = targets.task[tick], targets.word[tick]
            if turn.guess is not None:
                targets.meant[tick] = targets.task[tick]
                targets.task[tick] = 1 + TASKS.index(turn.guess) if turn.guess else KEEP

    def _await_word(self, tick: int, turn: UserTurn, word: str) -> None:
        """From when on the register's word is known, if a task has one that comes from the user's words."""
        told = turn.trigger_tick >= 0
        due = turn.trigger_tick if told else tick + UNTOLD_TICKS
        self._awaiting = (due, self._heard_ids[word], told) if word else None

    def _delegate(self, tick: int) -> None:
        words, delay, step = self._results.popleft()
        due = tick + max(2, delay)
        self._running.append(due)
        self._arrivals += [(due + step * (n // 2), word) for n, word in enumerate(words)]
        self._arrivals.sort(key=lambda arrival: arrival[0])

    def _reply(self, tick: int, turn: UserTurn) -> tuple[str, ...]:
        phrase = turn.phrase
        assert phrase is not None
        if phrase.intent == "how_long" and turn.lapse_s:
            self._measured = NUMBERS[round(turn.lapse_s) - 1]
            return (self._measured, "seconds")
        if phrase.intent == "fingers":
            shown = [count for first, until, count in self._script.fingers if first <= tick < until]
            return (("zero", *NUMBERS)[shown[-1]],) if shown else phrase.reply
        if phrase.intent != "colour":
            return phrase.reply
        seen = [colour for at, _, colour in self._script.pictures if tick - COLOUR_MEMORY_TICKS < at <= tick and colour]
        return ("i", "see", seen[-1]) if seen else phrase.reply


def manner_of(phrase: Phrase) -> Manner:
    """How the reply to a phrase sounds."""
    if phrase.intent.startswith("count_"):
        return Manner.LIST
    return Manner.QUESTION if phrase.intent in ASKING else Manner.STATEMENT


def fed_back(targets: Targets, heard: Ids, pointing: Pointing) -> Ids:
    """What each tick is fed with, ``[T, 16]``: the tokens of the tick before, as the service moves them. ``heard [T]``
    is what is written down of the user's words, rightly or not."""
    return np.array([fed(before) for before in [Tokens(), *tokens_of(targets, heard, pointing)[:-1]]], dtype=np.int64)


def tokens_of(targets: Targets, heard: Ids, pointing: Pointing) -> list[Tokens]:
    """What stands after each tick, as the service moves it, but for which of the user's words may be one to say."""
    made, before = [], Tokens()
    decided = (targets.floor, targets.user, targets.text, targets.event, targets.task, targets.word, targets.trigger)
    columns = (*decided, heard)
    for floor, user, text, event, task, word, trigger, told in zip(*(c.tolist() for c in columns), strict=True):
        said = pointing.meant(text, before, task)
        pointed = Pointed(number=pointing.counted(text, said))
        before = moved(before, floor, user, said, event, task, word, trigger, told, pointed=pointed)
        made.append(before)
    return made
