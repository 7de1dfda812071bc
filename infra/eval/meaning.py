"""Whether something was said, by its words: case, punctuation and the way of writing numbers make no difference.

A *meaning* is a set of words, all of which must be said, in any order, close to each other; ``|`` separates
alternatives within a word: ``"red|crimson car"``. Numbers are compared as numbers: ``four`` is ``4``,
``twenty-one`` is ``21``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.eval.heard import Said

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS = {word: value for value, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_SPELLINGS = {"color": "colour", "colors": "colours", "gray": "grey", "ok": "okay", "percent": "%"}
_PIECE = re.compile(r"\d+(?:[.,]\d+)*|%|[^\W\d_]+")
_SPREAD = 3  # a meaning of n words may have 3n + 2 words from its first to its last
_SPREAD_EXTRA = 2


@dataclass(frozen=True, slots=True)
class Token:
    """A normalised word. ``number`` is -1 for what is none."""

    text: str
    start_ms: float
    end_ms: float
    number: int = -1


@dataclass(frozen=True, slots=True)
class Mention:
    """A meaning was said from the begin of its first to the end of its last word."""

    start_ms: float
    end_ms: float


def tokens(words: Iterable[Said]) -> list[Token]:
    """Spoken words as normalised tokens; neighbours like ``twenty one`` become one number."""
    found: list[Token] = []
    for word in words:
        for piece in _PIECE.findall(word.text.lower().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")):
            token = _token(piece, word)
            if found and _completes(found[-1], token):
                tens = found.pop()
                number = tens.number + token.number
                token = Token(str(number), tens.start_ms, token.end_ms, number)
            found.append(token)
    return found


def plain(text: str) -> list[str]:
    """Written text as normalised words."""
    return [token.text for token in tokens([Said(word, 0.0, 0.0) for word in text.split()])]


def mentions(said: Sequence[Token], meaning: str) -> list[Mention]:
    """Each time that the meaning is said, earliest first; mentions share no word."""
    needed = [{form for alternative in word.split("|") for form in plain(alternative)} for word in meaning.split()]
    found: list[Mention] = []
    at = 0
    while needed and at < len(said):
        last = _complete(said, at, needed)
        if last < 0:
            at += 1
        else:
            found.append(Mention(said[at].start_ms, max(token.end_ms for token in said[at : last + 1])))
            at = last + 1
    return found


def any_mention(said: Sequence[Token], meanings: Iterable[str]) -> list[Mention]:
    """The mentions of any of these meanings, earliest first."""
    return sorted((m for meaning in meanings for m in mentions(said, meaning)), key=lambda m: (m.start_ms, m.end_ms))


def share_said(said: Sequence[Token], meaning: str) -> float:
    """How much of the meaning's words was said at all, 0 to 1."""
    needed = [{form for alternative in word.split("|") for form in plain(alternative)} for word in meaning.split()]
    heard = {token.text for token in said}
    return sum(bool(forms & heard) for forms in needed) / len(needed) if needed else 0.0


def numbers(said: Iterable[Token]) -> list[Token]:
    """The numbers among these tokens."""
    return [token for token in said if token.number >= 0]


def _token(piece: str, word: Said) -> Token:
    text = _SPELLINGS.get(piece, piece)
    number = int(text) if text.isdigit() and len(text) < 10 else _NUMBERS.get(text, -1)
    return Token(str(number) if number >= 0 else text, word.start_ms, word.end_ms, number)


def _completes(tens: Token, units: Token) -> bool:
    return tens.number in range(20, 100, 10) and units.number in range(1, 10)


def _complete(said: Sequence[Token], first: int, needed: list[set[str]]) -> int:
    """Index of the token that completes the meaning begun with token ``first``; -1 when it is not said there."""
    open_words = list(needed)
    limit = min(len(said), first + _SPREAD * len(needed) + _SPREAD_EXTRA)
    for at in range(first, limit):
        hit = next((forms for forms in open_words if said[at].text in forms), None)
        if hit is None:
            if at == first:
                return -1
            continue
        open_words.remove(hit)
        if not open_words:
            return at
    return -1
