"""Standing orders: what a user asks nano to do later, again and again, or while the user goes on.

An order is a phrase like any other (``training.phrases``), answered by "okay", with a *task* that nano keeps in its
registers until it is done or called off. Templates are split: held-out ones are never trained on.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.interaction.nano.config import COLOURS, NUMBERS, OVER, SECONDS_ONCE, SECONDS_REPEATED, task_name
from training.skills import clauses
from training.skills.triggers import sayable, triggers
from training.skills.words import (
    ACTIONS,
    CATEGORIES,
    MOVES,
    SIGNALS,
    THINGS,
    TIMED_WORDS,
)

CONFIRMED = ("okay",)
PER_KIND = 600  # combinations of a kind that are spoken; each voice says a share of them
FRAMED = 400  # more of a kind, with words around them
JOINED = 450  # more of a kind, put together of clauses
OPEN_WORDS = {"timer": 420, "every": 420, "cue": 260, "over": 140, "hear": 380}  # orders to say any word of the user's
SEEN = 360  # more of each kind about what is seen, put together of clauses
_BEFORE = (
    "okay; now; hey; so; fine; right; listen; okay now; well; hello; next; and now; one more thing; hi there; good"
).split("; ")
_ASKING = (
    "could you; can you; i want you to; i need you to; i would like you to; go on and; be so kind and; will you; "
    "try to; you should; it would be nice if you could"
).split("; ")
_BEHIND = "please; for me; okay; if you can; thank you; thanks; will you; got it; that would be nice".split("; ")
_IMPERATIVES = frozenset(
    "say tell call shout count watch look let give repeat keep warn announce remind wait listen alert speak translate "
    "correct check set help start go turn put time note remember measure".split()
)

# kind: (training templates, held-out templates); {n} a number word, {w} a word to say, {c} a category or colour,
# {x} one word to listen for
_TEMPLATES: dict[str, tuple[str, str]] = {
    "timer": (
        "in {n} seconds say {w}; wait {n} seconds and then say {w}; say {w} when {n} seconds are over; "
        "tell me {w} in {n} seconds; say {w} in {n} seconds from now; i want you to say {w} in {n} seconds; "
        "remind me in {n} seconds by saying {w}; let me hear {w} in {n} seconds; say {w} after {n} seconds; "
        "shout {w} in {n} seconds; call out {w} in {n} seconds; give me a {w} in {n} seconds; "
        "please wait {n} seconds and say {w}; after {n} seconds say {w}; after {n} seconds please say {w}; "
        "in {n} seconds tell me {w}; in {n} seconds please say {w}; can you say {w} in {n} seconds; "
        "could you say {w} in {n} seconds; once {n} seconds are over say {w}; say {w} once {n} seconds are up; "
        "announce {w} in {n} seconds; speak up in {n} seconds and say {w}; {n} seconds from now say {w}; "
        "let {n} seconds pass and then say {w}; i would like to hear {w} in {n} seconds; "
        "set a timer for {n} seconds and say {w}; say the word {w} in {n} seconds; hey in {n} seconds say {w}",
        "please say {w} in {n} seconds; when {n} seconds have passed say {w}; when {n} seconds are up call out {w}; "
        "would you say {w} in {n} seconds; count {n} seconds and announce {w}",
    ),
    "every": (
        "say {w} every {n} seconds; keep saying {w} every {n} seconds; repeat {w} every {n} seconds; "
        "{w} every {n} seconds please; i want to hear {w} every {n} seconds; say {w} again and again every {n} seconds; "
        "every {n} seconds say {w}; every {n} seconds please say {w}; please say {w} every {n} seconds; "
        "can you say {w} every {n} seconds; could you say {w} every {n} seconds; call out {w} every {n} seconds; "
        "shout {w} every {n} seconds; announce {w} every {n} seconds; tell me {w} every {n} seconds; "
        "let me hear {w} every {n} seconds; give me a {w} every {n} seconds; i want you to say {w} every {n} seconds; "
        "i would like you to say {w} every {n} seconds; remind me every {n} seconds by saying {w}; "
        "go on saying {w} every {n} seconds; keep repeating {w} every {n} seconds; start saying {w} every {n} seconds; "
        "from now on say {w} every {n} seconds; say {w} once every {n} seconds; after every {n} seconds say {w}",
        "please repeat {w} every {n} seconds; say the word {w} each {n} seconds; would you repeat {w} every {n} seconds; "
        "each time {n} seconds have passed say {w}; keep calling {w} every {n} seconds",
    ),
    "clock": (
        "i will say nothing now; i am going to be silent for a bit; do not talk while i think; time how long i am silent; "
        "let me think in silence for a bit; i will take a short break now; watch how long i say nothing; i need some quiet now; "
        "i will be quiet now; i will be quiet for a while; i am going to say nothing for a while; i will not talk for a bit; "
        "i need a moment of silence; let me be silent for a bit; let me have some quiet; i have to concentrate now; "
        "please stay quiet while i think; please measure how long i am silent now; watch the clock while i am silent; "
        "keep the time while i say nothing; remember how long i am silent; note how long i say nothing; "
        "check how long i can be silent; see how long i can be quiet; time my silence; time my break please; "
        "please time how long i say nothing; i will pause now; i am taking a break now; from now on i say nothing; "
        "now i will be silent; keep quiet while i read; let me read in silence",
        "i am quiet for a bit now; measure how long i am silent; keep track of how long i am silent; please time my silence; "
        "i am going to be quiet while i read",
    ),
    "count": (
        "count the {m} that you see; please count the {m}; how many {m} are there count them; count every {v}; "
        "keep counting the {m}; count each {v} out loud; say a number for every {v}; i want you to count the {m}; "
        "count all {m} that you see; count the {m} please; count the {m} out loud; can you count the {m}; "
        "can you count every {v}; please count every {v}; please count each {v} for me; i would like you to count the {m}; "
        "start counting the {m}; watch and count the {m}; look and count the {m}; count how many {m} there are; "
        "tell me the number at every {v}; call out a number for every {v}; call out the number at each {v}; "
        "give me a number for each {v}; for every {v} say the next number; each time you see a {v} say the number; "
        "whenever you see a {v} count it; count along with the {m}; keep count of the {m}; help me count the {m}; "
        "shout the number at every {v}; say how many {m} so far; watch me and count the {m}; count my {m}; please count my {m}; "
        "keep a count of my {m}; number every {v}",
        "could you count the {m}; count all the {m} for me; will you count every {v}; would you keep count of the {m}; "
        "at every {v} say the number",
    ),
    "watch": (
        "tell me when you see a {c} {t}; say {c} when something {c} appears; look out for a {c} {t}; "
        "warn me when the {c} {t} is there; say {c} when the {c} {t} shows up; shout when there is a {c} {t}; "
        "watch for the {c} {t}; tell me when there is a {c} {t}; let me know when you see a {c} {t}; "
        "let me know when there is a {c} {t}; say {c} when you see a {c} {t}; say {c} if you see a {c} {t}; "
        "say {c} as soon as a {c} {t} appears; say {c} once the {c} {t} appears; call out when you see a {c} {t}; "
        "shout {c} when you see a {c} {t}; warn me if you see a {c} {t}; alert me when a {c} {t} shows up; look for a {c} {t}; "
        "watch out for a {c} {t}; keep an eye out for a {c} {t}; give me a sign when you see a {c} {t}; "
        "when a {c} {t} appears say {c}; when you see a {c} {t} tell me; when you see something {c} say {c}; "
        "if a {c} {t} shows up tell me; as soon as there is a {c} {t} say {c}; can you tell me when you see a {c} {t}; "
        "could you watch for a {c} {t}; i want to know when a {c} {t} appears; speak up when the {c} {t} comes",
        "please tell me when a {c} {t} appears; as soon as you see a {c} {t} say so; announce it when a {c} {t} turns up; "
        "once you spot a {c} {t} say {c}; would you look out for the {c} {t}",
    ),
    "action": (
        "tell me when {a} and when it stops; say start when {a} and stop when it ends; watch whether {a}; "
        "say when {a} and when not; say start and stop while {a}; tell me the moment {a} and the moment it stops; "
        "tell me when {a}; say start when {a} and stop when it is over; say when {a} and say when it is over; "
        "let me know when {a}; watch and tell me when {a}; watch and say when {a}; "
        "tell me when it starts and when it stops i mean when {a}; can you tell me when {a} and when it stops; "
        "could you say when {a} and when it stops; call out when {a} and when it stops; "
        "shout start when {a} and stop when it does not; please watch and say start when {a}; "
        "i want to know when {a} and when it stops; as soon as {a} say start and then stop; "
        "whenever {a} say start and at the end say stop; each time {a} say start; every time {a} say start and stop; "
        "once {a} say start and when it ends say stop; when {a} say start; keep watching and say start when {a}; "
        "keep telling me when {a} and when it stops; announce when {a} and when it stops; say start as soon as {a}; "
        "give me a start when {a} and a stop at the end",
        "let me know when {a} and when it ends; please say when {a} and when it stops; would you tell me when {a}; "
        "speak up when {a} and again when it stops; keep an eye on it and say when {a}",
    ),
    "cue": (
        "say {w} when i name a {c}; every time i mention a {c} say {w}; when you hear a {c} say {w}; "
        "say {w} if i talk about a {c}; for every {c} that i say you say {w}; i want to hear {w} when a {c} comes; "
        "when i say a {c} you say {w}; whenever i say a {c} say {w}; whenever i name a {c} you say {w}; "
        "whenever you hear a {c} say {w}; every time i say a {c} say {w}; every time you hear a {c} say {w}; "
        "each time i say a {c} you say {w}; each time you hear a {c} say {w}; as soon as i name a {c} say {w}; "
        "as soon as you hear a {c} say {w}; if i name a {c} say {w}; if i say a {c} say {w}; if you hear a {c} say {w}; "
        "if a {c} comes up say {w}; once you hear a {c} say {w}; say {w} whenever i mention a {c}; "
        "say {w} each time i say a {c}; say {w} every time i name a {c}; say {w} as soon as i say a {c}; "
        "say {w} for every {c} i name; please say {w} every time i say a {c}; please say {w} when you hear a {c}; "
        "call out {w} when i name a {c}; shout {w} when i say a {c}; tell me {w} when you hear a {c}; "
        "can you say {w} when i name a {c}; could you say {w} when i say a {c}; listen and say {w} when i name a {c}; "
        "i want you to say {w} when i name a {c}; i would like you to say {w} for each {c}",
        "each time i name a {c} say {w}; please say {w} when i mention a {c}; would you say {w} whenever a {c} is named; "
        "once i mention a {c} call out {w}; listen for a {c} and then say {w}",
    ),
    "over": (
        "say {w} when i say a number over {n}; say {w} if a number is more than {n}; when a number is over {n} say {w}; "
        "every time i say more than {n} you say {w}; say {w} when i go over {n}; numbers over {n} are too high then say {w}; "
        "say {w} when a number is over {n}; say {w} whenever i say a number over {n}; say {w} every time i go over {n}; "
        "say {w} each time a number is over {n}; say {w} as soon as i say more than {n}; say {w} if i go over {n}; "
        "say {w} once i go over {n}; whenever i say more than {n} say {w}; whenever a number is over {n} say {w}; "
        "every time a number is more than {n} say {w}; each time i say a number over {n} say {w}; "
        "as soon as a number is over {n} say {w}; if a number is over {n} say {w}; if i say a number over {n} say {w}; "
        "if you hear a number over {n} say {w}; when you hear more than {n} say {w}; when i say a number over {n} say {w}; "
        "please say {w} when a number is over {n}; call out {w} when i go over {n}; shout {w} when a number is over {n}; "
        "tell me {w} when i go over {n}; can you say {w} when i say more than {n}; could you say {w} if a number is over {n}; "
        "i want you to say {w} when i go over {n}; {n} is the limit say {w} when i go over it; for every number over {n} say {w}",
        "tell me {w} when i say a number above {n}; if i say more than {n} say {w}; would you say {w} when i say more than {n}; "
        "once a number is higher than {n} call out {w}; should i go over {n} then say {w}",
    ),
    "check": (
        "correct me when i count wrong; i count and you correct me; tell me when i make a mistake in counting; "
        "help me count correctly; listen to my counting and correct it; say the right number when i miss one; "
        "correct me if i count wrong; correct me when i miss a number; correct me if i skip a number; tell me if i count wrong; "
        "tell me when i skip a number; tell me when i get a number wrong; let me know if i count wrong; "
        "let me know when i miss a number; say the right number when i make a mistake; say the right number if i skip one; "
        "listen while i count and correct me; listen to me count and correct me; i am going to count please correct me; "
        "i will count now correct me if i am wrong; i want to practise counting correct me; check my counting; "
        "check if i count correctly; please check my counting; can you check my counting; can you correct me when i count; "
        "could you correct me if i count wrong; help me count and correct my mistakes; "
        "watch my counting and tell me the right number; whenever i count wrong say the right number; "
        "every time i skip a number tell me; if i miss a number say it; stop me when i count wrong; "
        "give me the right number when i am wrong",
        "please correct me while i count; correct my counting; would you check whether i count right; "
        "should i skip a number tell me; put me right when i count wrong",
    ),
    "spanish numbers": (
        "say my numbers in spanish; translate the numbers into spanish while i talk; numbers in spanish please while i speak; "
        "speak the spanish for every number i say; when i say a number say it in spanish; all numbers in spanish please; "
        "say every number in spanish; say each number in spanish when i say it; whenever i say a number say it in spanish; "
        "every time i say a number say it in spanish; each time you hear a number say it in spanish; "
        "as soon as i say a number give me the spanish; if i name a number say it in spanish; "
        "when you hear a number say the spanish word; when i name a number give me the spanish word; "
        "give me the spanish for every number; give me every number in spanish; tell me each number in spanish; "
        "call out my numbers in spanish; repeat my numbers in spanish; repeat every number in spanish; "
        "turn my numbers into spanish; put every number into spanish; translate each number into spanish; "
        "translate every number i say into spanish; please say my numbers in spanish; "
        "please translate every number into spanish; can you say my numbers in spanish; "
        "could you translate my numbers into spanish; i want to hear my numbers in spanish; "
        "i want to learn numbers in spanish say them after me; speak my numbers in spanish while i talk; "
        "only the numbers say them in spanish",
        "say every number i name in spanish; please translate my numbers into spanish; would you put my numbers into spanish; "
        "once i say a number say the spanish one; after each number say it in spanish",
    ),
    "spanish colours": (
        "say my colours in spanish; translate the colours into spanish while i talk; colours in spanish please while i speak; "
        "speak the spanish for every colour i say; when i say a colour say it in spanish; all colours in spanish please; "
        "say every colour in spanish; say each colour in spanish when i say it; whenever i say a colour say it in spanish; "
        "every time i say a colour say it in spanish; each time you hear a colour say it in spanish; "
        "as soon as i say a colour give me the spanish; if i name a colour say it in spanish; "
        "when you hear a colour say the spanish word; when i name a colour give me the spanish word; "
        "give me the spanish for every colour; give me every colour in spanish; tell me each colour in spanish; "
        "call out my colours in spanish; repeat my colours in spanish; repeat every colour in spanish; "
        "turn my colours into spanish; put every colour into spanish; translate each colour into spanish; "
        "translate every colour i say into spanish; please say my colours in spanish; "
        "please translate every colour into spanish; can you say my colours in spanish; "
        "could you translate my colours into spanish; i want to hear my colours in spanish; "
        "i want to learn colours in spanish say them after me; speak my colours in spanish while i talk; "
        "only the colours say them in spanish",
        "say every colour i name in spanish; please translate my colours into spanish; would you put my colours into spanish; "
        "once i say a colour say the spanish one; after each colour say it in spanish",
    ),
    "hear": (
        "say {w} when i say {x}; say {w} when i say the word {x}; when i say {x} you say {w}; when i say {x} say {w}; "
        "when i say the word {x} say {w}; every time i say {x} say {w}; every time i say {x} you say {w}; "
        "every time i say the word {x} say {w}; each time i say {x} you say {w}; each time you hear {x} say {w}; "
        "whenever i say {x} say {w}; whenever i say {x} you say {w}; whenever i say the word {x} you say {w}; "
        "whenever you hear {x} say {w}; whenever you hear the word {x} say {w}; when you hear {x} say {w}; "
        "when you hear the word {x} say {w}; as soon as i say {x} say {w}; as soon as you hear the word {x} say {w}; "
        "say {w} as soon as i say {x}; say {w} as soon as you hear the word {x}; call out {w} when i say {x}; "
        "call out {w} as soon as you hear {x}; call out {w} as soon as you hear the word {x}; shout {w} when i say {x}; "
        "if i say {x} say {w}; if you hear the word {x} say {w}; once i say {x} say {w}; say {w} once you hear {x}; "
        "say {w} whenever the word {x} comes up; say {w} whenever i mention {x}; say {w} every time you hear {x}; "
        "listen for the word {x} and say {w}; wait for the word {x} and then say {w}; please say {w} when i say {x}; "
        "please say {w} when you hear the word {x}; can you say {w} when i say {x}; could you say {w} when i say {x}; "
        "i want you to say {w} when i say {x}; i want to hear {w} when i say the word {x}; tell me {w} when i say {x}; "
        "i would like you to say {w} when i say {x}; the word is {x} say {w} when you hear it; "
        "for every {x} that you hear say {w}; if the word {x} comes up say {w}; say {w} if i use the word {x}",
        "say {w} each time i say {x}; would you say {w} when i say the word {x}; listen for {x} and then call out {w}; "
        "please call out {w} whenever you hear the word {x}; if you hear me say {x} then say {w}; "
        "the moment i say {x} you say {w}",
    ),
    "tally": (
        "count how often i say {x}; count how many times i say {x}; count every {x} that i say; count each {x}; "
        "count the word {x}; count whenever i say {x}; count when i say the word {x}; count every time i say {x}; "
        "count every time you hear {x}; count along whenever i say the word {x}; please count how often i say {x}; "
        "please count every {x}; can you count how often i say {x}; can you count the word {x} while i talk; "
        "could you count how many times i say {x}; i want you to count the word {x}; i would like you to count every {x}; "
        "keep count of the word {x}; keep count of how often i say {x}; keep a count of the word {x}; "
        "keep a count of how often i say {x}; how often do i say {x} count it; how many times do i say {x} count along; "
        "every time i say {x} say the next number; whenever i say {x} say the next number; each time i say {x} count one up; "
        "when i say {x} tell me how many times that was; whenever you hear {x} say how many there were; "
        "say the number whenever i say {x}; say a number for every {x}; say how many times i have said {x} each time; "
        "tell me the number every time i say {x}; listen for {x} and count it; listen for the word {x} and keep count; "
        "for every {x} that you hear say the next number; number every {x} that i say; call out the count whenever i say {x}; "
        "i say {x} too often please count it; count my {x}; go on counting whenever i say {x}",
        "would you count how often i use the word {x}; count it when the word {x} comes up; "
        "please keep track of how many times i say {x}; at every {x} tell me the number so far; "
        "do count the word {x} for me; should i say {x} then count on",
    ),
}  # fmt: skip
HOW_LONG = (
    (
        "how long was i silent; how many seconds was that; how long did i say nothing; how long have i been silent; "
        "how many seconds did i wait; how long was my break; how many seconds of silence was that; how long did i stay silent; "
        "how long was i quiet; how long have i been quiet; for how long was i silent; how many seconds did i say nothing; "
        "how many seconds have i been silent; how many seconds did it take; how long did i take; how long did that take; "
        "how long was that; how long was the pause; how long was my pause; how long did my break last; how long did i wait; "
        "can you tell me how long i was silent; could you tell me how long that was; do you know how long i was silent; "
        "tell me how long i was silent; please tell me how long that was; what was the length of my break; "
        "so how long was i silent; and how long was that now"
    ).split("; "),
    (
        "how many seconds was i silent; how long did the silence last; for how many seconds was i quiet; "
        "tell me how many seconds that was; would you say how long i paused"
    ).split("; "),
)  # fmt: skip
FINGERS = (
    (
        "how many fingers do you see; how many fingers am i holding up; how many fingers is that; count my fingers; "
        "how many fingers are up; how many fingers can you count; how many fingers do i show you; how many fingers am i showing; "
        "how many fingers are there; how many fingers are these; how many fingers do i have up; how many fingers now; "
        "so how many fingers; count the fingers; please count my fingers; count my fingers please; can you count my fingers; "
        "could you count my fingers; tell me how many fingers you see; tell me how many fingers i hold up; "
        "please tell me how many fingers you see; do you see how many fingers i hold up; can you see how many fingers these are; "
        "say how many fingers you see; what number do my fingers show; look at my hand how many fingers; "
        "guess how many fingers i am holding up"
    ).split("; "),
    (
        "how many fingers can you see; tell me how many fingers there are; would you count my fingers; "
        "how many fingers have i got up; look how many fingers are these"
    ).split("; "),
)  # fmt: skip

FILLINGS = frozenset(
    {"a", "an", *NUMBERS, *COLOURS, *CATEGORIES, *TIMED_WORDS, *SIGNALS, *THINGS, *MOVES, *MOVES.values()}
    | {word for half in (False, True) for words in (sayable(half), triggers(half)) for word in words}
)
"""What the templates' slots may hold, and articles."""


