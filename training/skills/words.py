"""Closed sets of words: what cues are about, what a timer says, what a colour is called in Spanish."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from services.interaction.nano.config import COLOURS, NUMBERS

HEARD_WORDS = Path(__file__).parents[1] / "heard_words.txt"  # see ``training.lexis``

CATEGORIES: dict[str, tuple[str, ...]] = {
    "fruit": tuple(
        "apple banana cherry grape lemon lime mango melon peach pear plum kiwi strawberry pineapple raspberry fig".split()
    ),
    "animal": tuple(
        "dog cat horse cow pig sheep goat duck chicken lion tiger bear wolf fox rabbit mouse elephant monkey bird fish".split()
    ),
    "colour": tuple(COLOURS),
    "number": tuple(NUMBERS[:10]),
    "vehicle": tuple("car bus train bicycle boat plane truck taxi ship tram van tractor".split()),
    "drink": tuple("water tea coffee milk juice beer wine lemonade cocoa soda".split()),
    "day": tuple("monday tuesday wednesday thursday friday saturday sunday".split()),
    "city": tuple("london paris berlin rome madrid tokyo sydney boston vienna lisbon dublin chicago".split()),
}  # fmt: skip
# Others of a kind that the transcript can write; none of the carriers was made of them.
_MORE = {
    "fruit": "apples bananas",
    "animal": (
        "ants bat bats bear bears bee bees birds bull camel cats cattle chickens cows crocodile deer dinosaurs dogs ducks "
        "eagle eagles frog goose horses insects kitten koala parrot puppy salmon shark snail snake snakes spiders turkey"
    ),
    "number": " ".join(NUMBERS[10:]),
    "vehicle": "aircraft airplane automobile boats cars jet motorbike planes ships trains",
    "drink": "alcohol champagne whiskey",
    "day": "sundays",
    "city": (
        "atlanta bangkok beijing bristol budapest copenhagen dallas delhi denver glasgow hamburg havana helsinki istanbul "
        "krakow leeds lima milan moscow mumbai munich nairobi naples osaka oslo oxford seattle shanghai stockholm toronto "
        "venice warsaw washington"
    ),
}
KINDS = {kind: (*words, *(w for w in _MORE.get(kind, "").split() if w not in words)) for kind, words in CATEGORIES.items()}
"""What belongs to each kind: see ``NanoConfig.kinds``."""
SPANISH = dict(
    zip(
        [*NUMBERS[:10], "red", "green", "blue", "yellow", "white", "black", "orange", "pink", "brown", "grey"],
        (
            "uno dos tres cuatro cinco seis siete ocho nueve diez rojo verde azul amarillo blanco negro naranja rosa "
            "café gris"
        ).split(),
        strict=True,
    )
)
TIMED_WORDS = (
    "apple banana cherry lemon melon water coffee tea bread cheese river mountain window garden summer winter music "
    "flower yellow orange purple silver tiger rabbit monkey hello ready now time done go stop up lunch break"
).split()
SIGNALS = "stop now beep yes here hello hey there".split()
MOVES = {
    "jumps": "jump", "squats": "squat", "waves": "wave", "bounces": "bounce", "swings": "swing", "nods": "nod",
    "lifts": "lift", "claps": "clap", "turns": "turn", "movements": "move",
}  # fmt: skip
THINGS = (
    "ball box circle square thing cup triangle shape balloon object card light spot dot block cube star car hat flag "
    "ring bottle bag book disc patch bar figure"
).split()
ACTIONS = (
    "the wheel turns; the fan runs; it moves; the swing moves; the car drives; the light blinks; he walks; she walks; "
    "somebody walks; somebody moves; something moves; the ball rolls; the ball moves; the box moves; the train moves; "
    "the dog runs; the cat moves; the man walks; the door moves; the picture moves; i move; i walk; the bird flies; "
    "the circle moves; the square moves; the thing moves; the shape turns; it turns"
).split("; ")
LISTENING = ("mm-hm", "uh-huh", "right", "yeah")


@cache
def heard_words() -> tuple[str, ...]:
    """The words that the own transcript can write, sorted."""
    return tuple(HEARD_WORDS.read_text().split())
