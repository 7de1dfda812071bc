"""What is said in each manner to learn from: texts that fit it, and the same neutral sentences in all of them.

The neutral ones are there so that the manner carries the difference and not the wording.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from schemas.records import Manner
from services.interaction.nano.config import NUMBERS
from training.phrases import BACKCHANNELS, TRAINING
from training.speech import teacher, texts

_QUESTIONS = (
    "Do you mean {place} or {place}?",
    "Did you say {n2}?",
    "Shall I call {name} on {day}?",
    "Is it {h} o'clock already?",
    "Would you like to hear more?",
    "You want to go to {place}?",
    "Are you still there?",
    "Is {day} all right for you?",
    "Can you say that again?",
    "Was it {name} who called?",
    "Should I go on?",
    "You live in {place}?",
    "Does the train stop in {place}?",
    "And then?",
    "Really?",
    "On {day}?",
    "{name}?",
    "how can i help",
    "sure what do you need",
)
_LISTS = (
    "{place}, {place}, {place}, and {place}.",
    "{name}, {name}, and {name}.",
    "{day}, {day}, {day}, and {day}.",
    "{n1}, {n2}, {n1}, and {n2}.",
    "I have bread, butter, apples, and tea.",
    "There are three: red, green, and blue.",
    "You need a pen, some paper, and a stamp.",
    "We saw {place}, {place}, and {place}.",
    "It is cold, it is wet, and it is late.",
    "one, two, three, four, five.",
    "six, seven, eight, nine, ten.",
    "one two three four five",
    "three four five six seven",
    "First the milk, then the eggs, then the flour, and then the sugar.",
    "In {month}, in {month}, and in {month}.",
)
_CORRECTIONS = (
    "No, not {place}: {place}.",
    "I said {day}, not {day}.",
    "Sorry, I meant {place}.",
    "Not {n1}, but {n2}.",
    "No, it was {name}, not {name}.",
    "Actually, it is {h}:{mm}.",
    "I mean {month}, not {month}.",
    "Wait, that was wrong: it is {n2}.",
    "No, {name} is in {place}.",
    "Let me correct that: {n3}.",
    "Oh no, I said {d} where I meant {n1}.",
    "Rather {day}, I should say.",
)
_WARNINGS = (
    "Careful, it is hot!",
    "Watch out, {name}!",
    "Stop, do not touch that!",
    "Look out!",
    "Be careful with the knife!",
    "The train leaves in {n1} minutes!",
    "Mind the step!",
    "Attention, the door is open.",
    "Wait, do not go there!",
    "Hurry, it is {h}:{mm} already!",
    "The stove is still on!",
    "Do not drink that, it is too hot.",
    "Behind you!",
    "There is a car coming!",
    "Warning: the road to {place} is closed.",
)
_HEARD = (
    *BACKCHANNELS,
    *"okay sure oh yes no hm ah wow great exactly true indeed nice".split(),
    *("all right", "of course", "go on", "got it", "no way", "that is good", "i know", "oh no", "very good"),
    *("yeah, yeah.", "mm-hm, right.", "okay, i see.", "yes, of course.", "right, go on."),
)
_TOLD = tuple(dict.fromkeys(" ".join(phrase.reply) for phrase in TRAINING if len(phrase.reply) > 2))
_FITTING = {
    Manner.QUESTION: _QUESTIONS,
    Manner.LIST: _LISTS,
    Manner.CORRECTION: _CORRECTIONS,
    Manner.WARNING: _WARNINGS,
}
_EACH = 60  # fitting texts of a manner
_SHARED = 90  # neutral ones


class Job(NamedTuple):
    """One take. ``settles``: the last word is a statement's, as that of a list is."""

    text: str
    voice: str
    manner: Manner
    settles: bool


def _fitting(manner: Manner, seed: int) -> list[str]:
    if manner is Manner.BACKCHANNEL:
        return list(_HEARD)
    patterns = _FITTING[manner]
    plain = [line for line in patterns if "{" not in line]
    open_ones = [line for line in patterns if "{" in line]
    filled = texts.assistant_texts(_EACH - len(plain), seed, open_ones)
    return [line for line in (*plain, *filled) if not texts.held_out(line)]


def _shared(seed: int) -> list[str]:
    """Short neutral sentences, with their full stop or, as nano writes, without."""
    rng = random.Random(seed)
    opened = [t for t in texts.wordnet_examples() if t[-1] == "." and "," not in t and 3 <= len(t.split()) <= 6]
    rng.shuffle(opened)
    chosen = [t for t in opened if not texts.held_out(t)][:_SHARED]
    told = [*_TOLD, *NUMBERS[:10]]
    rng.shuffle(told)
    return [*chosen, *told[: _SHARED // 3]]


def jobs(seed: int = 0) -> list[Job]:
    """In the order of synthesis: manners and voices take turns, so that any number of takes is balanced."""
    rng = random.Random(seed)
    neutral = [t for t in _shared(seed) if teacher.knows(t)]
    queues: list[list[Job]] = []
    for turn, manner in enumerate(m for m in Manner if m is not Manner.STATEMENT):
        fitting = [t for t in _fitting(manner, seed + turn) if teacher.knows(t)]
        rng.shuffle(fitting)
        lines = [line for pair in zip(fitting, neutral, strict=False) for line in pair]
        lines += [*fitting[len(neutral) :], *neutral[len(fitting) :]]
        settling = set(fitting) if manner is Manner.LIST else set()
        voices = (teacher.VOICES[(place + place // 8 + turn) % 4] for place in range(len(lines)))
        queues.append([Job(text, voice, manner, text in settling) for text, voice in zip(lines, voices, strict=True)])
    longest = max(map(len, queues))
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]
