"""The suites of time and sight: cues while the user speaks, the clock, the camera. See docs/behaviour.md."""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.generate.compose import TIMED_VOICES, VOICES, Scene, Takes, end_of
from infra.eval.generate.phrases import (
    COUNT_MOVES,
    CUES,
    EVERY,
    HOW_LONG,
    NUMBER_WORDS,
    TIMER_WORDS,
    TIMERS,
    WATCH_FOR,
    WATCH_MOVES,
    WATCH_THE_CLOCK,
)
from infra.eval.scenario import RATE_HZ, Role, Scenario, VideoEvent, Want

ITEMS = 3  # sentences of each kind of cue; those that come twice lie elsewhere in other surroundings
CUE_MS = 2000  # a cue is answered within this, while the user speaks on
ON_TIME_MS = 500
SEEN_MS = 2000  # a start or stop is told within this
BALLS = ("orange", "violet", "turquoise", "pink")
NUMBERS = "one two three four five six seven eight".split()


def cue_speak(takes: Takes) -> Iterator[Scenario]:
    """Row 7: first what to listen for, then a long sentence with the cue in it; it must be answered at once."""
    for number in range(40):
        instruction, items = CUES[number % len(CUES)]
        item = number // len(CUES) % ITEMS
        barred, meaning = items[item]
        voice = TIMED_VOICES[(number % len(CUES) + item) % len(TIMED_VOICES)]
        scene = Scene("cue-speak", number, (7,), takes, voice=voice)
        scene.template = instruction
        told = scene.say(Role.TURN, instruction, scene.start_ms(300, 800))
        before, cue, _ = barred.split("|")
        text = barred.replace("|", "")
        clip = scene.say(Role.TURN, text, end_of(told) + scene.rng.uniform(1700, 2300))
        place = len(before.split()) + len(cue.split()) - 1
        heard_ms = clip.words[place].end_sample * 1000 / RATE_HZ
        scene.want(Want.SAY, heard_ms, heard_ms + CUE_MS, clip=clip, meanings=[meaning], simultaneous=True)
        scene.note = f"the cue is {cue!r}, word {place + 1}"
        yield scene.done(end_of(clip) + 1000)


def time_speak(takes: Takes) -> Iterator[Scenario]:
    """Row 8: a word after so many seconds, a word every few seconds, how long a silence was."""
    for number in range(42):
        kind = ("timer", "how long", "timer", "every")[number % 4]
        scene = Scene("time-speak", number, (8,), takes, voice=VOICES[(number + 2) % len(VOICES)])
        scene.template = kind
        yield {"timer": _timer, "how long": _how_long, "every": _every}[kind](scene, number)


