"""Orders put together of two clauses: when something is to be said, and what.

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
    "tally": "{x}; the word {x}; {x}; the word {x}; just {x}",
}
KINDS = tuple(_ABOUT)

_COUNT = (
    "count; please count; you count; count up; count for me; number; note; add up; keep counting; start to count; keep a list of; "
    "keep track of; keep score of; i need you to count; you have to count; go on counting; count out; could you note; "
    "try to count; your job is to count; help me to count; let us count; i would like a count of; now count; just count"
).split("; ")
_COUNTED = (
    "the {m}; all {m}; all the {m}; every {v}; each {v}; every single {v}; these {m}; those {m}; each {v} that he makes; "
    "every {v} that she makes; the {m} in the picture; the {m} on the screen; the {m} as they come; the {m} from now on; "
    "every {v} from now on; the {m} one by one; each of the {m}; his {m}; her {m}; the {m} in the video; the {m} with me"
).split("; ")
_MOVER = "he; she; it; the girl; the boy; somebody; the player; the dancer; the thing; the ball; the woman; the runner; one of them; the dot".split("; ")
_EACH = "when; whenever; every time; as often as; any time; always when; each time that".split("; ")
_NUMBER = (
    "say the next number; count one up; count it; say the number; call the number; give me the number; call out the number; "
    "say which one it was; add one; say the count so far; go up by one; say one number more; let me hear the count; count on"
).split("; ")
_MANY = (
    "how many {m} can you count; how many {m} does he make count them; how many {m} does she make count aloud; "
    "how many {m} will it be count with me; say how many {m} there have been after each one; how many {m} so far keep saying it; "
    "let me hear the number of {m} as they come; after every {v} say how many there were; the number of {m} please one by one; "
    "tell me after each {v} how many it were; i want to know the number of {m} while they come"
).split("; ")

_ONCE = "when; once; as soon as; if; in case; whenever; the instant; the second; at once when".split("; ")
_THERE = (
    "a {c} {t} appears; the {c} {t} appears; a {c} {t} comes; a {c} {t} pops up; a {c} {t} arrives; something {c} comes; "
    "something {c} appears; anything {c} is there; the {c} {t} is in the picture; a {c} {t} is on the screen; "
    "a {c} {t} can be seen; a {c} {t} comes into view; a {c} {t} is coming; the {c} {t} gets here; you notice a {c} {t}; "
    "you discover a {c} {t}; you find a {c} {t}; you recognise a {c} {t}; you notice something {c}; your eyes find a {c} {t}; "
    "the picture has a {c} {t} in it; there is something {c}; the {t} that comes is {c}; i show you a {c} {t}; i hold up a {c} {t}"
).split("; ")
_REPORT = (
    "say {c}; shout {c}; call {c}; tell me; speak up; give me a sign; alert me; warn me; let me hear it; say the word {c}; "
    "report it; raise your voice; name the colour; just say {c}; you say {c}; please say {c}; i want to hear {c}; cry {c}"
).split("; ")
_REPORT_FIRST = (
    "say {c}; shout {c}; call {c}; tell me; speak up; give me a sign; alert me; warn me; report to me; let me hear {c}; "
    "please say {c}; i want to hear {c}; i want you to tell me; can you say {c}; could you tell me; be so good and say {c}"
).split("; ")

_BEGINS = "when; as soon as; once; whenever; the instant; every time".split("; ")
_ENDS = (
    "when it is still again; when that is over; as soon as it stands still; when nothing moves; once it is quiet; "
    "when it comes to rest; when that ends; at the end; when it is done; as soon as that ends; when all is still; "
    "once it has stopped; when there is no more of it; afterwards; when it has come to an end"
).split("; ")
_ACTION = (
    "say start {b} {a} and stop {e}; {b} {a} say start and {e} say stop; {b} {a} say start and say stop {e}; "
    "tell me {b} {a} and also {e}; call out start {b} {a} and stop {e}; shout start {b} {a} and shout stop {e}; "
    "give me a start {b} {a} and a stop {e}; let me hear start {b} {a} and stop {e}; {b} {a} let me know and also {e}; "
    "start is what you say {b} {a} and stop {e}; you say start {b} {a} and stop {e}; report {b} {a} and {e}; "
    "watch closely and say start {b} {a} and stop {e}; look at it and say start {b} {a} then stop {e}; "
    "i want to hear start {b} {a} and stop {e}; can you say start {b} {a} and stop {e}; mark {b} {a} and {e}"
).split("; ")
SEEN = ("count", "watch", "action")


def template(kind: str, rng: random.Random) -> str:
    """A template like those of ``orders``, for a kind of ``KINDS`` or ``SEEN``: {w}, {c}, {n}, {x} and so on are still
    to be filled."""
    if kind == "count":
        drawn = rng.random()
        if drawn < 0.45:
            return f"{rng.choice(_COUNT)} {rng.choice(_COUNTED)}"
        return f"{rng.choice(_EACH)} {rng.choice(_MOVER)} {{m}} {rng.choice(_NUMBER)}" if drawn < 0.75 else rng.choice(_MANY)
    if kind == "watch":
        seen = f"{rng.choice(_ONCE)} {rng.choice(_THERE)}"
        return f"{seen} {rng.choice(_REPORT)}" if rng.random() < 0.5 else f"{rng.choice(_REPORT_FIRST)} {seen}"
    if kind == "action":
        return rng.choice(_ACTION).replace("{b}", rng.choice(_BEGINS)).replace("{e}", rng.choice(_ENDS))
    spanish, tally = kind.startswith("spanish"), kind == "tally"
    about = rng.choice(_ABOUT[kind].split("; "))
    when = f"{rng.choice(_WHEN)} {rng.choice(_NAMED).format(a=about)}"
    if rng.random() < 0.55:
        return f"{when} {rng.choice(_SPANISH if spanish else _NUMBER if tally else _SAY)}"
    return f"{rng.choice(_SPANISH_FIRST if spanish else _NUMBER if tally else _SAY_FIRST)} {when}"
