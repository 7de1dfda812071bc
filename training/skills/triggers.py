"""Which words an order to listen for one is about: those that users often say when they tell something. And which
words of the user's, none of nano's own, an order may be to say."""

from __future__ import annotations

from collections import Counter
from functools import cache

from services.interaction.nano.config import NUMBERS
from training.skills.speech import free_speech
from training.skills.words import CATEGORIES, KINDS, SIGNALS, TIMED_WORDS, heard_words

LEAST, MOST = 10, 130  # sentences of the training half that hold the word
SHORTEST = 4  # letters, but for numbers and what categories hold
HELD_OUT_EVERY = 8
_EMPTY = frozenset(
    "that this there these those they them then than with will would could might were been being have always never "
    "nobody because although while which when what does like still some after before during under near behind across "
    "very else every other others instead around along through until only about though into from your their soon once "
    "else much more less something somebody everybody everyone everything word number maybe please".split()
)

_SAYABLE = (
    "again airplane airport alarm alert always anchor apartment arrow attention autumn bakery balcony balloon "
    "basement basket bathroom battery beach bedroom belt bench bicycle blanket bravo breakfast breathe bridge "
    "broccoli brother bullet butter cabinet camera candle canyon carrot castle ceiling cellar chair chocolate "
    "cinema circle classroom clay cloud coconut computer copper corner correct cotton cousin crystal curtain danger "
    "desert dessert diamond dinner doctor dolphin dragon dream drink driveway dust engine enough envelope evening "
    "exactly exercise factory farmer feather fever finger fireplace forest fountain freedom friend garage garlic "
    "ginger glasses grandma guitar hammer harbour harvest heaven holiday homework honey horizon hospital hotel "
    "island jacket journey jump jungle kettle kitchen ladder lamp laughter laundry leather letter library lightning "
    "listen lobster louder magic magnet market maybe meadow medal medicine meeting midnight mirror morning movie "
    "muscle museum needle never newspaper ocean office orchestra oven oxygen package painting palace paper parrot "
    "pencil perfect perfume petrol piano picture pilot pirate pizza planet plastic platform pocket poem police "
    "potato powder prison puzzle queen quickly radio rainbow ribbon river road robot saddle salad sandwich secret "
    "shadow shelf shopping shoulder sister slowly soldier spider spoon square station statue storm street sugar "
    "suitcase sunlight sunset sweater table teacher temple theatre thunder ticket toilet tomato tomorrow towel "
    "tower tunnel turkey umbrella uncle university valley velvet village violin volcano wake wallet warning welcome "
    "whistle wisdom wonderful wood world wrong yesterday"
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


@cache
def sayable(held_out: bool) -> tuple[str, ...]:
    """Words of a half that nano may be asked to say and has not among its own: words for things, mostly, of
    the released lexicon. Those that are held out stand in no order of the training half."""
    own = {*TIMED_WORDS, *SIGNALS, *NUMBERS, *_EMPTY, *(word for words in KINDS.values() for word in words), *KINDS}
    found = [word for word in _SAYABLE.split() if word not in own]
    return tuple(word for n, word in enumerate(found) if (n % HELD_OUT_EVERY == 0) == held_out)
