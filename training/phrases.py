"""The scripted phrase bank: what users say in training, what they say only in evaluation, and what nano answers."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from services.interaction.nano.config import NUMBERS
from training.skills.intents import FIXED
from training.skills.orders import CONFIRMED, FILLINGS, FINGERS, HOW_LONG, Order, newer_orders, orders
from training.skills.overlap import interrupting
from training.skills.requests import is_command, requests
from training.skills.speech import free_speech
from training.voices import evaluation

BACKCHANNELS = tuple("mm-hm; uh-huh; yeah; right; i see; okay; aha; oh; hm; oh really; mm; ah okay".split("; "))
UNSEEN = ("i", "can", "not", "tell")  # how long, how many: when nothing was measured or seen
FILLER_QUESTION = ("let", "me", "check", "that")
FILLER_COMMAND = ("just", "a", "moment", "please")
COUNT_PACE_TICKS = 2
COUNTS = range(3, 11)


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing a user may say. ``reply`` is what nano says, one word a tick; ``delegate`` asks the background;
    ``task`` is what stands from then on, ``word`` what is to be said for it, ``trigger`` the word that it waits for;
    ``framed`` if it is another phrase with words around it, or an order put together of clauses."""

    text: str
    intent: str
    reply: tuple[str, ...]
    held_out: bool
    delegate: bool = False
    task: str = ""
    word: str = ""
    trigger: str = ""
    framed: bool = False

    @property
    def ends_with(self) -> str:
        """The number that a count goes to; "" if it is none."""
        return self.reply[-1] if self.intent.startswith("count_") else ""

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.text.split())


_COUNT_TRAIN = (
    "count to {}",
    "please count to {}",
    "can you count to {}",
    "count from one to {}",
    "can you please count to {}",
    "count to {} please",
    "now count to {}",
    "count to {} for me",
    "would you count to {}",
    "can you count from one to {}",
    "please count from one to {}",
    "start counting to {}",
    "count slowly to {}",
    "say the numbers from one to {}",
    "say all numbers up to {}",
    "hey count to {}",
    "just count to {}",
    "i would like you to count to {}",
    "try to count to {}",
    "are you able to count to {}",
)
_COUNT_HELD = ("could you count to {}", "count up to {}", "do count to {}", "show me how you count to {}")

# (training templates, held-out templates, training fillings, held-out fillings)
_OPEN: tuple[tuple[str, str, str, str], ...] = (
    (
        "what is the capital of {}; tell me the capital of {}",
        "do you know the capital of {}",
        "spain; italy; germany; poland; norway; sweden; finland; greece; turkey; egypt; kenya; india; china; japan; "
        "canada; mexico; brazil; chile; peru; ireland",
        "france; portugal; australia; austria",
    ),
    (
        "what is {}; how much is {}",
        "can you tell me what {} is",
        "two plus two; seven plus five; nine minus four; six times seven; ten divided by two; eight plus three; "
        "twelve minus five; three times nine; twenty plus ten; five times five; fifteen minus eight; four plus nine",
        "three plus four; nine times six; eleven minus two",
    ),
    (
        "who wrote {}; who is the author of {}",
        "do you know who wrote {}",
        "hamlet; the odyssey; war and peace; moby dick; frankenstein; dracula; the jungle book",
        "robinson crusoe; pride and prejudice",
    ),
    (
        "what is the weather in {}; will it rain in {} tomorrow; what time is it in {}",
        "how is the weather in {}",
        "london; paris; berlin; rome; madrid; tokyo; new york; sydney; moscow; dublin",
        "vienna; boston; lisbon",
    ),
    (
        "explain {} to me; how does {} work; tell me about {}",
        "please explain {}",
        "gravity; a rainbow; the internet; a battery; an engine; electricity; a computer; the moon; evolution; a vaccine",
        "photosynthesis; a telescope; magnetism",
    ),
    (
        "who invented {}; when was {} invented",
        "tell me who invented {}",
        "the telephone; the light bulb; the radio; the bicycle; the camera; the clock",
        "the piano; the steam engine",
    ),
    (
        "how far is {}; how big is {}; how old is {}",
        "do you know how big {} is",
        "the sun; the earth; the moon; the atlantic; the universe; mount everest",
        "mars; the pacific",
    ),
    (
        "remind me in {}; set a timer for {}",
        "please remind me in {}",
        "five minutes; two minutes; one hour; half an hour; twenty minutes; one day",
        "three minutes; two hours",
    ),
    (
        "translate {} into french; how do you say {} in spanish",
        "what is {} in german",
        "water; bread; summer; friend; house; school",
        "winter; apple",
    ),
    (
        "{}",
        "{}",
        "tell me a joke; tell me a story; read me the news; play some music; find a good restaurant; "
        "what day is it today; what is the meaning of life; why is the sky blue; how many people live in china; "
        "who is the president of france; what should i cook tonight; book a table for two; send a message to anna; "
        "what is on my calendar; how do i bake bread; where can i buy a bicycle; which river is the longest; "
        "when does the next train leave; turn on the lights; search for cheap flights; why do cats purr; "
        "how many legs has a spider; what does the word irony mean; who won the last world cup; "
        "what is the fastest animal; how long does an egg have to boil; write me a short poem",
        "what is the largest ocean; tell me something interesting; why is the sea salty; who was the first man on the "
        "moon; find me a cheap hotel; how many days are in a year; what should i wear today",
    ),
)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(";")]


