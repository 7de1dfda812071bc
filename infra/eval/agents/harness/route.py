"""Which of the cascade's two tools a turn needs: the small language model that chats, or the one that looks things up.

Stacks leave that to the language model's tool calls; the one that fits beside them on two cores cannot make them
reliably, so this is a rule in its place, a semantic router: a question about the world is looked up, one about you and
me is not. Written against the training phrases (``tests/agents/test_harness.py`` holds it to them), never the
evaluation's.
"""

from __future__ import annotations

import re

_POLITE = re.compile(
    r"^(?:(?:please|so|well|okay|hey|um|uh|and|but)\s+)*(?:can|could|would|will) you\b"
    r"|\b(?:please|do you know|for me|to me|tell me|let me know|let me ask you"
    r"|i (?:just )?(?:want|need|would like|was wondering|wonder)(?: to (?:ask|know))?|do you (?=say|call|spell))\b"
)
_ASKS = re.compile(
    r"\b(?:what|what's|which|who|who's|whose|when|where|why|how|name|explain|describe|define|translate|look up"
    r"|find out|search|is it|will it|are there|about|the capital)\b\s+\S"
)
_PERSONAL = re.compile(r"\b(?:you|your|yours|you're|i|i'm|me|my|mine|we|this|that|it going|everything)\b")


def wants_look_up(text: str) -> bool:
    """Whether this turn asks about the world: with something to look up."""
    words = " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())
    asked = _POLITE.sub(" ", words)
    return bool(_ASKS.search(asked)) and not _PERSONAL.search(asked)
