"""Orders about what the user says, put together of two clauses: when it is to be said, and what.

Templates that are lists teach lists: of the training half's, nano knew nine in ten, of the held-out ones three. A clause
that is heard beside many others is learned for itself.
"""

from __future__ import annotations

import random

_WHEN = "when; whenever; every time; each time; as soon as; any time; if; once; in case; the instant; always when".split("; ")
_NAMED = (
    "i say {a}; i mention {a}; i name {a}; you hear {a}; i talk about {a}; i bring up {a}; i use {a}; i speak of {a}; "
    "there is {a} in what i say; somebody mentions {a}; somebody says {a}; {a} comes up; {a} is mentioned; {a} is said; "
    "i come to {a}; you notice {a}; you catch {a}; you hear me say {a}; i happen to say {a}; i tell you about {a}; "
    "my sentence has {a} in it; {a} appears in what i say; you recognise {a}"
).split("; ")
_SAY = (
    "say {w}; you say {w}; just say {w}; please say {w}; call out {w}; shout {w}; tell me {w}; answer {w}; answer with {w}; "
    "reply with {w}; respond with {w}; let me hear {w}; i want to hear {w}; you call out {w}; say the word {w}; "
    "you should say {w}; interrupt me with {w}; cut in with {w}; you tell me {w}; you answer {w}; then say {w}; "
    "quickly say {w}; say {w} at once; say {w} right away; always say {w}; you have to say {w}; you just say {w}"
).split("; ")
_SAY_FIRST = (
    "say {w}; say the word {w}; call out {w}; shout {w}; tell me {w}; answer with {w}; reply with {w}; let me hear {w}; "
    "i want to hear {w}; i want you to say {w}; can you say {w}; could you say {w}; i would like you to say {w}; "
    "just say {w}; interrupt me with {w}; cut in with {w}; you should say {w}; always say {w}; i need you to say {w}; "
    "could you call out {w}; can you tell me {w}; try to say {w}; now say {w}; okay say {w}; your job is to say {w}"
).split("; ")
_SPANISH = (
    "say it in spanish; give it in spanish; tell me the spanish; translate it; translate it into spanish; "
    "put it into spanish; say the spanish word; you say it in spanish; say that in spanish; repeat it in spanish; "
    "give me the spanish for it; tell me what that is in spanish; call it out in spanish; you translate it"
).split("; ")
_SPANISH_FIRST = (
    "tell me the spanish; say the spanish word; translate into spanish; speak spanish; give me the spanish word; "
    "call out the spanish; i want the spanish; can you say the spanish; could you tell me the spanish; "
    "i want you to say the spanish; let me hear the spanish; just say the spanish; now say the spanish"
).split("; ")
_ABOUT = {
    "cue": "a {c}; any {c}; some {c}; the name of a {c}; a kind of {c}; another {c}; one {c}; a {c} or another",
    "over": "a number over {n}; more than {n}; a number greater than {n}; a number bigger than {n}; anything over {n}; "
    "a number beyond {n}; something over {n}; a number that is more than {n}; a number larger than {n}",
    "hear": "{x}; the word {x}; {x}; the word {x}; just {x}",
    "spanish numbers": "a number; any number; some number; another number; one of the numbers",
    "spanish colours": "a colour; any colour; some colour; another colour; one of the colours; the name of a colour",
}
KINDS = tuple(_ABOUT)


def template(kind: str, rng: random.Random) -> str:
    """A template like those of ``orders``, for a kind of ``KINDS``: {w}, {c}, {n} and {x} are still to be filled."""
    spanish = kind.startswith("spanish")
    about = rng.choice(_ABOUT[kind].split("; "))
    when = f"{rng.choice(_WHEN)} {rng.choice(_NAMED).format(a=about)}"
    if rng.random() < 0.55:
        return f"{when} {rng.choice(_SPANISH if spanish else _SAY)}"
    return f"{rng.choice(_SPANISH_FIRST if spanish else _SAY_FIRST)} {when}"