def _fixed() -> list[Phrase]:
    return [
        Phrase(text, intent, tuple(reply.split()), held)
        for intent, (reply, train, held_out) in FIXED.items()
        for held, texts in ((False, train), (True, held_out))
        for text in _split(texts)
    ]


def _counts() -> list[Phrase]:
    return [
        Phrase(template.format(NUMBERS[n - 1]), f"count_{n}", tuple(NUMBERS[:n]), held)
        for n in COUNTS
        for held, templates in ((False, _COUNT_TRAIN), (True, _COUNT_HELD))
        for template in templates
    ]


def filler(text: str) -> tuple[str, ...]:
    """What nano says when it hands a request on: one filler for commands, one for questions."""
    return FILLER_COMMAND if is_command(text) else FILLER_QUESTION


def _open() -> list[Phrase]:
    """Training pairs training templates with training fillings; a held-out half on either side is held out."""
    phrases = []
    for train, held, fillings, held_fillings in _OPEN:
        for held_out, templates, words in (
            (False, train, fillings),
            (True, train.split(";")[0], held_fillings),
            (True, held, held_fillings),
        ):
            texts = [t.format(w) for t in _split(templates) for w in _split(words)]
            phrases += [Phrase(text, "open", filler(text), held_out, delegate=True) for text in dict.fromkeys(texts)]
    return list({p.text: p for p in phrases}.values())


def _requests(known: Iterable[Phrase]) -> list[Phrase]:
    """The grammar's requests but those that are known phrases, or evaluated with."""
    taken, evaluated = {p.text for p in known}, _evaluated()
    return [
        Phrase(text, "open", filler(text), held_out, delegate=True)
        for held_out in (True, False)
        for text in requests(held_out)
        if text not in taken and _plain(text) not in evaluated
    ]


def _order(order: Order) -> Phrase:
    return Phrase(
        order.text,
        order.kind,
        CONFIRMED,
        order.held_out,
        task=order.task,
        word=order.word,
        trigger=order.trigger,
        framed=order.framed,
    )


def _orders() -> list[Phrase]:
    asked = (("how_long", HOW_LONG), ("fingers", FINGERS))
    return [
        *(_order(o) for o in orders() if not _evaluates(o.text)),
        *(
            Phrase(text, intent, UNSEEN, held_out)
            for intent, halves in asked
            for held_out, texts in ((False, halves[0]), (True, halves[1]))
            for text in texts
        ),
    ]


_NOT_SO = ("greet", "yes", "no", "stop", "cancel", "wait", "sorry", "thanks", "goodbye", "praise", "repeat")
INTERRUPTIONS = {"count": (480, 60), "open": (1100, 70), "fixed": (360, 40)}  # of a kind: trained on, and held out