@dataclass(frozen=True, slots=True)
class Order:
    """``task`` is one of the model's tasks; ``word`` what it is to say, "" where that follows from what happens;
    ``trigger`` the user's word that it waits for, where it is about one; ``framed`` if it was made of others' words
    (framed, or put together of clauses)."""

    text: str
    kind: str
    task: str
    word: str
    held_out: bool
    trigger: str = ""
    framed: bool = False


def _drawn(kind: str, rng: random.Random, held_out: bool) -> tuple[str, dict[str, str], str]:
    """A task with its template's fillings and its word. Half of the held-out orders about a word of the user's are about
    words that no order of the training half is about."""
    if kind not in ("hear", "tally"):
        return _filled(kind, rng)
    trigger = rng.choice(triggers(held_out and rng.random() < 0.5))
    if kind == "tally":
        return kind, {"x": trigger}, ""
    word = rng.choice([w for w in (*SIGNALS, *SIGNALS, *TIMED_WORDS) if w != trigger])
    return kind, {"x": trigger, "w": word}, word


def _filled(kind: str, rng: random.Random) -> tuple[str, dict[str, str], str]:
    """The same, of the other kinds."""
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


def _around(rng: random.Random, text: str, refused: set[str]) -> str:
    """An order with words before or behind it, or asked for as one asks somebody; not in a way that is ``refused``."""
    words = text.split()
    frames = [frame for frame in _ASKING if " ".join(frame.split()[:2]) not in refused]
    asked = words[0] in _IMPERATIVES and rng.random() < 0.5
    if asked:
        text = f"{rng.choice(frames)} {text}"
    if rng.random() < 0.4 or not asked:
        text = f"{rng.choice([b for b in _BEFORE if b.split()[-1] != text.split()[0]])} {text}"
    if rng.random() < 0.3 and "please" not in words:
        text = f"{text} {rng.choice(_BEHIND)}"
    return text


