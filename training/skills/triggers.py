"""Which words an order to listen for one is about: those that users often say when they tell something."""

from __future__ import annotations

from collections import Counter
from functools import cache

from training.skills.speech import free_speech
from training.skills.words import CATEGORIES, NUMBERS, SIGNALS, heard_words

LEAST, MOST = 10, 130  # sentences of the training half that hold the word
SHORTEST = 4  # letters, but for numbers and what categories hold
HELD_OUT_EVERY = 8
_EMPTY = frozenset(
    "that this there these those they them then than with will would could might were been being have always never "
    "nobody because although while which when what does like still some after before during under near behind across "
    "very else every other others instead around along through until only about though into from your their soon once "
    "else much more less something somebody everybody everyone everything word number maybe please".split()
)


@cache
def triggers(held_out: bool) -> tuple[str, ...]:
    """Those of a half, sorted; those that are held out stand in no order of the training half."""
    speech = free_speech(False)
    said = Counter(word for kind in ("stories", "carriers") for text in speech[kind] for word in set(text.split()))
    short = {word for words in (NUMBERS, *CATEGORIES.values()) for word in words}
    refused = _EMPTY | {*CATEGORIES, *SIGNALS}
    found = [
        word
        for word in heard_words()
        if LEAST <= said[word] <= MOST and word not in refused and word.isalpha() and (len(word) >= SHORTEST or word in short)
    ]
    return tuple(word for n, word in enumerate(found) if (n % HELD_OUT_EVERY == 0) == held_out)
