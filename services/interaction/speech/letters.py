"""Letters to phonemes for words that no lexicon has: a small convolutional network with a CTC output."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.g2p import ACCENTS, PHONES, VOWELS

LETTERS = "_abcdefghijklmnopqrstuvwxyz'"
BLANK = 0  # CTC's; phoneme p is 1 + its place in PHONES
UPSAMPLE = 2  # steps a letter: x is two phonemes, and a stress mark is one
MAX_LETTERS = 32


class LetterNet(nn.Module):
    """``[n, letters]`` ids to logits ``[n, letters * UPSAMPLE, 1 + phonemes]``."""

    def __init__(self, width: int = 112, blocks: int = 5) -> None:
        super().__init__()
        self.width = width
        self.letters = nn.Embedding(len(LETTERS), width * UPSAMPLE)
        self.accents = nn.Embedding(len(ACCENTS), width)
        self.mix = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.out = nn.Linear(width, 1 + len(PHONES))

    def forward(self, ids: Tensor, accent: Tensor) -> Tensor:
        n, length = ids.shape
        x = self.letters(ids).view(n, length * UPSAMPLE, self.width) + self.accents(accent)[:, None]
        real = (ids > 0).repeat_interleave(UPSAMPLE, dim=1)[..., None].to(x.dtype)
        for conv, norm in zip(self.mix, self.norms, strict=True):
            x = x + F.relu(conv((norm(x) * real).transpose(1, 2)).transpose(1, 2))
        out: Tensor = self.out(x)
        return out


def letter_ids(word: str) -> list[int]:
    return [LETTERS.index(c) for c in word[:MAX_LETTERS] if c in LETTERS[1:]]


def collapse(best: list[int]) -> str:
    """The phonemes of a CTC path; a word without a stressed vowel gets one on its first."""
    phones = "".join(
        PHONES[p - 1] for i, p in enumerate(best) if p != BLANK and (i == 0 or best[i - 1] != p)
    )
    if "ˈ" not in phones:
        at = next((i for i, c in enumerate(phones) if c in VOWELS), None)
        phones = phones if at is None else f"{phones[:at]}ˈ{phones[at:]}"
    return phones


def speak_letters(net: LetterNet) -> Callable[[str, str], str]:
    """A guess for a word in an accent; one word at a time, so that it is the same whoever else asks."""
    net.eval()

    @lru_cache(maxsize=4096)
    def guess(word: str, accent: str) -> str:
        ids = letter_ids(word)
        if not ids:
            return ""
        with torch.inference_mode():
            logits = net(torch.tensor([ids]), torch.tensor([ACCENTS.index(accent)]))
        return collapse(logits[0].argmax(dim=-1).tolist())

    return guess
