"""What is said while nano speaks: signs of listening, which are no reason to stop, and what interrupts it.

Whoever interrupts seldom says a phrase as it stands in a book: "no wait", "sorry I meant", "instead". So what nano can
be asked for is said once more with such words around it. Both halves have words of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

SIGNS = 320
HELD_OUT_EVERY = 8
_ALONE = (
    "mm-hm; uh-huh; yeah; right; i see; okay; aha; oh; hm; mm; ah; sure; got it; yes; oh really; wow; nice; good; great; "
    "fine; true; exactly; interesting; go on; i know; alright; oh yes; oh wow; makes sense; that is true; good to know; "
    "oh nice; ah right; well well; is that so; no way; fair enough; of course; yep; cool; i understand; oh good; ah yes"
).split("; ")
_FOLLOWING = "okay; right; yeah; i see; mm-hm; yes; sure; aha; good; uh-huh; fine; go on; got it; wow; interesting; nice".split("; ")

_BEFORE = (
    "no; no no; wait; no wait; sorry; actually; hang on; hold on; one moment; sorry but; excuse me; oh wait; hey; stop; "
    "please stop; okay stop; no stop; wait wait; no sorry; sorry no; i mean; i meant; sorry i meant; i said; no i said; "
    "no i meant; you know what; that is enough; enough of that; okay okay; okay enough; listen; hold on a second; "
    "let me stop you there; not that; no not that; forget that; on second thought; sorry to interrupt but; oh and; "
    "all right now; no no no; stop stop; hey wait; wait a second; one thing; okay but; yes but; but; wait sorry; "
    "oh sorry; no actually; i changed my mind; something else; wait i have a better idea"
).split("; ")
_ASKING = (
    "just; rather; better; please; you should; i would rather have you; i want you to; can you instead; could you rather; "
    "can you just; wait can you; no please; no just; wait just; sorry could you; please just; now please; why do you not; "
    "i need you to; you could rather; maybe you could"
).split("; ")
_BEHIND = "instead; rather; please; i mean; now; actually; right away; if you do not mind; and not that; instead please".split("; ")
_BEFORE_HELD = "oh no; wait a bit; pardon; no hold on; sorry sorry; well actually; no i want to say; hang on hang on".split("; ")
_ASKING_HELD = "be so kind and rather; would you instead; do".split("; ")
_BEHIND_HELD = "in place of that; i meant to say; for now".split("; ")
_IMPERATIVES = frozenset("count say tell explain describe give find show read play list name start".split())


def signs(held_out: bool) -> list[str]:
    """Signs of listening, alone and one after the other, of either half."""
    rng = random.Random("signs of listening")
    found: dict[str, None] = dict.fromkeys(_ALONE)
    while len(found) < SIGNS:
        words = [rng.choice(_ALONE), rng.choice(_FOLLOWING)]
        if rng.random() < 0.15:
            words.append(rng.choice(_FOLLOWING))
        found[" ".join(words)] = None
    return [text for n, text in enumerate(found) if (n % HELD_OUT_EVERY == 0) == held_out]


def interrupting(texts: Iterable[str], held_out: bool) -> Iterator[tuple[str, str]]:
    """Each text as it is, and as somebody says it who interrupts."""
    rng = random.Random(f"interruptions {held_out}")
    before, asking, behind = (_BEFORE_HELD, _ASKING_HELD, _BEHIND_HELD) if held_out else (_BEFORE, _ASKING, _BEHIND)
    for text in texts:
        said, drawn = text, rng.random()
        if text.split()[0] in _IMPERATIVES and drawn < 0.35:
            said = f"{rng.choice(asking)} {text}"
        elif drawn < 0.9:
            said = f"{rng.choice(before)} {text}"
        if said == text or rng.random() < 0.3:
            said = f"{said} {rng.choice([b for b in behind if b.split()[-1] not in text.split()])}"
        yield text, said
