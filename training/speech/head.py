"""Trains the head: symbols to durations, mels and F0, the text ahead hidden at random as in a live stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import DETAILS_PLACE, F0_PLACE, MELS, VOICED_PLACE
from services.interaction.speech.g2p import ids
from services.interaction.speech.head import SpeechHead, ahead, places
from training.processor import multiplies_bfloat16
from training.speech import served, sketches
from training.speech.data import Example, read
from training.speech.export import emphasised
from training.speech.loop import Losses, Plan, begin_from, train
from training.speech.teacher import VOICES, accent, phonemiser
from training.speech.texts import CACHE
from training.speech.vocoder import config

NOTHING_KNOWN, NEXT_KNOWN = 0.10, 0.25  # of a word's following text; else all of it
WORD_BY_WORD, ALL_AT_ONCE = 0.6, 0.1  # of the sentences: text known as when it is served; else as drawn above
EDGES, DETAILED = 1.0, 1.0  # weights of the mels' steps, and of details
FAVOURED = {"am_fenrir": 1.6}  # voices that are learned from more often than others: those that are misheard most
MANNERED = 5.0  # so often is a take in a manner learned from instead of once: there are few
_MASKS = 1 << 22
Ints = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """``n`` sentences, padded. ``symbol_of`` names the symbol that each frame belongs to."""

    following: Tensor  # [n, symbols, AHEAD]
    durations: Tensor  # [n, symbols], 0 where padded
    symbol_of: Tensor  # [n, frames]
    place: Tensor  # [n, frames, PLACES]
    features: Tensor  # [n, frames, FEATURES]
    real: Tensor  # [n, frames] bool
    voices: Tensor  # [n]
    manners: Tensor  # [n, symbols]


def horizons(symbols: str, rng: np.random.Generator) -> Ints:
    """For each symbol the place from which on the text is unknown to it. A word begins with its space; the end, a
    full stop that nobody wrote and ``$``, is a word of its own."""
    begins = [0, *(i for i, c in enumerate(symbols) if c == " "), len(symbols) - 2, len(symbols)]
    out = np.full(len(symbols), len(symbols), dtype=np.int64)
    for word in range(len(begins) - 1):
        drawn = rng.random()
        if drawn < NOTHING_KNOWN + NEXT_KNOWN:
            known = word + (1 if drawn < NOTHING_KNOWN else 2)
            out[begins[word] : begins[word + 1]] = begins[min(known, len(begins) - 1)]
    return out


@lru_cache(maxsize=100_000)
def _as_served(text: str, voice: str, symbols: str, durations: tuple[int, ...], at_once: int) -> Ints | None:
    return served.horizons(phonemiser(accent(voice)), symbols, np.array(durations), text, at_once)


def known(one: Example, rng: np.random.Generator) -> Ints:
    """Horizons as the service would have them, or drawn."""
    drawn = rng.random()
    if drawn < WORD_BY_WORD + ALL_AT_ONCE:
        at_once = 1 if drawn < WORD_BY_WORD else len(one.symbols)
        found = _as_served(one.text, one.voice, one.symbols, tuple(one.durations.tolist()), at_once)
        if found is not None:
            return found
    return horizons(one.symbols, rng)


def _stack(arrays: list[npt.NDArray[np.generic]], length: int) -> Tensor:
    padded = [np.pad(a, [(0, length - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in arrays]
    return torch.from_numpy(np.stack(padded))


def collate(examples: list[Example], rng: np.random.Generator) -> Batch:
    """Arrays of some sentences."""
    following, owners, where = [], [], []
    for one in examples:
        symbols = np.array(ids(one.symbols), dtype=np.int64)
        following.append(ahead(symbols, known(one, rng)))
        owner = np.repeat(np.arange(len(symbols)), one.durations)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(one.durations) - one.durations, one.durations)
        owners.append(owner)
        where.append(places(one.durations[owner], at))
    symbols_max, frames_max = max(map(len, following)), max(map(len, owners))
    return Batch(
        _stack([*following], symbols_max),
        _stack([e.durations for e in examples], symbols_max),
        _stack([*owners], frames_max),
        _stack([*where], frames_max),
        _stack([e.features for e in examples], frames_max),
        torch.arange(frames_max) < torch.tensor([[len(o)] for o in owners]),
        torch.tensor([VOICES.index(e.voice) for e in examples]),
        _stack([e.manners for e in examples], symbols_max),
    )


def pick(examples: list[Example], count: int, rng: np.random.Generator) -> list[Example]:
    """Sentences of like length, so that little is padded; ``examples`` are sorted by length."""
    span = min(len(examples), 8 * count)
    begin = int(rng.integers(0, len(examples) - span + 1))
    weights = np.array([len(e.features) for e in examples], dtype=np.float64)
    centre = int(rng.choice(len(examples), p=weights / weights.sum()))
    begin = min(max(0, centre - span // 2), len(examples) - span)
    often = np.array([_weight(one) for one in examples[begin : begin + span]])
    chosen = rng.choice(span, size=min(count, span), replace=False, p=often / often.sum())
    return [examples[begin + int(i)] for i in chosen]


def _weight(one: Example) -> float:
    return FAVOURED.get(one.voice, 1.0) * (MANNERED if one.manners.any() else 1.0)


def losses_of(net: SpeechHead, examples: Callable[[int], list[Example]], frames: int) -> Callable[[int], Losses]:
    def losses(step: int) -> Losses:
        rng = np.random.default_rng((11, step))
        chosen = pick(examples(step), 16, rng)
        keep = max(2, int(frames / max(len(e.features) for e in chosen)))
        return measure(net, collate(chosen[:keep], rng))

    return losses


def measure(net: SpeechHead, batch: Batch) -> Losses:
    """Losses of a batch: L1 of mels, of their steps from frame to frame, of details where they are told, and of F0
    where voiced; log likelihood of voicing, squares of log durations."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=multiplies_bfloat16()):
        encoded = net.encode(batch.following, batch.voices, batch.manners)
        owner = batch.symbol_of[..., None].expand(-1, -1, encoded.codes.shape[-1])
        out = net.decode(encoded.codes.gather(1, owner), batch.place, batch.voices)
    out, log_frames = out.float(), encoded.log_frames.float()
    real = batch.real.float()
    voiced = batch.features[..., VOICED_PLACE]
    count, sung = real.sum(), (real * voiced).sum().clamp_min(1.0)
    spoken = (batch.durations > 0).float()
    apart = out[..., :MELS] - batch.features[..., :MELS]
    mel = apart.abs().mean(dim=-1)
    edge = F.pad((apart[:, 1:] - apart[:, :-1]).abs().mean(dim=-1), (1, 0))
    wanted = batch.features[..., DETAILS_PLACE:]
    told = real * wanted.any(dim=-1)
    detail = (out[..., DETAILS_PLACE:] - wanted).abs().mean(dim=-1)
    pitch = (out[..., F0_PLACE] - batch.features[..., F0_PLACE]).abs()
    flag = F.binary_cross_entropy_with_logits(out[..., VOICED_PLACE], voiced, reduction="none")
    timing = (log_frames - torch.log(batch.durations.clamp_min(1).float())).square()
    return {
        "mel": 2.0 * (mel * real).sum() / count,
        "edges": EDGES * (edge * real).sum() / count,
        "details": DETAILED * (detail * told).sum() / told.sum().clamp_min(1.0),
        "f0": 0.3 * (pitch * real * voiced).sum() / sung,
        "voiced": 0.2 * (flag * real).sum() / count,
        "timing": 0.5 * (timing * spoken).sum() / spoken.sum(),
    }


