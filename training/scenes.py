"""Composes a session's user side: turns, pauses, interruptions, backchannels, typed text, pictures, other sounds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.encoder.video import HEIGHT, WIDTH
from training.bank import Bank, Utterance, stretched
from training.mouth import Mouth
from training.phrases import BACKCHANNELS, BY_TEXT, COLOURS, COUNT_PACE_TICKS, Phrase, complete_prefix
from training.synth import RATE_HZ

TICK = 3200
DECIDE_AFTER = 2400  # a turn is answered in the tick that holds its end + 150 ms
SPOKEN_WORD_TICKS = 1.7
YIELD_AFTER = 4800  # an interruption is yielded to in the tick that holds its begin + 300 ms
Samples = npt.NDArray[np.float32]

_RGB = {
    "red": (215, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 70, 210),
    "yellow": (230, 210, 40),
    "white": (240, 240, 240),
    "purple": (140, 50, 170),
}


@dataclass(slots=True)
class UserTurn:
    """One thing the user does. ``phrase`` is None for a backchannel. Places are samples of the session."""

    kind: str  # plain, pause, interruption, backchannel, typed
    text: str
    phrase: Phrase | None
    start: int
    stop: int
    pieces: list[tuple[int, int]]  # where there is speech
    word_ends: list[int] | None
    delay_ticks: int = 0
    voice: str = ""

    @property
    def decision_tick(self) -> int:
        return (self.stop + DECIDE_AFTER) // TICK if self.kind != "typed" else self.start // TICK

    @property
    def yield_tick(self) -> int:
        return (self.start + YIELD_AFTER) // TICK if self.kind != "typed" else self.start // TICK


@dataclass(slots=True)
class Script:
    """A whole session's user side. ``results`` plans each delegation's answer: words and delay, in order."""

    ticks: int
    audio: Samples
    turns: list[UserTurn] = field(default_factory=list)
    pictures: list[tuple[int, npt.NDArray[np.uint8], str]] = field(default_factory=list)
    results: list[tuple[list[str], int, int]] = field(default_factory=list)  # words, delay, ticks between pieces
    gaps: dict[int, int] = field(default_factory=dict)  # tick: milliseconds that never arrived
    video: bool = False
    mouth: Mouth = field(default_factory=Mouth)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shares of what happens in a session; evaluation sets them to study one skill at a time."""

    pause: float = 0.4
    interrupt: float = 0.3
    backchannel: float = 0.22
    typed: float = 0.08
    video: float = 0.25
    delays: float = 0.15
    noise_db: tuple[float, float] = (-85.0, -38.0)
    digital_silence: float = 0.25
    noise_gate: float = 0.1
    babble: float = 0.15
    gaps: float = 0.1
    stalls: float = 0.1
    reverb: float = 0.2
    equaliser: float = 0.3
    stretch: tuple[float, float] = (0.87, 1.15)
    pause_s: tuple[float, float] = (0.5, 2.0)
    result_delay: tuple[int, int] = (4, 22)
    voiced: float = 0.85  # sessions in which nano's words are spoken, and so take their time
    speech_rate: tuple[float, float] = (0.75, 1.3)
    kinds: dict[str, float] = field(default_factory=lambda: {"fixed": 0.46, "count": 0.14, "open": 0.40})


def cut_places(take: Utterance) -> list[int]:
    """Word counts after which a pause may come: what was said so far is no whole phrase of its own."""
    words = tuple(take.text.split())
    return [n for n in range(1, len(words)) if not complete_prefix(words, n)]


