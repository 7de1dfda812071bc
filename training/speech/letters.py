"""Trains the letters-to-phonemes network on the lexicon, less one word in fifty that measures it."""

from __future__ import annotations

import argparse
import itertools
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from services.interaction.speech.g2p import ACCENTS, PHONES, read_lexicon
from services.interaction.speech.letters import BLANK, MAX_LETTERS, UPSAMPLE, LetterNet, letter_ids, speak_letters
from training.edits import edit_distance
from training.speech.lexicon import LEXICON
from training.speech.loop import Losses, Plan, begin_from, train
from training.speech.texts import CACHE

Pair = tuple[list[int], list[int], int]  # letters, phonemes, accent


def _usable(word: str, phones: str) -> bool:
    room, doubled = UPSAMPLE * len(word), sum(a == b for a, b in itertools.pairwise(phones))
    return word.isalpha() and 2 <= len(word) <= MAX_LETTERS and 0 < len(phones) + doubled <= room


def lexicon_words(*, held_out: bool) -> list[tuple[str, str, str]]:
    """``(word, phonemes, accent)`` of the lexicon; one word in fifty is held out."""
    return [
        (word, phones, accent)
        for accent in ACCENTS
        for word, phones in read_lexicon(LEXICON, accent).items()
        if _usable(word, phones) and (zlib.crc32(word.encode()) % 50 == 0) is held_out
    ]


def losses_of(net: LetterNet, pairs: list[Pair], batch: int) -> Callable[[int], Losses]:
    """CTC over words of like length."""
    pairs = sorted(pairs, key=lambda p: len(p[0]))

    def losses(step: int) -> Losses:
        rng = np.random.default_rng((13, step))
        begin = int(rng.integers(0, max(1, len(pairs) - 4 * batch)))
        chosen = [pairs[min(begin + int(i), len(pairs) - 1)] for i in rng.choice(4 * batch, size=batch, replace=False)]
        longest = max(len(letters) for letters, _, _ in chosen)
        ids = torch.tensor([letters + [0] * (longest - len(letters)) for letters, _, _ in chosen])
        logits = net(ids, torch.tensor([accent for _, _, accent in chosen]))
        loss = F.ctc_loss(
            logits.transpose(0, 1).log_softmax(dim=-1),
            torch.tensor([p for _, phones, _ in chosen for p in phones]),
            torch.tensor([UPSAMPLE * len(letters) for letters, _, _ in chosen]),
            torch.tensor([len(phones) for _, phones, _ in chosen]),
            blank=BLANK,
        )
        return {"ctc": loss}

    return losses


def measure(net: LetterNet, count: int = 1000) -> dict[str, float]:
    """Share of held-out words spoken as in the lexicon, stress apart, and errors per phoneme."""
    guess = speak_letters(net)
    chosen = lexicon_words(held_out=True)
    chosen = [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))[:count]]
    plain = str.maketrans("", "", "ˈˌ")
    right, edits, phones = 0, 0, 0
    for word, wanted, accent in chosen:
        a, b = guess(word, accent).translate(plain), wanted.translate(plain)
        right, edits, phones = right + (a == b), edits + edit_distance(a, b), phones + len(b)
    return {"words_right": round(right / len(chosen), 4), "phoneme_errors": round(edits / phones, 4)}


def learn(net: LetterNet, plan: Plan, out: Path, *, words: int | None = None) -> None:
    """Train on the lexicon, or on its first so many words."""
    pairs = [
        (letter_ids(word), [1 + PHONES.index(p) for p in phones], ACCENTS.index(accent))
        for word, phones, accent in lexicon_words(held_out=False)[:words]
    ]
    train(net, losses_of(net, pairs, 256), plan, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=3e-3, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights, e.g. models/speech/speech.safetensors")
    parser.add_argument("--folder", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.manual_seed(3)
    net = LetterNet()
    if args.begin_from:
        begin_from(net, args.begin_from, "letters")
    learn(net, Plan(args.steps, args.rate), args.folder / "letters.safetensors")
    print(measure(net), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