def forgetful(net: SpeechHead, share: float) -> None:
    """Let every block lose a random ``share`` of its inner values in training: without, it learns an hour or two by
    heart (a third less error on what it was trained on than on new sentences). Of thirty hours it does not."""

    if not share:
        return
    keeps = torch.rand(_MASKS) >= share  # drawn once: drawing anew took a fifth of a step
    masks = (keeps / (1.0 - share)).to(torch.bfloat16)

    def lose(module: nn.Module, inputs: tuple[Tensor, int | None]) -> tuple[Tensor, int | None]:
        x = inputs[0]
        if not module.training or x.numel() >= _MASKS:
            return F.dropout(x, share, module.training), inputs[1]
        begin = int(torch.randint(_MASKS - x.numel(), ()))
        return x * masks[begin : begin + x.numel()].view(x.shape).to(x.dtype), inputs[1]

    for block in (*net.encoder.blocks, *net.decoder.blocks):
        block.down.register_forward_pre_hook(lose)


def learn(net: SpeechHead, folder: Path, plan: Plan, frames: int, out: Path) -> None:
    """Train on the shards and sketches of a folder that are there, and on those that the teacher adds meanwhile."""
    known: dict[Path, list[Example]] = {}
    sketched: dict[Path, list[Example]] = {}
    at_hand: list[Example] = []

    def examples(step: int) -> list[Example]:
        if not at_hand or step % 200 == 0:
            there = read(folder / "shards", known) + read(folder / "sketches", sketched, sketches.read_shard)
            at_hand[:] = sorted(there, key=lambda e: len(e.features))
        return at_hand

    train(net, losses_of(net, examples, frames), plan, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--frames", type=int, default=2000, help="of a batch")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--dropout", type=float, default=0.0, help="0.15 where there are no sketches")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights, e.g. models/speech/speech.safetensors")
    parser.add_argument("--folder", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.manual_seed(2)
    net = SpeechHead(config())
    if args.begin_from:
        begin_from(net, args.begin_from, "head")
        net.load_state_dict(emphasised(net.state_dict(), back=True))
    forgetful(net, args.dropout)
    plan = Plan(args.steps, args.rate, seconds=60 * args.minutes)
    learn(net, args.folder, plan, args.frames, args.folder / "head.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