class Composer:
    """Draws scripts from a bank; the same generator state gives the same script."""

    def __init__(self, bank: Bank, recipe: Recipe, ticks: int) -> None:
        self._bank, self._recipe, self._ticks = bank, recipe, ticks
        self._texts: dict[str, dict[str, list[str]]] = {"fixed": {}, "count": {}, "open": {}}
        for text in bank.takes:
            if text in BACKCHANNELS:
                continue
            phrase = BY_TEXT[text]
            kind = "open" if phrase.delegate else "count" if phrase.intent.startswith("count_") else "fixed"
            self._texts[kind].setdefault(phrase.intent, []).append(text)

    def compose(self, rng: random.Random) -> Script:
        """One session."""
        recipe, total = self._recipe, self._ticks * TICK
        script = Script(self._ticks, np.zeros(total, dtype=np.float32), video=rng.random() < recipe.video)
        if rng.random() < recipe.voiced:
            script.mouth = Mouth.drawn(rng, rng.uniform(*recipe.speech_rate))
        if script.video:
            self._show(rng, script)
        at = int(rng.uniform(0.3, 2.0) * RATE_HZ)
        gain = 10 ** (rng.uniform(-16, 3) / 20)
        factor = rng.uniform(*recipe.stretch)
        while at < total - RATE_HZ:
            turn = self._turn(rng, script, at, gain, factor)
            if turn is None:
                break
            at = self._afterwards(rng, script, turn, gain, factor)
        self._surround(rng, script)
        return script

    def _afterwards(self, rng: random.Random, script: Script, turn: UserTurn, gain: float, factor: float) -> int:
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
        if drawn < self._recipe.interrupt:
            if turn.phrase.delegate and rng.random() < 0.7:
                speaking_from = max(reply_end, answer + script.results[-1][1] * TICK)
            return speaking_from + int(rng.uniform(0.25, 2.2 if spoken else 1.4) * RATE_HZ)
        if drawn < self._recipe.interrupt + self._recipe.backchannel:
            start = speaking_from + int(rng.uniform(0.3, 1.2) * RATE_HZ)
            text = rng.choice([b for b in BACKCHANNELS if b in self._bank.takes])
            take = self._bank.pick(rng, text)
            self._say(rng, script, take, "backchannel", None, start, gain, factor)
        return max(busy, answer) + int(rng.uniform(0.4, 2.6) * RATE_HZ)

    def _turn(
        self, rng: random.Random, script: Script, start: int, gain: float, factor: float
    ) -> UserTurn | None:
        kinds = {kind: share for kind, share in self._recipe.kinds.items() if self._texts[kind]}
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        intents = self._texts[kind]
        intent = rng.choice(sorted(intents))
        if kind == "fixed" and script.video and "colour" in intents and rng.random() < 0.6:
            intent = "colour"
        text = rng.choice(intents[intent])
        phrase = BY_TEXT[text]
        if rng.random() < self._recipe.typed:
            turn = UserTurn("typed", text, phrase, start, start, [], None)
            script.turns.append(turn)
        else:
            pausing = rng.random() < self._recipe.pause
            take = self._bank.pick(rng, text, timed=pausing)
            placed = self._say(rng, script, take, "pause" if pausing else "plain", phrase, start, gain, factor)
            if placed is None:
                return None
            turn = placed
        if rng.random() < self._recipe.delays:
            turn.delay_ticks = rng.randint(1, 3)
        if phrase.delegate:
            count = rng.randint(2, 9)
            delay = rng.randint(*self._recipe.result_delay)
            words = [f"w{rng.randrange(100000)}" for _ in range(count)]
            script.results.append((words, delay, rng.choice((0, 0, 1, 2))))
        return turn

    def _say(
        self,
        rng: random.Random,
        script: Script,
        take: Utterance,
        kind: str,
        phrase: Phrase | None,
        start: int,
        gain: float,
        factor: float,
    ) -> UserTurn | None:
        """Lay a take down at ``start``, with a pause inside when asked for; None when it would not fit."""
        samples, ends = stretched(take, factor * rng.uniform(0.98, 1.02))
        samples = samples * np.float32(gain * 10 ** (rng.uniform(-2, 2) / 20))
        cuts = cut_places(take)
        pieces = [(0, len(samples))]
        gap = 0
        if kind == "pause" and ends is not None and cuts:
            border = ends[rng.choice(cuts) - 1]
            gap = int(rng.uniform(*self._recipe.pause_s) * RATE_HZ)
            fade = min(160, border, len(samples) - border)
            if fade > 0:
                samples[border - fade : border] *= np.linspace(1, 0, fade, dtype=np.float32)
                samples[border : border + fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            pieces = [(0, border), (border, len(samples))]
            ends = [e if e <= border else e + gap for e in ends]
        elif kind == "pause":
            kind = "plain"
        if start + len(samples) + gap + RATE_HZ // 2 > len(script.audio):
            return None
        placed = []
        for number, (first, last) in enumerate(pieces):
            begin = start + first + number * gap
            script.audio[begin : begin + last - first] += samples[first:last]
            placed.append((begin, begin + last - first))
        word_ends = None if ends is None else [start + e for e in ends]
        turn = UserTurn(kind, take.text, phrase, start, placed[-1][1], placed, word_ends, voice=take.voice.name)
        script.turns.append(turn)
        return turn

    def _surround(self, rng: random.Random, script: Script) -> None:
        """Room, other people, noise, filters, lost packets."""
        recipe, audio = self._recipe, script.audio
        generator = np.random.default_rng(rng.randrange(2**32))
        if rng.random() < recipe.reverb:
            tail = int(rng.uniform(0.05, 0.25) * RATE_HZ)
            decay = generator.standard_normal(tail).astype(np.float32) * np.exp(-6.0 * np.arange(tail) / tail)
            size = 1 << (len(audio) + tail).bit_length()
            wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(decay, size), size)[: len(audio)]
            audio += (wet * (rng.uniform(0.02, 0.06))).astype(np.float32)
        if rng.random() < recipe.babble:
            text = rng.choice(list(self._bank.takes))
            other, _ = stretched(self._bank.pick(rng, text), rng.uniform(0.9, 1.1))
            at = rng.randrange(max(1, len(audio) - len(other)))
            level = 10 ** (rng.uniform(-34, -24) / 20)
            audio[at : at + len(other)] += other[: len(audio) - at] * np.float32(level)
        audio += self._background(rng, generator, audio)
        if rng.random() < recipe.equaliser:
            audio[:] = _equalised(generator, audio)
        tilt = np.float32(rng.uniform(-0.35, 0.35))
        audio[1:] += tilt * audio[:-1].copy()
        if rng.random() < recipe.gaps:
            for _ in range(rng.randint(1, 3)):
                tick, lost = rng.randrange(script.ticks), rng.choice((20, 40, 60, 100))
                at = tick * TICK + rng.randrange(0, TICK - lost * 16 + 1)
                audio[at : at + lost * 16] = 0.0
                script.gaps[tick] = lost
        if rng.random() < recipe.stalls:
            self._stall(rng, script)

    def _stall(self, rng: random.Random, script: Script) -> None:
        """A client that sends nothing for a while: whole frames are gaps. Only where nobody speaks."""
        first, count = rng.randrange(script.ticks), rng.randint(2, 15)
        for tick in range(first, min(script.ticks, first + count)):
            begin, end = tick * TICK, (tick + 1) * TICK
            if any(start < end and begin < stop for turn in script.turns for start, stop in turn.pieces):
                break
            script.audio[begin:end] = 0.0
            script.gaps[tick] = 200

    def _background(self, rng: random.Random, generator: np.random.Generator, audio: Samples) -> Samples:
        """Noise around the voices; often none at all: muted and gated microphones send exact zeros between words."""
        draw = rng.random()
        if draw < self._recipe.digital_silence:
            return np.zeros_like(audio)
        level = np.float32(10 ** (rng.uniform(*self._recipe.noise_db) / 20))
        noise = _noise(generator, len(audio), rng.choice((0.0, 0.7, 0.95))) * level
        if draw < self._recipe.digital_silence + self._recipe.noise_gate:
            loud = np.abs(audio).reshape(-1, 800).max(axis=1) > 1e-3  # gates open and close in steps of 50 ms
            loud[1:] |= loud[:-1].copy()
            noise = noise * np.repeat(loud, 800)
        return noise

    def _show(self, rng: random.Random, script: Script) -> None:
        """A picture every few ticks; now and then the colour changes."""
        every, tick, until = rng.choice((2, 3, 5)), rng.randrange(3), 0
        colour, shape = "", (0, 0, 0, 0)
        while tick < script.ticks:
            if tick >= until:
                colour = rng.choice(COLOURS)
                shape = (rng.randrange(10, 60), rng.randrange(15, 95), rng.randrange(14, 40), rng.randrange(2))
                until = tick + rng.randint(18, 45)
            script.pictures.append((tick, picture(rng, colour, shape), colour))
            tick += every


