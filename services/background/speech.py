"""From what a language model writes to what can be spoken: plain words, whole sentences, not too many of them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

_STARS = re.compile(r"(?<!\w)[*`]+|[*`]+(?!\w)")  # emphasis; a star between words stands for a space
_MARKS = re.compile(r"[*_`#>|~\[\]{}\\]+")
_BULLET = re.compile(r"(^|\n)\s*(?:[-•]|\d{1,2}[.)])\s+")
_SENTENCE_END = re.compile(r"""[.!?]["')]*(?=\s|$)""")
_NO_END = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "e.g.", "i.e.", "vs.", "approx.", "no.", "u.s."})


def plain(text: str) -> str:
    """Without markdown and line breaks, as one line of words."""
    return " ".join(_MARKS.sub(" ", _STARS.sub("", _BULLET.sub(r"\1", text))).split())


def sentences(text: str) -> tuple[list[str], str]:
    """Complete sentences of a plain text, and the unfinished rest. A full stop counts once something follows it."""
    done: list[str] = []
    begin = 0
    for end in _SENTENCE_END.finditer(text):
        if end.end() == len(text):
            break  # "3." may become "3.5", "Dr." may get a name
        word = text[begin : end.end()].rsplit(maxsplit=1)[-1].lower()
        if word in _NO_END or re.fullmatch(r"(\d{1,2}|[a-z])\.", word):
            continue
        done.append(text[begin : end.end()].strip())
        begin = end.end()
    return done, text[begin:].strip()


@dataclass(slots=True)
class Spoken:
    """Takes a model's deltas and gives sentences; joined by spaces they are the answer.

    ``feed`` returns the sentences that became complete; once ``full`` the model need not go on. ``finish`` returns
    what is left: the rest of an answer that ended without a full stop, or, when not a single sentence became
    complete within the limit, the words so far.
    """

    max_words: int = 60
    max_sentences: int = 2
    raw: str = ""
    said: list[str] = field(default_factory=list)
    full: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.said)

    def feed(self, delta: str) -> list[str]:
        if self.full:
            return []
        self.raw += delta
        complete, rest = sentences(plain(self.raw))
        new = [sentence for sentence in complete[len(self.said) :] if self._take(sentence)]
        if not self.full and self._words(rest) > self.max_words:
            self.full = True
        return new

    def finish(self) -> list[str]:
        """What is left when the model has ended, or was stopped because it is ``full``."""
        complete, rest = sentences(plain(self.raw))
        if self.full:
            if self.said:
                return []
            words = " ".join([*complete, rest]).split()[: self.max_words]
            return self._add(" ".join(words).rstrip(",;:") + ".") if words else []
        left = [*complete[len(self.said) :], rest] if rest else complete[len(self.said) :]
        out = [sentence for sentence in left if self._take(sentence)]
        if out and out[-1][-1] not in ".!?\"')":
            out[-1] = self.said[-1] = out[-1].rstrip(",;:") + "."
        return out or (self.finish() if self.full and not self.said else [])

    def _take(self, sentence: str) -> bool:
        if self.full or self._words(sentence) > self.max_words:
            self.full = True
            return False
        self._add(sentence)
        self.full = len(self.said) >= self.max_sentences
        return True

    def _add(self, sentence: str) -> list[str]:
        self.said.append(sentence)
        return [sentence]

    def _words(self, more: str) -> int:
        return len(self.text.split()) + len(more.split())


async def spoken_sentences(deltas: AsyncGenerator[str, None], spoken: Spoken) -> AsyncGenerator[str, None]:
    """What a language model streams, a sentence as soon as it is whole; the stream is closed once enough is said."""
    async with aclosing(deltas):
        async for delta in deltas:
            for sentence in spoken.feed(delta):
                yield sentence
            if spoken.full:
                break
    for sentence in spoken.finish():
        yield sentence
