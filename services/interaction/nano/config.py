"""Sizes, vocabularies and versions of a nano model, as stored in ``config.json``."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.records import Manner
from services.interaction.nano.lexicon import REACH_TICKS

NONE, COPY, RECALL, MEASURED, NEXT, TRANSLATED = range(6)
"""Ids of the text vocabulary that point at a word: none; the next one of a pending result; the standing task's; how
many seconds the user was silent; the number after the one that it counted last; the user's word in Spanish."""
SPECIAL_WORDS = ("<none>", "<copy>", "<recall>", "<measured>", "<next>", "<translated>")
FLOORS = ("hold", "take", "backchannel", "yield")
USERS = ("silent", "speaking", "ended")
EVENTS = ("none", "delegate", "cancel", "drop")
TICK_TOKENS = 6  # 4 audio, 1 video, 1 output
AUDIO_TOKENS = 4
CONV_TAPS = 4
PERIODS_TICKS = (5, 15, 50, 150)
WORD_BUCKETS = 512
PHONES = 41  # classes of the auxiliary head, ``training.phones``
PHONES_A_TOKEN = 2
MANNERS = tuple(Manner)
VOICES = 3  # silent, speaking and ready for a word, speaking and busy
LEFT_STEPS = (0, 1, 2, 4, 8)  # pending words: 0, 1, 2–3, 4–7, 8 and more
MAX_SINCE = 15
MAX_TICKS = 127  # where the registers that count ticks stop
BREAK_TICKS = 5  # a silence of the user that is remembered lasts at least so long
SECONDS_ONCE = tuple(range(2, 11))
SECONDS_REPEATED = tuple(range(2, 7))
OVER = tuple(range(3, 9))
COLOURS = (
    "red green blue yellow white purple black orange pink brown grey turquoise gold violet"
).split()
NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
CUES = "fruit animal colour number vehicle drink day city".split()


def task_name(kind: str, argument: int | str) -> str:
    """The name of a standing task that has an argument, e.g. ``timer 3``."""
    return f"{kind} {argument}"


TASKS = (
    "none",
    *(task_name("timer", n) for n in SECONDS_ONCE),
    *(task_name("every", n) for n in SECONDS_REPEATED),
    "clock",
    "count",
    "action",
    "check",
    *(task_name("watch", colour) for colour in COLOURS),
    *(task_name("cue", category) for category in CUES),
    *(task_name("over", n) for n in OVER),
    "spanish numbers",
    "spanish colours",
    "hear",
    "count to",
    "tally",
)
HEAR, COUNT_TO, TALLY = (TASKS.index(name) for name in ("hear", "count to", "tally"))
USERS_WORD = COPY  # of the word head: the task's word is the user's, see ``Tokens.noted``
KEEP = 0  # of the task head: what stands stays; 1 + k sets task k (1: none)


@dataclass(frozen=True, slots=True)
class NanoConfig:
    """``windows`` are the layers' attention windows in ticks, the current one included.

    ``phones_after`` is how many layers hear before the phones are named (an auxiliary loss); 0 is all.
    ``temperature`` is of the text head's sampling, by the session's seed; 0 takes the most likely word, always.
    ``signs`` are the words that say no more than that it listens. Where they are given, whether to say nothing, a sign
    or anything else is decided first, by what each of the three weighs as a whole, and the word then: else silence
    would win wherever it is clear that an answer is due, but not which.
    ``yield_logit`` is added to the logit of yielding: below 0, it must be surer that it is interrupted.
    ``yield_at``: while its voice is heard, it yields when the likelihoods of yielding add up to this, those of former
    ticks ``yield_keep`` times less with each (without a voice nothing is added to the logit then); 0: when yielding is
    the likeliest in one tick.
    ``kinds`` are the user's words that standing tasks wait for, by kind: those of ``CUES``, numbers in their order.
    ``spanish`` has the Spanish of some of the user's words.
    """

    d: int
    heads: int
    head_width: int
    windows: tuple[int, ...]
    dense_width: int
    moe_from_layer: int
    experts: int
    expert_width: int
    shared_width: int
    top_k: int
    text_words: tuple[str, ...]
    heard_words: tuple[str, ...]
    name: str = "nano"
    release: str = "0.3.0"
    encoder_version: str = ""
    backbone_version: str = ""
    temperature: float = 0.0
    signs: tuple[str, ...] = ()
    phones_after: int = 0
    yield_logit: float = 0.0
    yield_at: float = 0.0
    yield_keep: float = 0.0
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spanish: dict[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> str:
        """How decisions are made of logits, for the model's name: the same weights under other rules say something
        else, and a replay must not take the one for the other."""
        parts = [f"~{self.temperature:g}"] if self.temperature else []
        parts += [f"~y{self.yield_logit:g}"] if self.yield_logit else []
        parts += [f"~d{self.yield_at:g}.{self.yield_keep:g}"] if self.yield_at else []
        meanings = sorted(self.kinds.items()), sorted(self.spanish.items())
        parts += [f"~k{zlib.crc32(repr(meanings).encode()):08x}"] if self.kinds or self.spanish else []
        return "".join(parts + ([f"~s{zlib.crc32(' '.join(self.signs).encode()):08x}"] if self.signs else []))

    @property
    def context_ticks(self) -> int:
        """How many former ticks a restore must read.

        Each layer reaches back over its window (less the tick itself) and, by its convolution, one tick more, of which
        only the sound matters, not what it was fed. So many make a tick exact; the search for the user's words wants
        as many exact ones as it reaches back over itself.
        """
        return sum(window - 1 + 1 for window in self.windows) + REACH_TICKS

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> NanoConfig:
        return cls.from_dict(json.loads(path.read_text()))

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> NanoConfig:
        """Raises ``TypeError`` when a field is missing or unknown."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in raw.items()}
        fields["kinds"] = {kind: tuple(words) for kind, words in raw.get("kinds", {}).items()}
        return cls(**fields)
