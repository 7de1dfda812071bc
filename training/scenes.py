"""Composes a session's user side: turns, pauses, interruptions, backchannels, stories, orders and their outcome."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from services.interaction.nano.config import TASKS
from training.bank import Bank, Utterance, stretched
from training.errands import Errands, await_triggers, lay
from training.mishearing import overhear
from training.mouth import Mouth
from training.phrases import BACKCHANNELS, BY_TEXT, COUNT_PACE_TICKS, Phrase, complete_prefix
from training.script import (
    PATIENCE_TICKS,
    SIGN_AFTER,
    SPOKEN_WORD_TICKS,
    TICK,
    Recipe,
    Samples,
    Script,
    UserTurn,
)
from training.shapes import show_shapes
from training.sight import KINDS, LEAST_TICKS, draw_show
from training.surround import lay_cough, surround
from training.synth import RATE_HZ

THROATS = {"flite:slt": (1.04, 0.76), "flite:kal": (1.2, 0.9), "flite:kal16": (1.2, 0.9)}
"""Flite has one woman and twice one man to train with: each session hears them with another throat. Over 1 is shorter:
higher, and faster by as much."""
HALTS = ("stop", "cancel", "wait")  # intents of somebody who wants it to stop
STUBBORN_TICKS = (6, 13)  # of who yields far too late, beyond the earliest tick
_KINDS = ("fixed", "count", "open", "order", "how_long", "fingers")


def cut_places(take: Utterance) -> list[int]:
    """Word counts after which a pause may come: what was said so far is no whole phrase of its own."""
    words = tuple(take.text.split())
    return [n for n in range(1, len(words)) if not complete_prefix(words, n)]


def kind_of(phrase: Phrase) -> str:
    """What a turn with this phrase is for the composer."""
    if phrase.task:
        return "order"
    if phrase.delegate:
        return "open"
    return "count" if phrase.intent.startswith("count_") else phrase.intent if phrase.intent in _KINDS else "fixed"


class Composer:
    """Draws scripts from a bank; the same generator state gives the same script."""

    def __init__(self, bank: Bank, recipe: Recipe, ticks: int) -> None:
        self._bank, self._recipe, self._ticks = bank, recipe, ticks
        self._texts: dict[str, dict[str, list[str]]] = {kind: {} for kind in _KINDS}
        for text in bank.takes:
            if text not in BACKCHANNELS:
                phrase = BY_TEXT[text]
                self._texts[kind_of(phrase)].setdefault(phrase.intent, []).append(text)
        framed = [text for text in bank.takes if text in BY_TEXT and BY_TEXT[text].framed]
        self._reframed = [text for text in framed if not BY_TEXT[text].task]
        self._errands = Errands(self, bank)

    def compose(self, rng: random.Random) -> Script:
        """One session."""
        recipe, total = self._recipe, self._ticks * TICK
        script = Script(self._ticks, np.zeros(total, dtype=np.float32), video=rng.random() < recipe.video)
        if rng.random() < recipe.voiced:
            script.mouth = Mouth.drawn(rng, rng.uniform(*recipe.speech_rate))
        if script.video:
            show_shapes(rng, script)
        at = int(rng.uniform(0.3, 2.0) * RATE_HZ)
        script.voice = self._bank.user(rng)
        script.gain = 10 ** (rng.uniform(-16, 3) / 20)
        script.factor = rng.uniform(*recipe.stretch)
        script.throat = rng.random()
        if not script.video and rng.random() < recipe.listening:
            self._listen(rng, script)
            at = total
        while at < total - RATE_HZ:
            following = self._scene(rng, script, at)
            if following is None:
                break
            at = following
        if not script.pictures and self._ticks > LEAST_TICKS and rng.random() < recipe.shown:
            begin = rng.randint(0, self._ticks - LEAST_TICKS)
            lay(rng, script, draw_show(rng, self._ticks, rng.choice(KINDS), begin))
        _hurry(script)
        await_triggers(script)
        overhear(rng, script, recipe.faults)
        surround(rng, script, self._bank, recipe)
        return script

    def _scene(self, rng: random.Random, script: Script, at: int) -> int | None:
        """The next thing that happens; where the one after it may begin, or None when it did not fit."""
        drawn, recipe = rng.random(), self._recipe
        if drawn < recipe.order:
            return self._errands.scene(rng, script, at, recipe)
        if drawn < recipe.order + recipe.story:
            return self._story(rng, script, at)
        if drawn < recipe.order + recipe.story + recipe.aside:
            return self._unanswered(rng, script, at)
        if drawn < recipe.order + recipe.story + recipe.aside + recipe.overheard:
            return self._overheard(rng, script, at) + int(rng.uniform(0.5, 2.5) * RATE_HZ)
        if rng.random() < recipe.lead:
            at = self._lead(rng, script, at)
        turn = self._turn(rng, script, at)
        return None if turn is None else self._afterwards(rng, script, turn)

    def _lead(self, rng: random.Random, script: Script, at: int) -> int:
        """Somebody announces a question; returns where it comes."""
        takes = self._bank.told(rng, "leads", 1, voice=script.voice)
        turn = self.say(rng, script, takes[0], "leads", None, at) if takes else None
        return at if turn is None else turn.stop + int(rng.uniform(*self._recipe.pause_s) * RATE_HZ)

    def _listen(self, rng: random.Random, script: Script) -> None:
        """One voice says whatever it says, with hardly a pause."""
        script.listening, at = True, int(rng.uniform(0.0, 0.5) * RATE_HZ)
        takes = self._bank.exact(rng)
        while takes:
            turn = self.say(rng, script, rng.choice(takes), "listened", None, at)
            if turn is None:
                return
            at = turn.stop + int(rng.uniform(0.05, 0.5) * RATE_HZ)

    def _story(self, rng: random.Random, script: Script, at: int) -> int | None:
        """Sentences of one voice with pauses between; a sign of listening is welcome at the end of each but the first:
        who says one sentence may well have said it to somebody else."""
        told = 0
        for take in self._bank.told(rng, "stories", rng.randint(1, 4), voice=script.voice):
            turn = self.say(rng, script, take, "stories", None, at)
            if turn is None:
                break
            told += 1
            if told > 1:
                script.signs.append((turn.stop + SIGN_AFTER) // TICK)
            at = turn.stop + int(rng.uniform(0.35, 1.2) * RATE_HZ)
        return at + int(rng.uniform(0.3, 2.0) * RATE_HZ) if told else None

    def _unanswered(self, rng: random.Random, script: Script, at: int) -> int | None:
        """Something that is said to somebody else, or to nobody."""
        turn = self._no_reason(rng, script, at, rng.choice(("asides", "asides", "hesitations")))
        return None if turn is None else turn.stop + int(rng.uniform(1.0, 2.5) * RATE_HZ)

    def _no_reason(self, rng: random.Random, script: Script, at: int, kind: str) -> UserTurn | None:
        """Words to somebody else, mostly a little quieter, or a hesitation; None when it did not fit."""
        takes = self._bank.told(rng, kind, 1, voice=script.voice)
        quieter_db = rng.uniform(0, 8) if kind == "asides" else 0.0
        return self.say(rng, script, takes[0], kind, None, at, quieter_db) if takes else None

    def _overheard(self, rng: random.Random, script: Script, at: int) -> int:
        """Somebody else says something that nano could be asked, a little farther away than the user: it is no reason
        to do anything, and whether to write it down is left open. Returns where it ends."""
        take = self._bank.stranger(rng, script.voice)
        if take is None:
            return at
        away = dataclasses.replace(take, word_ends=None, phones=None)
        turn = self.say(rng, script, away, "overheard", None, at, rng.uniform(4, 14))
        if turn is None:
            return at
        turn.pieces = []
        return turn.stop

    def _afterwards(self, rng: random.Random, script: Script, turn: UserTurn) -> int:
        """What follows a turn while nano answers it; returns where the next scene may begin."""
        assert turn.phrase is not None
        spoken = SPOKEN_WORD_TICKS * script.mouth.rate  # about as long as a word takes
        pace = max(COUNT_PACE_TICKS if turn.phrase.intent.startswith("count_") else 1, spoken)
        answer = turn.decision_tick * TICK
        reply_end = answer + int(len(turn.phrase.reply) * pace * TICK)
        weave_end = reply_end
        if turn.phrase.delegate:
            words, delay, _ = script.results[-1]
            weave_end = max(reply_end, answer + delay * TICK) + int(len(words) * max(1, spoken) * TICK)
        busy = weave_end if rng.random() < 0.55 else reply_end
        drawn = rng.random()
        speaking_from = answer if turn.kind != "typed" else answer + TICK
        if turn.phrase.delegate and rng.random() < 0.7:
            speaking_from = max(reply_end, answer + script.results[-1][1] * TICK)
        if drawn < self._recipe.interrupt:
            at = speaking_from + int(rng.uniform(0.25, 2.2 if spoken else 1.4) * RATE_HZ)
            return self._interrupting(rng, script, at)
        if drawn < self._recipe.interrupt + self._recipe.backchannel:
            at = speaking_from + int(rng.uniform(0.3, 1.2) * RATE_HZ)
            while at < weave_end:
                at = self._beside(rng, script, at) + int(rng.uniform(0.8, 3.0) * RATE_HZ)
        return max(busy, answer) + int(rng.uniform(0.4, 2.6) * RATE_HZ)

    def _interrupting(self, rng: random.Random, script: Script, at: int) -> int:
        """Some of those who interrupt want it to stop, half ask for something else, and say so; the next scene is what
        the others say."""
        drawn, text = rng.random(), None
        if drawn < self._recipe.halt:
            text = self.draw_text(rng, "fixed", HALTS, script.voice)
        elif self._reframed and drawn < self._recipe.halt + 0.5:
            text = self._bank.preferred(rng, self._reframed, script.voice)
        turn = self.turn(rng, script, text, at) if text else None
        return at if turn is None else self._afterwards(rng, script, turn)

    def _patience(self, rng: random.Random) -> int:
        """Mostly what a listener may take to be sure; sometimes far more, so that it learns to stop late, too."""
        drawn = rng.random()
        if drawn < self._recipe.stubborn:
            return rng.randint(*STUBBORN_TICKS)
        return rng.randint(1, PATIENCE_TICKS) if drawn < self._recipe.stubborn + self._recipe.patience else 0

    def _beside(self, rng: random.Random, script: Script, at: int) -> int:
        """Something that is no reason to stop: a sign of listening, words to somebody else, a hesitation, a cough.
        Returns where it ends."""
        kinds = {"backchannel": 0.2, "signs": 0.3, "asides": 0.18, "hesitations": 0.1, "overheard": 0.1, "cough": 0.12}
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "cough":
            lay_cough(rng, script.audio, min(at, len(script.audio) - RATE_HZ))
            return at
        if kind == "overheard":
            return self._overheard(rng, script, at)
        if kind == "backchannel":
            text = rng.choice([b for b in BACKCHANNELS if b in self._bank.takes])
            take = self._bank.pick(rng, text, voice=script.voice)
            turn = self.say(rng, script, take, kind, None, at)
        else:
            turn = self._no_reason(rng, script, at, kind)
        return at if turn is None else turn.stop

    def has(self, kind: str, intent: str) -> bool:
        """Whether the bank has a text of this kind with this intent."""
        return intent in self._texts[kind]

    def draw_text(
        self, rng: random.Random, kind: str, intents: tuple[str, ...] = (), voice: str = ""
    ) -> str | None:
        """A text of this kind, the intents alike often, mostly one that this voice says; None when the bank has
        none."""
        there = self._texts[kind]
        wanted = sorted(intent for intent in there if not intents or intent in intents)
        return self._bank.preferred(rng, there[rng.choice(wanted)], voice) if wanted else None

    def _turn(self, rng: random.Random, script: Script, start: int) -> UserTurn | None:
        kinds = {kind: share for kind, share in self._recipe.kinds.items() if self._texts[kind]}
        if not kinds:
            return None
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        colour = kind == "fixed" and script.video and "colour" in self._texts[kind] and rng.random() < 0.6
        text = self.draw_text(rng, kind, ("colour",) if colour else (), script.voice)
        assert text is not None
        return self.turn(rng, script, text, start)

    def turn(self, rng: random.Random, script: Script, text: str, start: int) -> UserTurn | None:
        """The user says, or types, ``text``; None when it would not fit."""
        phrase = BY_TEXT[text]
        if rng.random() < self._recipe.typed:
            turn = UserTurn("typed", text, phrase, start, start, [], None)
            script.turns.append(turn)
        else:
            pausing = rng.random() < self._recipe.pause
            take = self._bank.pick(rng, text, timed=pausing, voice=script.voice)
            placed = self.say(rng, script, take, "pause" if pausing else "plain", phrase, start)
            if placed is None:
                return None
            turn = placed
            turn.guess = _guess(rng, phrase, self._recipe.misjudged)
        if rng.random() < self._recipe.delays:
            turn.delay_ticks = rng.randint(1, 3) if rng.random() < 0.6 else rng.randint(4, 7)
        if phrase.delegate:
            count = rng.randint(2, 9) if rng.random() < 0.7 else rng.randint(10, 24)
            delay = rng.randint(*self._recipe.result_delay)
            words = [f"w{rng.randrange(100000)}" for _ in range(count)]
            script.results.append((words, delay, rng.choice((0, 0, 1, 2))))
        return turn

    def say(
        self,
        rng: random.Random,
        script: Script,
        take: Utterance,
        kind: str,
        phrase: Phrase | None,
        start: int,
        quieter_db: float = 0.0,
    ) -> UserTurn | None:
        """Lay a take down at ``start``, with a pause inside when asked for; None when it would not fit."""
        short, long = THROATS.get(take.voice.name, (1.0, 1.0))
        throat = short + (long - short) * script.throat
        samples, ends, phones = stretched(take, script.factor * throat * rng.uniform(0.98, 1.02))
        samples = samples * np.float32(script.gain * 10 ** ((rng.uniform(-2, 2) - quieter_db) / 20))
        cuts = cut_places(take)
        border, gap = len(samples), 0
        if kind == "pause" and ends is not None and cuts:
            border = ends[rng.choice(cuts) - 1]
            gap = int(rng.uniform(*self._recipe.pause_s) * RATE_HZ)
            _fade(samples, border)
        elif kind == "pause":
            kind = "plain"
        if start + len(samples) + gap + RATE_HZ // 2 > len(script.audio):
            return None
        pieces = []
        for first, last, shift in ((0, border, 0), (border, len(samples), gap)):
            if first < last:
                begin = start + first + shift
                script.audio[begin : begin + last - first] += samples[first:last]
                pieces.append((begin, begin + last - first))

        def placed(end: int) -> int:
            return start + (end if end <= border else end + gap)

        turn = UserTurn(
            kind,
            take.text,
            phrase,
            start,
            pieces[-1][1],
            pieces,
            None if ends is None else [placed(e) for e in ends],
            voice=take.voice.name,
            phones=None if phones is None else [(p, placed(e)) for p, e in phones],
            patience_ticks=self._patience(rng),
        )
        script.turns.append(turn)
        return turn


def _guess(rng: random.Random, phrase: Phrase, misjudged: float) -> str | None:
    """What a spoken order is taken for at first: see ``UserTurn``."""
    if not phrase.task or rng.random() >= misjudged:
        return None
    others = [task for task in TASKS[1:] if task != phrase.task]
    return rng.choice(others) if rng.random() < 0.5 else ""


def _hurry(script: Script) -> None:
    """An answer is not given late where something else is said meanwhile."""
    begins = [turn.start // TICK for turn in script.turns]
    for turn in script.turns:
        answered = range(turn.decision_tick, turn.decision_tick + turn.delay_ticks + 2)
        if turn.delay_ticks and turn.kind != "typed" and any(begin in answered for begin in begins):
            turn.delay_ticks = 0


def _fade(samples: Samples, border: int) -> None:
    """The sound falls before a cut and rises behind it, in 10 ms."""
    fade = min(160, border, len(samples) - border)
    if fade > 0:
        samples[border - fade : border] *= np.linspace(1, 0, fade, dtype=np.float32)
        samples[border : border + fade] *= np.linspace(0, 1, fade, dtype=np.float32)