def _interruptions(known: Iterable[Phrase]) -> Iterator[Phrase]:
    """What nano can be asked for, as somebody says it who interrupts."""
    rng = random.Random("interruptions")
    evaluated, taken = _evaluated(), {p.text for p in known}
    for held_out in (False, True):
        kinds: dict[str, list[Phrase]] = {kind: [] for kind in INTERRUPTIONS}
        for phrase in known:
            if phrase.held_out == held_out and not phrase.task and phrase.intent not in _NOT_SO:
                kind = "open" if phrase.delegate else "count" if phrase.intent.startswith("count_") else "fixed"
                kinds[kind].append(phrase)
        for kind, counts in INTERRUPTIONS.items():
            drawn = {p.text: p for p in rng.choices(kinds[kind], k=counts[held_out])}
            for text, said in interrupting(drawn, held_out):
                if said not in taken and _plain(said) not in evaluated:
                    taken.add(said)
                    yield dataclasses.replace(drawn[text], text=said, framed=True)


TELLING = 3  # words of a template that tell what is asked for


def check_split(phrases: Iterable[Phrase]) -> None:
    """Raises ``ValueError`` when one of them, or a backchannel, is said in the behaviour report's scenarios.

    Held-out phrasings may not be either: they guided development.
    """
    evaluated = _evaluated()
    free = (text for half in (False, True) for kind, texts in free_speech(half).items() for text in texts if kind != "signs")
    for text in (*(p.text for p in phrases), *BACKCHANNELS, *free):
        if _plain(text) in evaluated:
            raise ValueError(f"{text!r} is evaluated with: it may not be trained on")


@cache
def _evaluated() -> frozenset[str]:
    return frozenset(_plain(text) for text in evaluation().phrasings)


def _evaluates(order: str) -> bool:
    """Whether the behaviour report asks for something in these words, with these fillings or others, maybe with some
    words around them."""
    framed = f" {_frame(order)} "
    return _plain(order) in _evaluated() or any(f" {frame} " in framed for frame in _evaluated_frames())


def _frame(text: str) -> str:
    """An order without what differs from one to the next of its template."""
    return " ".join("_" if word in FILLINGS else word for word in _plain(text).split())


@cache
def _evaluated_frames() -> frozenset[str]:
    """Those that have slots, and say something beside them."""
    frames = {_frame(text) for text in evaluation().phrasings}
    return frozenset(f for f in frames if "_" in f.split() and sum(word != "_" for word in f.split()) >= TELLING)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


_KNOWN = _fixed() + _counts() + _open() + _orders()
_PLAIN: tuple[Phrase, ...] = (*_KNOWN, *_requests(_KNOWN))
_NEWER = tuple(_order(o) for o in newer_orders(orders()) if not _evaluates(o.text))
PHRASES: tuple[Phrase, ...] = (*_PLAIN, *_interruptions(_PLAIN), *_NEWER)
check_split(PHRASES)
TRAINING = tuple(p for p in PHRASES if not p.held_out)
HELD_OUT = tuple(p for p in PHRASES if p.held_out)
BY_TEXT = {p.text: p for p in PHRASES}


def _free(held_out: bool) -> dict[str, list[str]]:
    """Free speech of either half, without what is a phrase, or evaluated with."""
    evaluated = _evaluated()
    signs = [t for t in free_speech(held_out)["signs"] if t not in BY_TEXT and _plain(t) not in evaluated]
    return {**free_speech(held_out), "signs": [t for t in signs if t not in BACKCHANNELS]}


FREE = {held_out: _free(held_out) for held_out in (False, True)}
"""What users say that asks nano for nothing, by half of the split and kind."""
FREE_HELD_OUT = frozenset(text for texts in FREE[True].values() for text in texts)
KIND_OF_FREE = {text: kind for half in FREE.values() for kind, texts in half.items() for text in texts}


def complete_prefix(words: tuple[str, ...], length: int) -> bool:
    """True when the first ``length`` words are a whole phrase: cutting there would be a turn of its own."""
    return " ".join(words[:length]) in BY_TEXT
