"""Released weights in a network with more words, registers or heads: what is known moves, the rest begins anew."""

from __future__ import annotations

import re

import torch
from torch import Tensor

# Which tables and heads have a row a word, and of which vocabulary.
ROWS = {
    "backbone.fed.2.weight": "text_words",
    "backbone.fed.4.weight": "text_words",
    "backbone.fed.7.weight": "text_words",
    "backbone.heads.2.weight": "text_words",
    "backbone.heads.3.weight": "heard_words",
    "backbone.heads.6.weight": "text_words",
}
GROWN = ("backbone.fed.6.weight", "backbone.heads.5.weight")  # a row a task: new ones stand at the end
# Until 0.4 the ears were a table, and a phone was named by a whole token: both begin anew.
GONE = ("encoder.dmel", "encoder.dmel_norm", "backbone.phones.weight")
SILENT = (
    "backbone.fed.",
    "backbone.awaits.",
    "backbone.spotted.",
    "backbone.words_heard.",
    "backbone.reads.",
    "backbone.matched",
    "backbone.elapsed",
    "backbone.answers.",
    "backbone.notes.",
    "backbone.listens.",
)  # a new input begins without effect, and nothing is noted
NEW_ROWS = 0.3  # how large the rows of new words and tasks begin

_LAYER = re.compile(r"backbone\.layers\.(\d+)\.")

Vocabularies = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def grafted(release: dict[str, Tensor], fresh: dict[str, Tensor], vocabularies: Vocabularies) -> dict[str, Tensor]:
    """A state for the ``fresh`` network: the release's tensors by name, rows of words by word (old, new vocabulary),
    new inputs at zero, new heads as they were drawn, tasks that it did not have behind its own. A release with fewer
    layers gives the upper ones.

    Raises ``ValueError`` when the release has what this network lacks, or another shape without being words.
    """
    release = {n: t for n, t in release.items() if n not in GONE or (n in fresh and fresh[n].shape == t.shape)}
    release = _raised(release, _layers(fresh) - _layers(release))
    if unknown := sorted(set(release) - set(fresh)):
        raise ValueError(f"not of this architecture: {unknown}")
    out = {}
    for name, drawn in fresh.items():
        old = release.get(name)
        if old is None:
            out[name] = torch.zeros_like(drawn) if name.startswith(SILENT) else drawn.clone()
        elif name in ROWS:
            out[name] = _by_word(old, drawn, *vocabularies[ROWS[name]])
        elif name in GROWN and old.shape[1:] == drawn.shape[1:] and len(old) <= len(drawn):
            out[name] = torch.cat([old, drawn[len(old) :] * NEW_ROWS])
        elif old.shape == drawn.shape:
            out[name] = old.clone()
        else:
            raise ValueError(f"{name} is {tuple(old.shape)}, this network's {tuple(drawn.shape)}")
    return out


def _layers(tensors: dict[str, Tensor]) -> int:
    return 1 + max((int(m[1]) for name in tensors if (m := _LAYER.match(name))), default=-1)


def _raised(tensors: dict[str, Tensor], by: int) -> dict[str, Tensor]:
    return {_LAYER.sub(lambda m: f"backbone.layers.{int(m[1]) + by}.", name): t for name, t in tensors.items()}


def _by_word(old: Tensor, drawn: Tensor, words: tuple[str, ...], now: tuple[str, ...]) -> Tensor:
    place = {word: n for n, word in enumerate(words)}
    rows = drawn.clone() * NEW_ROWS
    for n, word in enumerate(now):
        if word in place:
            rows[n] = old[place[word]]
    return rows
