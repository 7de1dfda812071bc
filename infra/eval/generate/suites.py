"""The suites of spoken conversation: turns and pauses, stories, overlaps, delegation. See docs/behaviour.md."""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.generate.compose import TIMED_VOICES, TURN_MS, VOICES, Scene, Takes, end_of, start_of
from infra.eval.generate.phrases import (
    ASIDES,
    BACKCHANNELS,
    BROADCASTS,
    CHAT,
    COUNT_INSTEAD,
    COUNT_REQUESTS,
    HOLD_UP,
    LONG_QUESTIONS,
    NEVER_MIND,
    NOISE_TICS,
    NUMBER_WORDS,
    PAUSED,
    PAUSED_OPENINGS,
    QUESTIONS,
    SLOW_QUESTIONS,
    STORIES,
    VOICED_TICS,
    Question,
)
from infra.eval.scenario import Clip, Role, Scenario, Want

TENS = ("ten", "nine")
COUNTED = "one two three four five six seven eight nine ten"
SELECTIVE_MS = 2000  # how long after its end an event may still draw a reaction
LISTENED_FOR_MS = 1000  # how long a model that talks on is watched
YIELD_MS = 2000
COUNTS_INSTEAD = (3, 4, 5)


def turn_taking(takes: Takes) -> Iterator[Scenario]:
    """Rows 1 and 2: two turns, one of them with a pause for thought of 0.5 to 2 s at a word's border."""
    for number in range(44):
        barred, question = _paused(number)
        voice = _timed_voice(takes, number, barred)
        scene = Scene("turn-taking", number, (1, 2), takes, voice=voice)
        if question is not None:
            scene.ask(question)
        pause_ms = (500, 800, 1100, 1400, 1700, 2000)[number % 6] + scene.rng.uniform(-60, 60)
        pause_first = number % 2 == 0
        scene.template = "pause first" if pause_first else "pause second"
        ends: list[Clip] = []
        at_ms = scene.start_ms()
        for place in range(2):
            if pause_first == (place == 0):
                first, last = scene.say_with_pause(barred, at_ms, pause_ms)
                scene.want(Want.SILENCE, end_of(first), start_of(last), clip=first)
            else:
                last = scene.say(Role.TURN, CHAT[number % len(CHAT)], at_ms)
            ends.append(last)
            at_ms = end_of(last) + scene.rng.uniform(4600, 5200)
        second = min(c.start_sample for c in scene.clips if c.start_sample > ends[0].end_sample) / 16
        scene.want(Want.REPLY, end_of(ends[0]), second, clip=ends[0])
        scene.want(Want.REPLY, end_of(ends[1]), end_of(ends[1]) + 3800, clip=ends[1])
        yield scene.done(end_of(ends[1]) + 4000)


