"""Words to phonemes: a lexicon, word endings, compounds; ``letters`` for the rest. Weak forms by the next sound.

Phonemes are those of Kokoro and misaki: one character a phoneme, capitals are diphthongs (``A`` as in *day*), ``ˈ ˌ``
before the stressed vowel, ``ː`` after a long one.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from services.interaction.speech.speller import Spoken, spell

PHONES = "AIOQWYabdfhijklmnpstuvwzæðŋɑɐɒɔəɛɜɡɪɹɾʃʊʌʒʤʧˈˌːθᵊᵻʔ"
PAD, UNKNOWN, BEGIN, END = "_", "#", "^", "$"
MARKS = " ,.?!"
SYMBOLS = PAD + UNKNOWN + BEGIN + END + MARKS + PHONES
ACCENTS = ("us", "gb")
VOWELS = frozenset("AIOQWYaiuæɑɐɒɔəɛɜɪʊʌᵊᵻ")
_TAPPED = frozenset("AIOWYiuæɑəɛɪɹʊʌ")
Letters = Callable[[str, str], str]


class Word(NamedTuple):
    """One token as it is spoken: ``phones`` of its words, joined by spaces, and the mark after it."""

    text: str
    phones: str
    mark: str


def ids(phones: str) -> list[int]:
    """Ids of symbols; raises ``ValueError`` for one that is none."""
    return [SYMBOLS.index(c) for c in phones]


def _plural(stem: str, british: bool) -> str:
    if stem[-1] in "ptkfθ":
        return stem + "s"
    return stem + (("ɪz" if british else "ᵻz") if stem[-1] in "szʃʒʧʤ" else "z")


def _past(stem: str, british: bool) -> str:
    if stem[-1] in "pkfθʃsʧ":
        return stem + "t"
    weak = "ɪ" if british else "ᵻ"
    if stem[-1] == "t" and not british and stem[-2:-1] and stem[-2] in _TAPPED:
        return stem[:-1] + "ɾᵻd"
    return stem + (f"{weak}d" if stem[-1] in "td" else "d")


def _going(stem: str, british: bool) -> str:
    if stem[-1] == "t" and not british and stem[-2:-1] and stem[-2] in _TAPPED:
        return stem[:-1] + "ɾɪŋ"
    return stem + ("ɹɪŋ" if british and stem[-1] in "əː" else "ɪŋ")


class Phonemiser:
    """``accent`` is ``us`` or ``gb``. ``letters(word, accent)`` speaks words that nothing else knows."""

    def __init__(self, lexicon: dict[str, str], accent: str, letters: Letters) -> None:
        self._lexicon = lexicon
        self._british = accent == "gb"
        self._accent = accent
        self._letters = letters

    def known(self, word: str) -> bool:
        """Whether a lower-case word is spoken without guessing."""
        return self._find(word) is not None

    def word(self, token: str, before: str = "", after: str | None = None) -> Word:
        """A token between its neighbours; ``after`` is None where it is not known (yet)."""
        spoken = spell(token, before, after or "")
        following = spell(after, token) if after else Spoken((), "")
        phones: list[str] = []
        for place, word in enumerate(spoken.words):
            later = spoken.words[place + 1 :] or following.words
            phones.append(self._in_context(word, later[0] if later else None))
        return Word(token, " ".join(p for p in phones if p), spoken.mark)

    def _in_context(self, word: str, later: str | None) -> str:
        vowel = None if later is None else self._starts_with_vowel(later)
        if word == "a":
            return "ɐ"
        if word == "an":
            return "ɐn"
        if word == "the":
            return "ði" if vowel else "ðə"
        if word == "to" and vowel is not None:
            return "tʊ" if vowel else "tə"
        if word == "i":
            return "ˌI"
        return self._find(word) or self._letters(word, self._accent)

    def _starts_with_vowel(self, word: str) -> bool:
        phones = (self._find(word) or word).lstrip("ˈˌ")
        return phones[:1] in VOWELS

    def _find(self, word: str) -> str | None:
        found = self._lexicon.get(word)
        if found is not None or len(word) < 3:
            return found
        return self._ending(word) or self._compound(word)

    def _ending(self, word: str) -> str | None:
        for suffix, stems, join in (
            ("'s", ("",), _plural),
            ("s'", ("s", ""), lambda stem, british: stem if stem[-1] in "sz" else _plural(stem, british)),
            ("ies", ("y",), _plural),
            ("s", ("",), _plural),
            ("es", ("",), _plural),
            ("ied", ("y",), _past),
            ("ed", ("", "e"), _past),
            ("ing", ("", "e"), _going),
            ("'ll", ("",), lambda stem, _: f"{stem}ᵊl"),
            ("'d", ("",), _past),
        ):
            if not word.endswith(suffix) or (suffix == "s" and word.endswith("ss")):
                continue
            base = word[: -len(suffix)]
            bases = [base + end for end in stems]
            if suffix in ("ed", "ing") and re.search(r"([bdgklmnprtvz])\1$", base):
                bases.append(base[:-1])
            for candidate in bases:
                stem = self._lexicon.get(candidate) if len(candidate) > 1 else None
                if stem:
                    return join(stem, self._british)
        return None

    def _compound(self, word: str) -> str | None:
        """Two known words of four letters or more in one, e.g. ``voicemail``."""
        for cut in range(len(word) - 4, 3, -1):
            first, second = self._lexicon.get(word[:cut]), self._lexicon.get(word[cut:])
            if first and second:
                return first + second.replace("ˈ", "ˌ")
        return None


def read_lexicon(path: Path, accent: str) -> dict[str, str]:
    """Lower-case word to phonemes in one accent; where it has none, the other's, as far as its sounds exist.

    Raises:
        FileNotFoundError: there is no lexicon.
    """
    column, other = (2, 1) if accent == "gb" else (1, 2)
    words: dict[str, str] = {}
    for line in lzma.decompress(path.read_bytes()).decode().splitlines():
        parts = line.split("\t")
        phones = parts[column] or parts[other].translate(_TO_BRITISH if accent == "gb" else _TO_AMERICAN)
        words[parts[0]] = phones if accent == "gb" else phones.replace("ː", "")
    return words


_TO_BRITISH = str.maketrans({"O": "Q", "æ": "a", "ɾ": "t", "ᵻ": "ɪ"})
_TO_AMERICAN = str.maketrans({"Q": "O", "a": "æ", "ɒ": "ɑ"})
