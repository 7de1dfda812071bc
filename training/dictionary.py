"""The lexicon that nano's transcript is searched in: words with their pronunciations, and which follow which.

``python -m training.dictionary`` writes it into a model folder: the most frequent words of all training phrases, free
speech and WordNet's sentences, as the speech stage pronounces them in two accents, and a bigram of the same texts.
Held-out phrasings are not among them.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.interaction.nano.config import NUMBERS, PHONES
from services.interaction.nano.lexicon import ROOT, Lexicon
from services.interaction.speech.g2p import ACCENTS
from training.lexis import counted
from training.opened import open_texts
from training.own import own_voice
from training.phones import PAUSE, from_ipa
from training.phrases import BACKCHANNELS, FREE, TRAINING

MODEL = Path("models/nano")
WORDS = 20_000
REDUCED = {
    "the": "ðə ði", "a": "ə A", "and": "ənd ən", "of": "əv", "to": "tə", "for": "fəɹ", "can": "kən", "at": "ət",
    "was": "wəz", "are": "əɹ", "you": "jə", "from": "fɹəm", "that": "ðət", "have": "əv həv", "had": "həd", "as": "əz",
    "an": "ən", "or": "əɹ", "but": "bət", "them": "ðəm", "some": "səm", "than": "ðən", "us": "əs", "must": "məst",
    "would": "wəd", "could": "kəd", "should": "ʃəd", "your": "jəɹ", "do": "də", "does": "dəz", "just": "ʤəst",
}  # fmt: skip
"""How little words sound between others."""
Phones = tuple[int, ...]


def _phones(symbols: str) -> Phones:
    return tuple(phone for phone, _ in from_ipa(symbols, [0] * len(symbols)) if phone > PAUSE)


def texts() -> list[list[str]]:
    """What the bigram is counted in."""
    free = (text for kind in FREE[False].values() for text in kind)
    return [text.split() for text in (*open_texts(), *free, *(p.text for p in TRAINING), *BACKCHANNELS)]


def pronounced(limit: int) -> dict[str, set[Phones]]:
    """The skills' words and the most frequent other ones, each with its ways."""
    voice = own_voice()
    found: dict[str, set[Phones]] = {}
    frequent = (word for word, _ in counted(open_texts()).most_common() if re.fullmatch(r"[a-z][a-z'-]*", word))
    for word in dict.fromkeys((*NUMBERS, *frequent)):
        said = [voice.word(word, accent).replace(" ", "") for accent in ACCENTS]
        if ways := {way for symbols in (*said, *REDUCED.get(word, "").split()) if (way := _phones(symbols))}:
            found[word] = ways
        if len(found) == limit:
            break
    return found


def tree(ways: Sequence[Iterable[Phones]], unigram: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """Nodes, breadth first, so that a node's children stand beside each other; see ``Lexicon``."""
    beginnings = {way[:length] for said in ways for way in said for length in range(len(way) + 1)}
    ordered = sorted(beginnings, key=lambda way: (len(way), way))
    place = {way: n for n, way in enumerate(ordered)}
    phone = [way[-1] if way else PAUSE for way in ordered]
    parent = [place[way[:-1]] for way in ordered]
    ends = sorted((place[way], word) for word, said in enumerate(ways) for way in said)
    ahead = np.full(len(phone), -np.inf)
    for node, word in ends:
        ahead[node] = max(ahead[node], unigram[word])
    for node in range(len(phone) - 1, ROOT, -1):
        ahead[parent[node]] = max(ahead[parent[node]], ahead[node])
    ahead[ROOT] = 0.0
    nodes, words = zip(*ends, strict=True)
    return {
        "phone": np.array(phone, np.uint8),
        "parent": np.array(parent, np.int32),
        "ahead": ahead.astype(np.float32),
        "end_node": np.array(nodes, np.int32),
        "end_word": np.array(words, np.int32),
    }


def bigram(lines: Iterable[Sequence[str]], place: dict[str, int], unigram: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Witten and Bell's: what followed once may follow again, all else as often as it is said at all."""
    followed: list[Counter[int]] = [Counter() for _ in range(len(place) + 1)]
    for line in lines:
        ids = [len(place), *(place.get(word, -1) for word in line)]
        for before, word in pairwise(ids):
            if before >= 0 and word >= 0:
                followed[before][word] += 1
    first, then, likely, otherwise = [0], [], [], []
    for counts in followed:
        total, kinds = sum(counts.values()), len(counts)
        for word in sorted(counts):
            then.append(word)
            likely.append(math.log((counts[word] + kinds * math.exp(unigram[word])) / (total + kinds)))
        first.append(len(then))
        otherwise.append(math.log(kinds / (total + kinds)) if kinds else 0.0)
    return {
        "first": np.array(first, np.int32),
        "next": np.array(then, np.int32),
        "likely": np.array(likely, np.float32),
        "otherwise": np.array(otherwise, np.float32),
    }


def usual(lines: Iterable[Sequence[str]], ways: dict[str, set[Phones]]) -> npt.NDArray[np.float32]:
    """How frequent each phone is, about: by how often it is said; a pause as often as in fluent speech."""
    counts = np.full(PHONES, 1.0)
    for line in lines:
        for word in line:
            for phone in min(ways.get(word, {()}), default=()):
                counts[phone] += 1
    counts[PAUSE] = 0.08 * counts.sum()
    return np.asarray(counts / counts.sum(), dtype=np.float32)


def build(limit: int = WORDS) -> tuple[tuple[str, ...], dict[str, npt.NDArray[Any]]]:
    """Words and tables of a lexicon."""
    lines = texts()
    ways = pronounced(limit)
    words = tuple(ways)
    counts = Counter(words) + Counter(word for line in lines for word in line if word in ways)
    unigram = np.array([math.log(counts[word] / counts.total()) for word in words])
    place = {word: n for n, word in enumerate(words)}
    tables = {**tree(list(ways.values()), unigram), **bigram(lines, place, unigram), "usual": usual(lines, ways)}
    return words, tables | {"unigram": unigram.astype(np.float32)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--words", type=int, default=WORDS)
    args = parser.parse_args(argv)
    words, tables = build(args.words)
    Lexicon.save(args.folder, words, tables)
    print(f"{len(words)} words, {len(tables['phone'])} nodes, {len(tables['next'])} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