def _paused(number: int) -> tuple[str, Question | None]:
    """A turn with a bar where the pause comes; two of three look something up."""
    if number % 3 == 2:
        return PAUSED[number // 3 % len(PAUSED)], None
    question = QUESTIONS[number % len(QUESTIONS)]
    return f"{PAUSED_OPENINGS[number % len(PAUSED_OPENINGS)]} {question.text}", question


def _timed_voice(takes: Takes, number: int, barred: str) -> str:
    """A voice whose engine tells the words' ends in this text."""
    voice = VOICES[number % len(VOICES)]
    text = " ".join(barred.replace("|", " ").split())
    timed = voice.startswith("kokoro:") or (voice.startswith("flite:") and takes(voice, text).words)
    return voice if timed else TIMED_VOICES[number % len(TIMED_VOICES)]


def backchannel(takes: Takes) -> Iterator[Scenario]:
    """Row 3: a story of four sentences; a sign of listening is welcome within 0.5 s of the end of each but the last."""
    for number in range(40):
        story = STORIES[number % len(STORIES)]
        voice = VOICES[(number % len(STORIES) + 3) % len(VOICES)]
        scene = Scene("backchannel", number, (3,), takes, voice=voice)
        scene.template = f"story {number % len(STORIES)}"
        at_ms = scene.start_ms()
        for place, sentence in enumerate(story):
            clip = scene.say(Role.CONTINUATION if place else Role.TURN, sentence, at_ms)
            at_ms = end_of(clip) + scene.rng.uniform(350, 1100)
        for clip in scene.clips[:-1]:
            scene.want(Want.BACKCHANNEL, end_of(clip) - 500, end_of(clip) + 500, clip=clip)
        scene.want(Want.SILENCE, start_of(scene.clips[0]), end_of(scene.clips[-1]), clip=scene.clips[-1])
        yield scene.done(end_of(scene.clips[-1]) + 1500)


def _make_it_talk(scene: Scene, number: int) -> tuple[Clip, float]:
    """A request for something long; gives its clip, and when after its end the model should be in the middle of it."""
    at_ms = scene.start_ms()
    if number % 4 == 3:
        question = _long_question(scene, number)
        scene.ask(question)
        scene.spoken_reply = question.answer
        clip = scene.say(Role.TURN, question.text, at_ms)
        until_ms = 4200.0
    else:
        voice, again = VOICES.index(scene.voice), number // len(VOICES) % 3  # three requests by each voice
        ten = TENS[(voice + again) % len(TENS)]
        text = COUNT_REQUESTS[(voice + 2 * again) % len(COUNT_REQUESTS)].format(ten)
        clip = scene.say(Role.TURN, text, at_ms)
        scene.spoken_reply = " ".join(COUNTED.split()[: 10 - TENS.index(ten)])
        scene.ask_to_count(text, ten, scene.spoken_reply)
        until_ms = 2300.0
    scene.template = f"{scene.template} long answer" if number % 4 == 3 else f"{scene.template} counting"
    return clip, until_ms + scene.rng.uniform(-300, 500)


def _long_question(scene: Scene, number: int) -> Question:
    """One of the two that this voice asks."""
    return LONG_QUESTIONS[(2 * VOICES.index(scene.voice) + number // len(VOICES) % 2) % len(LONG_QUESTIONS)]


def selectivity(takes: Takes) -> Iterator[Scenario]:
    """Row 4 (and 6): sounds that ask for nothing while the model speaks (a backchannel twice), and one while it is
    silent."""
    for number in range(48):
        kind = ("backchannel", "tic", "aside", "backchannel", "tic", "background")[number % 6]
        scene = Scene("selectivity", number, (4, 6), takes)
        scene.template = kind
        request, talking_ms = _make_it_talk(scene, number + number // 12)
        scene.want(Want.REPLY, end_of(request), end_of(request) + talking_ms, clip=request)
        counting = scene.template.endswith("counting")
        early_ms = 900 if kind == "backchannel" and counting else 0
        event = _event(scene, kind, number, end_of(request) + talking_ms - early_ms)
        _talk_on(scene, event)
        if kind == "backchannel":
            event = scene.say(Role.BACKCHANNEL, event.text, end_of(event) + 1000 + number * 37 % 300)
            _talk_on(scene, event)
        quiet_ms = end_of(event) + (5200 if counting else 6500)
        second = _event(scene, "tic" if number % 2 else "aside", number + 5, quiet_ms)
        scene.want(Want.SILENCE, start_of(second), end_of(second) + SELECTIVE_MS, clip=second)
        yield scene.done(end_of(second) + SELECTIVE_MS + 400)


def _talk_on(scene: Scene, event: Clip) -> None:
    scene.want(Want.GO_ON, start_of(event), start_of(event) + LISTENED_FOR_MS, clip=event)
    scene.want(Want.RESUME, start_of(event), end_of(event) + 3000, clip=event)


def _event(scene: Scene, kind: str, number: int, at_ms: float) -> Clip:
    if kind == "backchannel":
        return scene.say(Role.BACKCHANNEL, scene.rng.choice(BACKCHANNELS), at_ms)
    if kind == "aside":
        quieter = scene.gain_db - scene.rng.uniform(2, 6)
        return scene.say(Role.ASIDE, scene.rng.choice(ASIDES), at_ms, gain_db=round(quieter, 1))
    if kind == "background":
        voice = VOICES[(number + 2) % len(VOICES)]
        quieter = scene.gain_db - scene.rng.uniform(8, 14)
        return scene.say(
            Role.BACKGROUND, scene.rng.choice(BROADCASTS), at_ms, voice=voice, gain_db=round(quieter, 1)
        )
    if scene.rng.random() < 0.35:
        return scene.say(Role.TIC, scene.rng.choice(VOICED_TICS), at_ms)
    return scene.say(Role.TIC, scene.rng.choice(NOISE_TICS), at_ms, voice="noise:tic")


def barge_in(takes: Takes) -> Iterator[Scenario]:
    """Rows 5 and 6: the model is in the middle of something long, the user wants something else."""
    for number in range(44):
        scene = Scene("barge-in", number, (5, 6), takes, voice=VOICES[(number + 1) % len(VOICES)])
        request, talking_ms = _make_it_talk(scene, number)
        scene.want(Want.REPLY, end_of(request), end_of(request) + talking_ms, clip=request)
        _interrupt(scene, number, end_of(request) + talking_ms)
        yield scene.done(scene.expect[-1].to_ms + 200)


def _interrupt(scene: Scene, number: int, at_ms: float) -> None:
    """Half of the interruptions want a shorter count, half ask a question; each plants the words that answer it."""
    if number % 2:
        question = QUESTIONS[(number * 7 + 3) % len(QUESTIONS)]
        scene.ask(question)
        clip = scene.say(Role.INTERRUPTION, f"{HOLD_UP[number % len(HOLD_UP)]} {question.text}", at_ms)
        meanings, within_ms = [question.slot], 5600
    else:
        count = COUNTS_INSTEAD[number // 2 % len(COUNTS_INSTEAD)]
        text = COUNT_INSTEAD[number // 2 % len(COUNT_INSTEAD)].format(NUMBER_WORDS[count])
        clip = scene.say(Role.INTERRUPTION, text, at_ms)
        meanings, within_ms = [" ".join(COUNTED.split()[:count])], 4600
        scene.ask_to_count(text, NUMBER_WORDS[count], meanings[0])
    scene.want(Want.YIELD, start_of(clip), start_of(clip) + YIELD_MS, clip=clip)
    scene.want(Want.RESPOND, start_of(clip), end_of(clip) + within_ms, clip=clip, meanings=meanings)


def delegation(takes: Takes) -> Iterator[Scenario]:
    """Row 10 (and 1, 5 with a job pending): look it up; a question meanwhile, a change of mind, a cut into it."""
    for number in range(40):
        kind = ("plain", "meanwhile", "never mind", "cut in")[number % 4]
        scene = Scene("delegation", number, (10,), takes, voice=VOICES[(number + 4) % len(VOICES)])
        scene.template = kind
        pool = QUESTIONS if kind == "plain" else SLOW_QUESTIONS
        question = pool[(number // 4 * 3 + number % 4) % len(pool)]
        if kind == "cut in":
            question = _long_question(scene, number)
            scene.spoken_reply = question.answer
        scene.ask(question)
        clip = scene.say(Role.TURN, question.text, scene.start_ms())
        scene.want(Want.DELEGATE, end_of(clip), end_of(clip) + TURN_MS, clip=clip)
        scene.want(Want.REPLY, end_of(clip), end_of(clip) + TURN_MS, clip=clip)
        until_ms = {
            "plain": _weave, "meanwhile": _meanwhile, "never mind": _never_mind, "cut in": _cut_in,
        }[kind](scene, number, clip, question.slot)  # fmt: skip
        yield scene.done(until_ms + 200)


def _weave(scene: Scene, _number: int, clip: Clip, slot: str) -> float:
    until_ms = end_of(clip) + 7000
    scene.want(Want.WEAVE, end_of(clip), until_ms, clip=clip, meanings=[slot])
    return until_ms


def _meanwhile(scene: Scene, number: int, clip: Clip, slot: str) -> float:
    """Something else is asked while the job runs: row 1 with a job pending."""
    scene.rows = (1, 10)
    other = scene.say(Role.TURN, CHAT[(number * 5 + 2) % len(CHAT)], end_of(clip) + scene.rng.uniform(1700, 2100))
    scene.want(Want.REPLY, end_of(other), end_of(other) + TURN_MS, clip=other)
    until_ms = end_of(clip) + 10_000
    scene.want(Want.WEAVE, end_of(clip), until_ms, clip=clip, meanings=[slot])
    return until_ms


def _never_mind(scene: Scene, number: int, clip: Clip, slot: str) -> float:
    at_ms = end_of(clip) + scene.rng.uniform(1700, 2100)
    other = scene.say(Role.TURN, NEVER_MIND[number // 4 % len(NEVER_MIND)], at_ms)
    scene.want(Want.REPLY, end_of(other), end_of(other) + TURN_MS, clip=other)
    until_ms = end_of(clip) + 9000
    scene.want(Want.DROP, end_of(other), until_ms, clip=other, meanings=[slot])
    return until_ms


def _cut_in(scene: Scene, number: int, clip: Clip, _slot: str) -> float:
    """The user cuts into the result: row 5 with a job's result being said."""
    scene.rows = (5, 6, 10)
    _interrupt(scene, number // 4 * 2, end_of(clip) + 4200 + scene.rng.uniform(-300, 500))
    return scene.expect[-1].to_ms