def framed_orders(known: Iterable[Order]) -> Iterator[Order]:
    """Training orders once more, with words around them. How a kind's held-out templates begin, none of it does."""
    rng = random.Random("framed orders")
    kinds: dict[str, list[Order]] = {}
    for order in known:
        if not order.held_out:
            kinds.setdefault(order.kind, []).append(order)
    for kind, mine in kinds.items():
        refused = _refused(kind)
        for order in rng.choices(mine, k=FRAMED):
            text = _around(rng, order.text, refused)
            if " ".join(text.split()[:2]) not in refused:
                yield dataclasses.replace(order, text=text, framed=True)


def joined_orders() -> Iterator[Order]:
    """Training orders of clauses. How a kind's held-out templates begin, none of it does."""
    rng = random.Random("joined orders")
    for kind in clauses.KINDS:
        refused = _refused(kind)
        for _ in range(JOINED):
            task, fillings, word = _drawn(kind, rng, False)
            text = _in_words(clauses.template(kind, rng), fillings)
            if " ".join(text.split()[:2]) not in refused:
                yield Order(text, kind, task, word, False, fillings.get("x", ""), framed=True)


def newer_orders(known: Iterable[Order]) -> Iterator[Order]:
    """Orders to say a word that is none of nano's own, of both halves (half of the held-out ones are about words of the
    training half), and more about what is seen."""
    rng = random.Random("newer orders")
    seen = {order.text for order in known}
    for kind, wanted in OPEN_WORDS.items():
        for held_out in (False, True):
            templates, refused = _TEMPLATES[kind][held_out].split("; "), set() if held_out else _refused(kind)
            for _ in range(wanted // 7 if held_out else wanted):
                joined = kind in clauses.KINDS and not held_out and rng.random() < 0.4
                template = clauses.template(kind, rng) if joined else rng.choice(templates)
                task, fillings, _ = _drawn(kind, rng, held_out)
                word = rng.choice([w for w in sayable(held_out and rng.random() < 0.5) if w not in fillings.values()])
                text = _in_words(template, fillings | {"w": word})
                if not held_out and not joined and rng.random() < 0.35:
                    text = _around(rng, text, refused)
                if text not in seen and not (" ".join(text.split()[:2]) in refused and joined):
                    seen.add(text)
                    yield Order(text, kind, task, word, held_out, fillings.get("x", ""), framed=True)
    for kind in clauses.SEEN:
        refused = _refused(kind)
        for _ in range(SEEN):
            task, fillings, word = _filled(kind, rng)
            text = _in_words(clauses.template(kind, rng), fillings)
            if text not in seen and " ".join(text.split()[:2]) not in refused:
                seen.add(text)
                yield Order(text, kind, task, word, False, framed=True)


def _refused(kind: str) -> set[str]:
    return {" ".join(template.split()[:2]) for template in _TEMPLATES[kind][1].split("; ")}


def _in_words(template: str, fillings: dict[str, str]) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", template.format(**fillings))


def orders() -> Iterator[Order]:
    """All that are spoken, the same every time; a text that the held-out half has is not in the other."""
    plain = list(_plain_orders())
    seen = {order.text for order in plain}
    yield from plain
    for order in (*framed_orders(plain), *joined_orders()):
        if order.text not in seen:
            seen.add(order.text)
            yield order


def _plain_orders() -> Iterator[Order]:
    rng = random.Random("orders")
    seen: set[str] = set()
    for kind, halves in _TEMPLATES.items():
        for held_out, templates in ((True, halves[1].split("; ")), (False, halves[0].split("; "))):
            wanted = PER_KIND // 4 if held_out else PER_KIND
            for turn in range(wanted):
                task, fillings, word = _drawn(kind, rng, held_out)
                text = _in_words(templates[turn % len(templates)], fillings)
                if text not in seen:
                    seen.add(text)
                    yield Order(text, kind, task, word, held_out, fillings.get("x", ""))
