"""What somebody says before a question, and then takes a moment: "what i want to find out is". It is no reason to say
anything yet, however long the moment is. Who asks for help ("i have a question") is answered: that is an intent."""

from __future__ import annotations

import random
from itertools import product

HELD_OUT_EVERY = 8
_BEFORE = "so; okay; well; now; listen; right; um; hello; yes and; also; but; hey; good".split("; ")
_LEADS = (
    "let me ask you this; here is my question; my question is; "
    "there is something i want to ask; there is one more thing; one more question; maybe you can tell me; "
    "perhaps you know this; tell me one thing; "
    "i wanted to ask you; i am going to ask you something; "
    "what i wanted to ask is; what i want to find out is; what i keep asking myself is; what i do not understand is; "
    "what interests me most is; the thing i am looking for is; the question is; the next question is; "
    "i was thinking about it this morning; i have been thinking; i keep forgetting; i always forget this; "
    "i never can remember; i used to know this; do you happen to know; do you by any chance know; you may know this; "
    "you surely know; we are having an argument here; my son is asking me; my friend here wants to know; "
    "somebody asked me today; they asked us at school; it is for a quiz; it is for a crossword; "
    "for my exam tomorrow i have to learn; we have a bet going; "
    "before i forget; while i think of it; just quickly; just out of interest; by the way; speaking of that; "
    "changing the subject; on another note; next thing; let us try something; let me try this; let me put it this way; "
    "how should i say this; what was it again that i wanted to know; hold on what was my question; where do i begin; "
    "the reason i am calling is; i would be happy if you could tell me; it would be great to know; "
    "i am trying to find out; i am looking for something; there is something else; i am curious; tell me please"
).split("; ")


def leads(held_out: bool) -> tuple[str, ...]:
    """Those of a half, the same ones every time."""
    rng = random.Random("leads")
    plain = [lead for n, lead in enumerate(_LEADS) if (n % HELD_OUT_EVERY == 0) == held_out]
    framed = [f"{before} {lead}" for before, lead in product(_BEFORE, plain)]
    fit = [text for text in framed if text.split()[0] != text.split()[1]]
    return tuple(dict.fromkeys([*plain, *rng.sample(fit, k=3 * len(plain))]))
