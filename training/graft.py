"""Released weights in a network with more words, registers or heads: what is known moves, the rest begins anew."""

from __future__ import annotations

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
SILENT = ("backbone.fed.",)  # a new input begins without effect

Vocabularies = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def grafted(release: dict[str, Tensor], fresh: dict[str, Tensor], vocabularies: Vocabularies) -> dict[str, Tensor]:
    """A state for the ``fresh`` network: the release's tensors by name, rows of words by word (old, new vocabulary),
    new inputs at zero, new heads as they were drawn.

    Raises ``ValueError`` when the release has what this network lacks, or another shape without being words.
    """
    if unknown := sorted(set(release) - set(fresh)):
        raise ValueError(f"not of this architecture: {unknown}")
    out = {}
    for name, drawn in fresh.items():
        old = release.get(name)
        if old is None:
            out[name] = torch.zeros_like(drawn) if name.startswith(SILENT) else drawn.clone()
        elif name in ROWS:
            out[name] = _by_word(old, drawn, *vocabularies[ROWS[name]])
        elif old.shape == drawn.shape:
            out[name] = old.clone()
        else:
            raise ValueError(f"{name} is {tuple(old.shape)}, this network's {tuple(drawn.shape)}")
    return out


def _by_word(old: Tensor, drawn: Tensor, words: tuple[str, ...], now: tuple[str, ...]) -> Tensor:
    place = {word: n for n, word in enumerate(words)}
    rows = drawn.clone() * 0.3
    for n, word in enumerate(now):
        if word in place:
            rows[n] = old[place[word]]
    return rows
