"""Lays a scenario down: clips at their places, a room around them, what is expected when."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from infra.eval.clips import Take, digest, piece
from infra.eval.generate.phrases import BROADCASTS, Question
from infra.eval.scenario import RATE_HZ, Clip, Expectation, Role, Scenario, VideoEvent, Want, Word, ms_to_sample

VOICES = (
    "kokoro:af_bella", "kokoro:am_michael", "flite:awb", "kokoro:bf_emma", "piper:joe", "kokoro:bm_george", "flite:rms",
)  # fmt: skip
TIMED_VOICES = ("kokoro:af_bella", "kokoro:am_michael", "kokoro:bf_emma", "kokoro:bm_george")
BABBLE_DB = -20.0
COUNTED_AFTER_MS = 600
TURN_MS = 2000  # a reply may begin so late at most where nobody says otherwise

Takes = Callable[[str, str], Take]
"""Gives the take of a voice and a text, from the committed speech or fresh from an engine."""


@dataclass(slots=True)
class Scene:
    """A scenario in the making. ``at_ms`` counts from its begin; clips come to lie on any sample, not on ticks."""

    suite: str
    number: int
    rows: tuple[int, ...]
    takes: Takes
    voice: str = ""
    rng: random.Random = field(init=False)
    seed: int = field(init=False)
    gain_db: float = field(init=False)
    clips: list[Clip] = field(default_factory=list)
    video: list[VideoEvent] = field(default_factory=list)
    expect: list[Expectation] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    spoken_reply: str = ""
    delays_ms: dict[str, int] = field(default_factory=dict)
    template: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        name = f"{self.suite}/{self.number}"
        self.seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        self.rng = random.Random(name)
        self.gain_db = round(self.rng.uniform(-6.0, 3.0), 1)
        if not self.voice:
            self.voice = VOICES[self.number % len(VOICES)]

    # --- sound

    def start_ms(self, low: float = 600, high: float = 1400) -> float:
        """Where the first clip begins: on no border of anything."""
        return self.rng.randrange(round(low * 16), round(high * 16)) / 16

    def say(
        self, role: Role, text: str, at_ms: float, *, voice: str = "", gain_db: float | None = None
    ) -> Clip:
        """A whole take."""
        take = self.takes(voice or self.voice, text)
        start = ms_to_sample(at_ms)
        return self._add(
            Clip(
                id=f"{role.value}-{len(self.clips)}",
                role=role,
                voice=take.voice,
                text=text,
                start_sample=start,
                end_sample=start + len(take.pcm),
                gain_db=self.gain_db if gain_db is None else gain_db,
                words=_shifted(take.words, start),
                sha256=digest(take.pcm),
            )
        )

    def say_with_pause(self, barred: str, at_ms: float, pause_ms: float) -> tuple[Clip, Clip]:
        """A take cut at the bar, and what follows it a pause later."""
        before, _, after = (part.strip() for part in barred.partition("|"))
        take = self.takes(self.voice, f"{before} {after}")
        border = take.words[len(before.split()) - 1].end_sample
        start = ms_to_sample(at_ms)
        first = self._part(Role.TURN, take, before, (0, border), start)
        second = self._part(
            Role.CONTINUATION, take, after, (border, len(take.pcm)), first.end_sample + ms_to_sample(pause_ms)
        )
        return first, second

    def _part(self, role: Role, take: Take, text: str, span: tuple[int, int], start: int) -> Clip:
        begin, end = span
        words = [w for w in take.words if begin < w.end_sample <= end]
        return self._add(
            Clip(
                id=f"{role.value}-{len(self.clips)}",
                role=role,
                voice=take.voice,
                text=text,
                start_sample=start,
                end_sample=start + end - begin,
                gain_db=self.gain_db,
                words=_shifted(words, start - begin),
                sha256=digest(piece(take.pcm, begin, end)),
                take=take.text,
                take_begin=begin,
                take_end=end,
            )
        )

    def _add(self, clip: Clip) -> Clip:
        self.clips.append(clip)
        return clip

    def room(self, duration_ms: int) -> None:
        """What else is to be heard: nothing, a quiet noise, a louder one, or people talking far away."""
        drawn = self.rng.random()
        if drawn < 0.35:
            return
        if drawn > 0.85:
            for text in self.rng.sample(BROADCASTS, 3):
                voice = self.rng.choice([v for v in VOICES if v != self.voice])
                latest = max(1.0, duration_ms - 4000.0)
                self.say(Role.NOISE, text, self.rng.uniform(0, latest), voice=voice, gain_db=BABBLE_DB + self.gain_db)
            return
        kind = self.rng.choice(("white", "pink", "hum"))
        level = self.rng.uniform(-70, -55) if drawn < 0.7 else self.rng.uniform(-55, -45)
        self._add(
            Clip(
                id=f"noise-{len(self.clips)}",
                role=Role.NOISE,
                voice=f"noise:{kind}",
                start_sample=0,
                end_sample=ms_to_sample(duration_ms),
                gain_db=round(level, 1),
            )
        )

    # --- what is expected

    def want(self, want: Want, from_ms: float, to_ms: float, *, clip: Clip | None = None, meanings: Sequence[str] = (),
             simultaneous: bool = False, number: int = -1) -> None:  # fmt: skip
        self.expect.append(
            Expectation(
                want=want,
                from_ms=round(from_ms),
                to_ms=round(to_ms),
                clip=clip.id if clip else "",
                meanings=list(meanings),
                simultaneous=simultaneous,
                number=number,
            )
        )

    def ask(self, question: Question) -> None:
        """The background knows the answer, after a while."""
        self.results[question.key] = question.answer
        self.delays_ms[question.key] = question.delay_ms

    def ask_to_count(self, text: str, number: str, counted: str) -> None:
        """A model that has to ask how to count is told, as by any language model: ``to ten`` or ``until ten``."""
        word = "until" if f"until {number}" in text else "to"
        self.results[f"{word} {number}"] = counted.capitalize()
        self.delays_ms[f"{word} {number}"] = COUNTED_AFTER_MS

    def done(self, duration_ms: float) -> Scenario:
        """Round the length up to whole ticks, put the room around it, sort by time."""
        whole_ms = -(-round(duration_ms) // 200) * 200
        self.room(whole_ms)
        return Scenario(
            id=f"{self.suite}-{self.number:03d}",
            suite=self.suite,
            template=self.template,
            rows=list(self.rows),
            seed=self.seed,
            duration_ms=whole_ms,
            clips=sorted(self.clips, key=lambda c: (c.start_sample, c.id)),
            video=self.video,
            expect=self.expect,
            spoken_reply=self.spoken_reply,
            results=self.results,
            delays_ms=self.delays_ms,
            note=self.note,
        )


def start_of(clip: Clip) -> float:
    return clip.start_sample * 1000 / RATE_HZ


def end_of(clip: Clip) -> float:
    return clip.end_sample * 1000 / RATE_HZ


def _shifted(words: Sequence[Word], by: int) -> list[Word]:
    return [Word(text=w.text, start_sample=w.start_sample + by, end_sample=w.end_sample + by) for w in words]


