"""Standing orders: what a user asks nano to do later, again and again, or while the user goes on.

An order is a phrase like any other (``training.phrases``), answered by "okay", with a *task* that nano keeps in its
registers until it is done or called off. Templates are split: held-out ones are never trained on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from services.interaction.nano.config import COLOURS, OVER, SECONDS_ONCE, SECONDS_REPEATED, task_name
from training.skills.words import (
    ACTIONS,
    CATEGORIES,
    MOVES,
    NUMBERS,
    SIGNALS,
    THINGS,
    TIMED_WORDS,
)

CONFIRMED = ("okay",)
PER_KIND = 260  # combinations of a kind that are spoken; each voice says a share of them

# kind: (training templates, held-out templates); {n} a number word, {w} a word to say, {c} a category or colour
_TEMPLATES: dict[str, tuple[str, str]] = {
    "timer": (
        "in {n} seconds say {w}; wait {n} seconds and then say {w}; say {w} when {n} seconds are over; tell me {w} in {n} seconds; "
        "say {w} in {n} seconds from now; i want you to say {w} in {n} seconds; remind me in {n} seconds by saying {w}; "
        "let me hear {w} in {n} seconds",
        "please say {w} in {n} seconds; when {n} seconds have passed say {w}",
    ),
    "every": (
        "say {w} every {n} seconds; keep saying {w} every {n} seconds; repeat {w} every {n} seconds; {w} every {n} seconds please; "
        "i want to hear {w} every {n} seconds; say {w} again and again every {n} seconds",
        "please repeat {w} every {n} seconds; say the word {w} each {n} seconds",
    ),
    "clock": (
        "i will say nothing now; i am going to be silent for a bit; do not talk while i think; time how long i am silent; "
        "let me think in silence for a bit; i will take a short break now; watch how long i say nothing; "
        "i need some quiet now",
        "i am quiet for a bit now; measure how long i am silent",
    ),
    "count": (
        "count the {m} that you see; please count the {m}; how many {m} are there count them; count every {v}; "
        "keep counting the {m}; count each {v} out loud; say a number for every {v}; i want you to count the {m}",
        "could you count the {m}; count all the {m} for me",
    ),
    "watch": (
        "tell me when you see a {c} {t}; say {c} when something {c} appears; look out for a {c} {t}; warn me when the {c} {t} is there; "
        "say {c} when the {c} {t} shows up; shout when there is a {c} {t}; watch for the {c} {t}",
        "please tell me when a {c} {t} appears; as soon as you see a {c} {t} say so",
    ),
    "action": (
        "tell me when {a} and when it stops; say start when {a} and stop when it ends; watch whether {a}; say when {a} and when not; "
        "say start and stop while {a}; tell me the moment {a} and the moment it stops",
        "let me know when {a} and when it ends; please say when {a} and when it stops",
    ),
    "cue": (
        "say {w} when i name a {c}; every time i mention a {c} say {w}; when you hear a {c} say {w}; say {w} if i talk about a {c}; "
        "for every {c} that i say you say {w}; i want to hear {w} when a {c} comes; when i say a {c} you say {w}",
        "each time i name a {c} say {w}; please say {w} when i mention a {c}",
    ),
    "over": (
        "say {w} when i say a number over {n}; say {w} if a number is more than {n}; when a number is over {n} say {w}; "
        "every time i say more than {n} you say {w}; say {w} when i go over {n}; numbers over {n} are too high then say {w}",
        "tell me {w} when i say a number above {n}; if i say more than {n} say {w}",
    ),
    "check": (
        "correct me when i count wrong; i count and you correct me; tell me when i make a mistake in counting; "
        "help me count correctly; listen to my counting and correct it; say the right number when i miss one",
        "please correct me while i count; correct my counting",
    ),
    "spanish numbers": (
        "say my numbers in spanish; translate the numbers into spanish while i talk; numbers in spanish please while i speak; "
        "speak the spanish for every number i say; when i say a number say it in spanish; all numbers in spanish please",
        "say every number i name in spanish; please translate my numbers into spanish",
    ),
    "spanish colours": (
        "say my colours in spanish; translate the colours into spanish while i talk; colours in spanish please while i speak; "
        "speak the spanish for every colour i say; when i say a colour say it in spanish; all colours in spanish please",
        "say every colour i name in spanish; please translate my colours into spanish",
    ),
}  # fmt: skip
HOW_LONG = (
    "how long was i silent; how many seconds was that; how long did i say nothing; how long have i been silent; how many seconds did i wait; "
    "how long was my break; how many seconds of silence was that".split("; "),
    "how many seconds was i silent; how long did the silence last".split("; "),
)  # fmt: skip
FINGERS = (
    "how many fingers do you see; how many fingers am i holding up; how many fingers is that; count my fingers; how many fingers are up".split("; "),
    "how many fingers can you see; tell me how many fingers there are".split("; "),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """``task`` is one of the model's tasks; ``word`` what it is to say, "" where that follows from what happens."""

    text: str
    kind: str
    task: str
    word: str
    held_out: bool


def _filled(kind: str, rng: random.Random) -> tuple[str, dict[str, str], str]:
    """A task with its template's fillings and its word."""
    if kind in ("timer", "every"):
        seconds = rng.choice(SECONDS_ONCE if kind == "timer" else SECONDS_REPEATED)
        word = rng.choice(TIMED_WORDS)
        return task_name(kind, seconds), {"n": NUMBERS[seconds - 1], "w": word}, word
    if kind == "watch":
        colour = rng.choice(COLOURS)
        return task_name(kind, colour), {"c": colour, "t": rng.choice(THINGS)}, colour
    if kind == "cue":
        category = rng.choice(list(CATEGORIES))
        word = rng.choice([category, *SIGNALS])
        return task_name(kind, category), {"c": category, "w": word}, word
    if kind == "over":
        limit, word = rng.choice(OVER), rng.choice(SIGNALS)
        return task_name(kind, limit), {"n": NUMBERS[limit - 1], "w": word}, word
    if kind == "count":
        plural = rng.choice(list(MOVES))
        return kind, {"m": plural, "v": MOVES[plural]}, ""
    return kind, {"a": rng.choice(ACTIONS)} if kind == "action" else {}, ""


def orders() -> Iterator[Order]:
    """All that are spoken, the same every time; a text that the held-out half has is not in the other."""
    rng = random.Random("orders")
    seen: set[str] = set()
    for kind, halves in _TEMPLATES.items():
        for held_out, templates in ((True, halves[1].split("; ")), (False, halves[0].split("; "))):
            wanted = PER_KIND // 4 if held_out else PER_KIND
            for turn in range(wanted):
                task, fillings, word = _filled(kind, rng)
                text = templates[turn % len(templates)].format(**fillings).replace(" a orange", " an orange")
                text = text.replace(" a animal", " an animal")
                if text not in seen:
                    seen.add(text)
                    yield Order(text, kind, task, word, held_out)
