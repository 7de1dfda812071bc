"""Which word is said: whether to say anything is decided before what (ADR 15)."""

from __future__ import annotations

import torch
from torch import Tensor

from services.interaction.nano.config import NONE, NanoConfig


def kinds_of_words(config: NanoConfig) -> list[Tensor]:
    """Text ids by kind: nothing, signs of listening, all else. Empty for a model that takes the most likely word.

    Raises ``ValueError`` for a sign that is none of the model's words.
    """
    if not config.signs:
        return []
    if unknown := set(config.signs) - set(config.text_words):
        raise ValueError(f"signs that are no words of {config.name}: {', '.join(sorted(unknown))}")
    signs = [at for at, word in enumerate(config.text_words) if word in config.signs]
    others = [at for at in range(1, len(config.text_words)) if at not in signs]
    return [torch.tensor(ids) for ids in ([NONE], signs, others)]


def by_kind(logits: Tensor, kinds: list[Tensor]) -> Tensor:
    """The most likely word of the most likely kind, ``[n]``, of logits ``[n, words]``."""
    parts = [logits[:, kind] for kind in kinds]
    chosen = torch.stack([part.logsumexp(dim=-1) for part in parts], dim=-1).argmax(dim=-1, keepdim=True)
    best = torch.stack([kind[part.argmax(dim=-1)] for kind, part in zip(kinds, parts, strict=True)], dim=-1)
    return best.gather(-1, chosen).squeeze(-1)
