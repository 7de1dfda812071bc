"""Which word a decision to *point* means: the text vocabulary has ids for "the next number" or "the user's word in
Spanish", so that saying a word is one thing to learn and not one for each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.interaction.nano.config import MEASURED, NEXT, NONE, NUMBERS, RECALL, TRANSLATED
from services.interaction.nano.registers import Tokens, measured, next_number, recalled


class Pointing:
    """``spanish`` has the Spanish of some of the user's words. What is none of nano's own words is not said."""

    def __init__(self, text_words: Sequence[str], heard_words: Sequence[str], spanish: Mapping[str, str]) -> None:
        own = {word: at for at, word in enumerate(text_words) if at > TRANSLATED}
        heard = {word: at for at, word in enumerate(heard_words) if at != NONE}
        self._numbers = (NONE, *(own.get(number, NONE) for number in NUMBERS))
        self._values = {at: value for value, at in enumerate(self._numbers) if at != NONE}
        self._spanish = {heard[word]: own[said] for word, said in spanish.items() if word in heard and said in own}

    def counted(self, text: int, said: int) -> int:
        """The number that a count has come to by what is said in a tick (``said`` of ``meant``), whether it is pointed
        at or named; 0 for no number, and for one that was measured."""
        return 0 if text == MEASURED else self._values.get(said, 0)

    def meant(self, text: int, before: Tokens, task: int) -> int:
        """The text id of the word that ``text`` says in a tick: itself, or the word that it points at, ``NONE`` where
        there is none. ``COPY``, and ``RECALL`` for a word of the user's, stay. ``task`` is the task head's class."""
        if text == RECALL:
            return recalled(before)
        if text == MEASURED:
            return self._numbers[measured(before)]
        if text == NEXT:
            return self._numbers[next_number(before, task)]
        return self._spanish.get(before.heard, NONE) if text == TRANSLATED else text
