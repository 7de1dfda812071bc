"""Standing orders in a session and what comes of them: when nano should say which word."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.records import Manner
from services.interaction.nano.config import NUMBERS
from training.bank import Bank, Utterance
from training.phrases import BY_TEXT, Phrase
from training.script import TICK, Awaited, Due, Recipe, Script, UserTurn
from training.sight import LEAST_TICKS, Show, draw_show
from training.skills.words import KINDS, SPANISH
from training.synth import RATE_HZ

if TYPE_CHECKING:
    from training.scenes import Composer

SOUND_AFTER = 1.5  # ticks between the tick that brings a word and its sound, about
_CONFIRMED_S = (1.2, 2.4)  # from an order to what it is about: "okay" is said meanwhile
_CHOICE = 16  # sentences that those with a cue are chosen from
_ABOUT = 0.75  # of the sentences after an order have a cue
_TRIES = 400  # texts that are drawn for one that fits
_SHOWN = {"count": "repetitions", "watch": "appears", "action": "action", "fingers": "hand"}
_NUMBER = {word: n for n, word in enumerate(NUMBERS, 1)}


def answered(task: str, word: str, heard: str) -> str:
    """What a standing task says to a word of the user; "" for nothing."""
    kind, _, argument = task.partition(" ")
    if kind == "cue":
        return word if heard in KINDS[argument] else ""
    if kind == "over":
        return word if _NUMBER.get(heard, 0) > int(argument) else ""
    if task == "spanish numbers":
        return SPANISH.get(heard, "") if heard in _NUMBER else ""
    if task == "spanish colours":
        return SPANISH.get(heard, "") if heard not in _NUMBER else ""
    return ""


def corrected(numbers: list[str]) -> list[str]:
    """For each number of a count, the one that should have come instead, or ""."""
    out, expected = [], 1
    for heard in numbers:
        wrong = _NUMBER.get(heard, 0) != expected
        out.append(NUMBERS[expected - 1] if wrong else "")
        expected = _NUMBER.get(heard, 0) + 1
    return out


def lay(rng: random.Random, script: Script, show: Show) -> None:
    """The user shows it: its pictures, and what they tell."""
    script.pictures = [(tick, picture, show.colour(tick)) for tick, picture in show.pictures(rng)]
    script.sights = show.sights()
    if show.kind == "hand":
        script.fingers = [(first, until, int(event.label)) for first, until, event in show.spans()]


def await_triggers(script: Script) -> None:
    """What orders to listen for a word have to say: whenever it is said until another order or a "stop", whatever it is
    said in, as soon as it has been told. Where an engine does not tell when it was said, nobody knows."""
    turns = sorted(script.turns, key=lambda turn: turn.start)
    for number, order in enumerate(turns):
        if order.phrase is None or not order.phrase.trigger:
            continue
        for turn in turns[number + 1 :]:
            said = [] if turn.kind == "typed" else turn.text.split()
            if order.phrase.trigger in said:
                ends = turn.phrase is not None and _settles(turn.phrase)
                places = [n for n, word in enumerate(said) if word == order.phrase.trigger]
                if turn.word_ends is not None and not ends:
                    word, task = order.phrase.word, order.phrase.task
                    manner = Manner.WARNING if word else Manner.LIST
                    script.awaited += [Awaited(turn, n, word, task, manner, order) for n in places]
                else:
                    script.unsure.append((turn.start // TICK, turn.decision_tick))
            if turn.phrase is not None and _settles(turn.phrase):
                break


def _settles(phrase: Phrase) -> bool:
    """Whether what stood before it stands no more."""
    return bool(phrase.task) or phrase.intent in ("stop", "cancel")


class Errands:
    """Scenes that begin with an order. Each method lays one down and returns where the next scene may begin."""

    def __init__(self, composer: Composer, bank: Bank) -> None:
        self._composer, self._bank = composer, bank
        self._spoken: dict[str, Callable[[random.Random, Script, UserTurn], int]] = {
            "timer": self._once,
            "every": self._repeated,
            "clock": self._silence,
            "cue": self._cued,
            "over": self._cued,
            "hear": self._heard,
            "tally": self._heard,
            "check": self._counted,
            "spanish numbers": self._cued,
            "spanish colours": self._cued,
        }

    def scene(self, rng: random.Random, script: Script, at: int, recipe: Recipe) -> int | None:
        """Draw one; None when it did not fit."""
        room = script.ticks - at // TICK
        if rng.random() < recipe.sight and not script.pictures and room > LEAST_TICKS + 18:
            return self._seen(rng, script, at, recipe)
        kinds = {"timer": 0.24, "every": 0.16, "clock": 0.24, "cue": 0.4, "over": 0.14, "check": 0.1}
        kinds |= {"spanish numbers": 0.2, "spanish colours": 0.2, "hear": 0.4, "tally": 0.12}
        kinds = {kind: share for kind, share in kinds.items() if self._composer.has("order", kind)}
        if not kinds:
            return None
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        listens = kind in ("hear", "tally")
        text = self._listening(rng, kind) if listens else self._composer.draw_text(rng, "order", (kind,), script.voice)
        turn = self._composer.turn(rng, script, text, at) if text else None
        if turn is None:
            return None
        if rng.random() < recipe.brief:  # the user thinks better of it: another order follows at once
            if kind in ("timer", "every"):
                self._announce(script, turn, 3)
            following = self._after(rng, turn)
            return self.scene(rng, script, following, recipe) or following
        return self._spoken[kind](rng, script, turn)

    @staticmethod
    def _end(turn: UserTurn) -> int:
        return turn.stop if turn.kind != "typed" else turn.start

    def _due(
        self,
        script: Script,
        turn: UserTurn,
        at: float,
        word: str,
        manner: Manner = Manner.STATEMENT,
        late: int = 0,
    ) -> None:
        assert turn.phrase is not None
        script.dues.append(Due(int(at), word, turn.phrase.task, manner, late))

    def _after(self, rng: random.Random, turn: UserTurn) -> int:
        return self._end(turn) + int(rng.uniform(*_CONFIRMED_S) * RATE_HZ)

    # --- time --------------------------------------------------------------------------------------------------

    def _announce(self, script: Script, turn: UserTurn, times: int) -> int:
        """When a timer, or the first of what repeats, has to speak; returns the last such place."""
        assert turn.phrase is not None
        kind, seconds = turn.phrase.task.split()
        due = self._end(turn)
        for _ in range(times if kind == "every" else 1):
            due += int(seconds) * RATE_HZ
            self._due(script, turn, due / TICK - SOUND_AFTER, turn.phrase.word)
        return due

    def _once(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        due = self._announce(script, turn, 1)
        if due - self._end(turn) > 4 * RATE_HZ and rng.random() < 0.3:
            return self._after(rng, turn)  # and life goes on meanwhile
        return due + int(rng.uniform(0.7, 1.6) * RATE_HZ)

    def _repeated(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        due = self._announce(script, turn, rng.randint(2, 5))
        text = self._composer.draw_text(rng, "fixed", ("stop", "cancel"), script.voice)
        begin = due + int(rng.uniform(0.7, 1.2) * RATE_HZ)
        called_off = self._composer.turn(rng, script, text, begin) if text else None
        return begin + 2 * RATE_HZ if called_off is None else self._after(rng, called_off)

    def _silence(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        seconds = rng.uniform(1.6, 10.4)
        text = self._composer.draw_text(rng, "how_long", (), script.voice)
        begin = self._end(turn) + int(seconds * RATE_HZ)
        asked = self._composer.turn(rng, script, text, begin) if text else None
        if asked is None:
            return begin
        asked.lapse_s = seconds if asked.kind != "typed" else 0.0
        return self._end(asked) + int(rng.uniform(1.5, 2.5) * RATE_HZ)

    # --- while the user speaks -----------------------------------------------------------------------------------

    def _cued(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        assert turn.phrase is not None
        at = self._after(rng, turn)
        for take in self._carriers(rng, turn.phrase, rng.randint(1, 3), script.voice):
            said = self._composer.say(rng, script, take, "carriers", None, at)
            if said is None or said.word_ends is None:
                break
            for place, heard in enumerate(said.text.split()):
                if word := answered(turn.phrase.task, turn.phrase.word, heard):
                    script.awaited.append(Awaited(said, place, word, turn.phrase.task, Manner.WARNING))
            at = said.stop + int(rng.uniform(0.6, 2.0) * RATE_HZ)
        return at + int(rng.uniform(0.3, 1.0) * RATE_HZ)

    def _carriers(self, rng: random.Random, order: Phrase, count: int, voice: str) -> list[Utterance]:
        """Sentences of one voice, most of them with a word that the order is about: few hold one by chance."""
        told = self._bank.told
        drawn = told(rng, "carriers", _CHOICE, timed=True, voice=voice) or told(rng, "carriers", count, timed=True)
        about = [t for t in drawn if any(answered(order.task, order.word, word) for word in t.text.split())]
        others = [take for take in drawn if take not in about]
        chosen: list[Utterance] = []
        for _ in range(min(count, len(drawn))):
            first, second = (about, others) if rng.random() < _ABOUT else (others, about)
            chosen.append((first or second).pop())
        return chosen

    def _listening(self, rng: random.Random, kind: str) -> str | None:
        """An order to listen for a word that somebody says."""
        for _ in range(_TRIES):
            text = self._composer.draw_text(rng, "order", (kind,))
            if text is None or self._bank.says(BY_TEXT[text].trigger):
                return text
        return None

    def _heard(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        """Sentences with the awaited word among others without it; what is due comes of ``await_triggers``."""
        assert turn.phrase is not None
        at = self._after(rng, turn)
        count, others = rng.choice((0, 1, 1, 1, 2, 2)), rng.choice((0, 1, 1, 2))
        for take in self._bank.telling(rng, turn.phrase.trigger, count, others):
            said = self._composer.say(rng, script, take, "carriers", None, at)
            if said is None:
                break
            at = said.stop + int(rng.uniform(0.6, 2.0) * RATE_HZ)
        return at + int(rng.uniform(0.3, 1.0) * RATE_HZ)

    def _counted(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        at = self._after(rng, turn)
        for take in self._bank.told(rng, "countings", 1, timed=True, voice=script.voice):
            said = self._composer.say(rng, script, take, "countings", None, at)
            if said is None or said.word_ends is None:
                break
            assert turn.phrase is not None
            for place, word in enumerate(corrected(said.text.split())):
                if word:
                    script.awaited.append(Awaited(said, place, word, turn.phrase.task, Manner.CORRECTION))
            at = said.stop + int(rng.uniform(1.0, 2.0) * RATE_HZ)
        return at

    # --- what is seen --------------------------------------------------------------------------------------------

    def _seen(self, rng: random.Random, script: Script, at: int, recipe: Recipe) -> int | None:
        kind = rng.choice([*_SHOWN, "count"])  # a count is right only where every repetition is noticed
        begin = at // TICK + rng.randint(16, 26)  # the order is said meanwhile
        if begin > script.ticks - LEAST_TICKS:
            return None
        show = draw_show(rng, script.ticks, _SHOWN[kind], begin)
        asked_at = at if kind != "fingers" else int((show.marks[0] + rng.uniform(0, 4)) * TICK)
        text = self._asking(rng, kind, show)
        turn = self._composer.turn(rng, script, text, asked_at) if text else None
        if turn is None:
            return None
        lay(rng, script, show)
        moments = zip(show.marks, show.told, strict=True)
        marks = [show.seen(told) for mark, told in moments if mark * TICK > self._end(turn)]
        if kind == "fingers":
            return self._after(rng, turn)
        if kind == "action" and len(marks) < len(show.marks):
            marks = []  # it began before it was asked for
        for number, tick in enumerate(marks):
            said = NUMBERS[number % 20] if kind == "count" else ("start", "stop")[number % 2]
            late = rng.randint(1, 2) if rng.random() < recipe.late_sights else 0
            self._due(script, turn, tick, show.label if kind == "watch" else said, late=late)
        last = marks[-1] if marks else begin
        return (last + rng.randint(6, 12)) * TICK

    def _asking(self, rng: random.Random, kind: str, show: Show) -> str | None:
        if kind == "fingers":
            return self._composer.draw_text(rng, "fingers")
        if kind != "watch":
            return self._composer.draw_text(rng, "order", (kind,))
        wanted = f"watch {show.label}"
        for _ in range(_TRIES):
            text = self._composer.draw_text(rng, "order", ("watch",))
            if text is None or BY_TEXT[text].task == wanted:
                return text
        return None
