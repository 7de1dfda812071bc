"""Free speech: what users tell, mention, count and say to others. Nobody is asked anything by it.

Stories are for listening to (a sign of listening is welcome after a sentence), carriers hold the words that cues are
about, asides are meant for somebody else. All are drawn from small grammars, seeded, and split in halves that share no
sentence.
"""

from __future__ import annotations

import random

from services.interaction.nano.config import COLOURS
from training.skills.words import CATEGORIES, NUMBERS

STORIES, CARRIERS, COUNTINGS = 900, 700, 60
HELD_OUT_EVERY = 8

_WHO = "i; we; my sister; my brother; my uncle; the neighbours; a friend of mine; my boss; the old man; her daughter; the two of us; somebody"
_WHEN = (
    "yesterday; last week; on sunday; in the evening; after lunch; this morning; two years ago; at first; later; "
    "then; once; in spring; during the holidays; the next day; before that"
)
_DID = (
    "found a letter; lost the keys; missed the last bus; cooked soup for everyone; painted the kitchen; met an old friend; "
    "climbed up the hill; broke a window; fixed the roof; planted some trees; drove to the sea; slept all day; "
    "bought a second hand piano; took the wrong road; forgot the tickets; waited for an hour; talked about the weather; "
    "opened the wrong door; walked along the river; heard a strange noise; called the police; had to laugh; "
    "saw a huge dog; carried everything upstairs; left the house early; made a long list; lit a big fire; "
    "got completely wet; learned how to swim; sang until midnight; ran back home; sold the old car; washed the dishes; "
    "wrote a long letter; could not find the way; tried it again; sat on the balcony; played cards; fell asleep"
)
_WHERE = (
    "in the garden; at the station; near the bridge; behind the house; in the village; at my aunt's place; on the train; "
    "by the lake; in the attic; at the market; in the middle of nowhere; at the office; on the way home; "
    "at the hospital; in the old town; under the stairs"
)
_SO = (
    "and it was very cold; and nobody knew why; because it was raining; and everyone laughed; which was really strange; "
    "so we stayed a little longer; and that took forever; but it did not matter; and then the light went out; "
    "which nobody had expected; and i was so tired; because the shop was closed; and the children loved it"
)
_CARRIED = (
    "in the {place} there was a {x} and a {y} next to it; yesterday i saw a {x} and later a {y}; my mother likes {x} but my father likes {y}; "
    "we talked about {x} for a while and then about something else; on the table there is {x} and that is all we have left; "
    "he said {x} and she said {y} and nobody listened; i think that {x} is better than {y} but who knows; "
    "it was raining when we found the {x} and everyone was happy; first came {x} then came {y} and then we went home; "
    "the {place} was closed but they still had {x} for us; please do not forget the {x} when you go there; "
    "i have never liked {x} so much as in this {place}; somebody wrote {x} on the wall of the {place}"
)
_PLACES = "kitchen; street; village; office; garden; harbour; museum; school; forest; hotel"
_NUMBERED = (
    "there were {x} people in the room and {y} of them were asleep; i waited {x} minutes and then {y} more; "
    "she has {x} cats and {y} chickens at home; we need {x} chairs and {y} plates for tonight; "
    "page {x} is missing and page {y} is torn; i walked {x} miles on the first day and {y} on the second; "
    "he is {x} years old and his sister is {y}; it costs {x} or maybe {y} i am not sure; "
    "bus number {x} is late but number {y} is on time"
)
_COLOURED = (
    "she wore a {x} coat and a {y} hat; the door is {x} and the roof is {y}; i painted the wall {x} but it looks {y} now; "
    "he has a {x} car with {y} seats; the sky was {x} and the sea was {y}; we bought {x} shoes and a {y} bag; "
    "there is a {x} cup behind the {y} box; her eyes are {x} and her hair is {y}"
)
_ASIDES = (
    "no mum i am on the phone; can you close the door please; the dog wants to go out; dinner is ready in a minute; "
    "put it over there please; i will be right with you darling; hold the baby for a second; just leave it on the desk; "
    "who is at the door; tell him i am not at home; give me the blue one no the other one; not you i mean my son; "
    "yes dear i heard you; could somebody turn the radio down; leave the cat alone; you can go now i am fine; "
    "did you feed the fish; your keys are on the shelf; honey where is my coat; good bye have fun at school; "
    "one large coffee please; the next stop is the main station; it is your turn to cook"
)
_ASIDES_HELD = "take your shoes off please; the milk is in the fridge; grandma is calling you; we leave in ten minutes"


def _of(rng: random.Random, texts: str) -> str:
    return rng.choice(texts.split("; "))


def _story(rng: random.Random) -> str:
    parts = [_of(rng, _WHO), _of(rng, _DID), _of(rng, _WHERE)]
    if rng.random() < 0.5:
        parts.insert(0, _of(rng, _WHEN))
    if rng.random() < 0.6:
        parts[-1:] = [parts[-1], _of(rng, _SO)] if rng.random() < 0.6 else [_of(rng, _SO)]
    return " ".join(parts)


def _carrier(rng: random.Random) -> str:
    category = rng.choice([*CATEGORIES, "number", "colour", "number", "colour"])
    if category == "number":
        return _of(rng, _NUMBERED).format(x=rng.choice(NUMBERS[:12]), y=rng.choice(NUMBERS[:12]))
    if category == "colour":
        return _of(rng, _COLOURED).format(x=rng.choice(COLOURS), y=rng.choice(COLOURS))
    x, y = rng.choice(CATEGORIES[category]), rng.choice(CATEGORIES[rng.choice(list(CATEGORIES))])
    return _of(rng, _CARRIED).format(x=x, y=y, place=_of(rng, _PLACES)).replace(" a apple", " an apple")


def _counting(rng: random.Random) -> str:
    """A count with one number left out or said twice."""
    last = rng.randint(5, 9)
    numbers = NUMBERS[:last]
    place = rng.randrange(2, last - 1)
    if rng.random() < 0.7:
        del numbers[place]
    return " ".join(numbers)


def _drawn(name: str, count: int) -> list[str]:
    rng = random.Random(name)
    make = {"stories": _story, "carriers": _carrier, "countings": _counting}[name]
    found: dict[str, None] = {}
    for _ in range(count * 20):
        found[make(rng)] = None
        if len(found) == count:
            break
    return list(found)


def free_speech(held_out: bool) -> dict[str, list[str]]:
    """Sentences by kind (stories, carriers, countings, asides) of either half."""
    halves = {
        name: [t for n, t in enumerate(_drawn(name, count)) if (n % HELD_OUT_EVERY == 0) == held_out]
        for name, count in (("stories", STORIES), ("carriers", CARRIERS), ("countings", COUNTINGS))
    }
    return {**halves, "asides": (_ASIDES_HELD if held_out else _ASIDES).split("; ")}