def picture(rng: random.Random, colour: str, shape: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """A shape (row, column, radius, round or square) of a colour on a dull ground, uint8 ``[80, 120, 3]``."""
    generator = np.random.default_rng(rng.randrange(2**32))
    ground = rng.uniform(20, 130)
    image = ground + generator.normal(0, 6, (HEIGHT, WIDTH, 1)) + np.linspace(-15, 15, WIDTH)[None, :, None]
    image = np.repeat(image, 3, axis=2)
    row, column, radius, square = shape
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    down, across = abs(rows - row - rng.randint(-2, 2)), abs(columns - column - rng.randint(-2, 2))
    inside = np.maximum(down, across) < radius if square else down**2 + across**2 < radius**2
    image[inside] = np.array(_RGB[colour]) * rng.uniform(0.75, 1.05) + generator.normal(0, 8, 3)
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)


def _equalised(generator: np.random.Generator, audio: Samples) -> Samples:
    """The audio through a smooth random curve of some decibels: microphones, and a little of other throats."""
    spectrum = np.fft.rfft(audio)
    octaves = np.log2(np.maximum(np.linspace(0, RATE_HZ / 2, len(spectrum)), 62.5))
    knots = np.linspace(octaves[0], octaves[-1], 9)
    curve = 10 ** (np.interp(octaves, knots, generator.normal(0, 3.0, len(knots))) / 20)
    return np.fft.irfft(spectrum * curve, len(audio)).astype(np.float32)


def _noise(generator: np.random.Generator, length: int, colour: float) -> Samples:
    """Noise of unit variance; ``colour`` 0 is white, towards 1 it darkens."""
    white = generator.standard_normal(length, dtype=np.float32)
    if colour == 0.0:
        return white
    taps = (colour ** np.arange(64)).astype(np.float32)
    dark = np.convolve(white, taps, mode="same")
    return np.asarray(dark / dark.std(), dtype=np.float32)