def _timer(scene: Scene, number: int) -> Scenario:
    seconds = (3, 4, 5, 6)[number // 2 % 4]
    word = TIMER_WORDS[number // 2 % len(TIMER_WORDS)]
    text = TIMERS[number // 2 % len(TIMERS)].format(word=word, n=NUMBER_WORDS[seconds])
    clip = scene.say(Role.TURN, text, scene.start_ms())
    due_ms = end_of(clip) + 1000 * seconds
    scene.want(Want.SAY, due_ms - ON_TIME_MS, due_ms + ON_TIME_MS, clip=clip, meanings=[word])
    return scene.done(due_ms + 1600)


def _every(scene: Scene, number: int) -> Scenario:
    seconds = (2, 3)[number // 4 % 2]
    word = TIMER_WORDS[(number // 4 + 5) % len(TIMER_WORDS)]
    text = EVERY[number // 4 % len(EVERY)].format(word=word, n=NUMBER_WORDS[seconds])
    clip = scene.say(Role.TURN, text, scene.start_ms())
    for step in range(1, 4):
        due_ms = end_of(clip) + 1000 * seconds * step
        scene.want(Want.SAY, due_ms - ON_TIME_MS, due_ms + ON_TIME_MS, clip=clip, meanings=[word])
    return scene.done(due_ms + 1200)


def _how_long(scene: Scene, number: int) -> Scenario:
    seconds = (3, 4, 5, 6)[number // 4 % 4]
    word = NUMBER_WORDS[seconds]
    told = scene.say(Role.TURN, WATCH_THE_CLOCK[number // 4 % len(WATCH_THE_CLOCK)], scene.start_ms())
    asked = scene.say(Role.TURN, HOW_LONG[number // 4 % len(HOW_LONG)], end_of(told) + 1000 * seconds)
    scene.want(Want.SAY, end_of(asked), end_of(asked) + 2500, clip=asked, meanings=[f"{word}|{seconds}"])
    return scene.done(end_of(asked) + 2800)


def visual(takes: Takes) -> Iterator[Scenario]:
    """Row 9: counting repetitions, something that appears, something that begins and ends."""
    for number in range(42):
        kind = ("count", "appears", "start and stop")[number % 3]
        scene = Scene("visual", number, (9,), takes, voice=VOICES[(number + 3) % len(VOICES)])
        scene.template = kind
        yield {"count": _count, "appears": _appears, "start and stop": _start_and_stop}[kind](scene, number // 3)


def _count(scene: Scene, number: int) -> Scenario:
    clip = scene.say(Role.TURN, COUNT_MOVES[number % len(COUNT_MOVES)], scene.start_ms(300, 900))
    count, period_ms = 3 + number % 4, scene.rng.randrange(1000, 1600)
    begin_ms = round(end_of(clip) + scene.rng.uniform(1600, 2400))
    marks = [begin_ms + period_ms * n for n in range(1, count + 1)]
    params: dict[str, float | str] = {"period_ms": float(period_ms), "height": scene.rng.choice((14.0, 20.0, 26.0))}
    scene.video.append(
        VideoEvent(kind="jumps", start_ms=begin_ms, end_ms=marks[-1], params=params | _place(scene), marks_ms=marks)
    )
    for n, mark in enumerate(marks):
        until_ms = marks[n + 1] if n + 1 < count else mark + 2000
        scene.want(Want.SAY, mark, until_ms, clip=clip, meanings=[f"{NUMBERS[n]}|{n + 1}"], number=n + 1)
    return scene.done(marks[-1] + 2200)


def _appears(scene: Scene, number: int) -> Scenario:
    colour = BALLS[number % len(BALLS)]
    clip = scene.say(
        Role.TURN, WATCH_FOR[number // 2 % len(WATCH_FOR)].format(colour=colour), scene.start_ms(300, 900)
    )
    appears_ms = round(end_of(clip) + scene.rng.uniform(2400, 5200))
    end_ms = appears_ms + 4000
    if number % 2:  # another one comes first
        other = BALLS[(number + 1 + number // 4 % 3) % len(BALLS)]
        first_ms = round(end_of(clip) + 1600)
        scene.video.append(
            VideoEvent(kind="ball", start_ms=first_ms, end_ms=end_ms, params={"colour": other, **_place(scene)})
        )
    params: dict[str, float | str] = {"colour": colour, **_place(scene)}
    scene.video.append(
        VideoEvent(kind="ball", start_ms=appears_ms, end_ms=end_ms, params=params, marks_ms=[appears_ms])
    )
    scene.want(Want.SAY, appears_ms, end_ms, clip=clip, meanings=[colour])
    return scene.done(end_ms)


def _start_and_stop(scene: Scene, number: int) -> Scenario:
    clip = scene.say(Role.TURN, WATCH_MOVES[number % len(WATCH_MOVES)], scene.start_ms(300, 900))
    begin_ms = round(end_of(clip) + scene.rng.uniform(1900, 2800))
    end_ms = round(begin_ms + scene.rng.uniform(2600, 4200))
    params: dict[str, float | str] = {"turn_ms": float(scene.rng.randrange(1100, 2200)), **_place(scene)}
    scene.video.append(
        VideoEvent(
            kind="action_wheel", start_ms=begin_ms, end_ms=end_ms, params=params, marks_ms=[begin_ms, end_ms]
        )
    )
    scene.want(Want.SAY, begin_ms, begin_ms + SEEN_MS, clip=clip, meanings=["start"])
    scene.want(Want.SAY, end_ms, end_ms + SEEN_MS, clip=clip, meanings=["stop"])
    return scene.done(end_ms + SEEN_MS + 200)


def _place(scene: Scene) -> dict[str, float | str]:
    """Where in the picture, as shares of its width."""
    return {"x": round(scene.rng.uniform(0.25, 0.75), 2), "size": round(scene.rng.uniform(0.8, 1.2), 2)}
