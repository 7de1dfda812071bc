"""The script of suite ``speech``, and the sentences with the teacher's figures that it is made of."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from infra.local.jars import PROJECT

SUITE = "speech"
FILE = PROJECT / "tests" / "behaviour" / "aloud" / f"{SUITE}.json"
TEACHER = PROJECT / "tests" / "behaviour" / "teacher.json"


class TeacherLine(msgspec.Struct, frozen=True):
    """A held-out sentence as the teacher says it: ``edits`` in ``words`` as the recogniser heard them, and its opinion
    score (None where it was not judged)."""

    voice: str
    text: str
    words: int
    edits: int | None = None
    dnsmos: float | None = None
    heard: str = ""


class TeacherCut(msgspec.Struct, frozen=True):
    """A line of which the teacher's sound was ended after a word: ``said`` of it, and ``heard`` by the recogniser."""

    voice: str
    text: str
    said: str
    heard: str


class Teacher(msgspec.Struct, frozen=True, kw_only=True):
    """Made by ``training.speech.teacher_figures``; users need no Kokoro to compare with it."""

    made_by: str
    teacher: str
    recogniser: str
    opinion: str
    sentences_from: str
    sentences_sha256: str
    sentences: list[TeacherLine]
    cuts: list[TeacherCut] = []


@lru_cache(maxsize=1)
def teacher() -> Teacher:
    """Raises ``msgspec.DecodeError`` or ``OSError``."""
    return msgspec.json.decode(TEACHER.read_bytes(), type=Teacher)


def asked(key: str) -> str:
    """What a client types to have a line read."""
    return f"say {key}"


STOP = "hush"
"""What it types to have the reader stop; said too late, it is a line like any other, answered with ``STOPPED``."""
STOPPED = "Okay."
