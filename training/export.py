"""Writes a checkpoint's averaged weights as a model folder: two safetensors files and ``config.json``, and beside them
the released model's lexicon, where there is none (``training.dictionary`` makes one)."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.encoder.model import WEIGHTS as ENCODER_WEIGHTS
from services.encoder.model import weights_version
from services.interaction.nano.config import NanoConfig
from services.interaction.nano.lexicon import TABLES, WORDS
from services.interaction.nano.model import CONFIG, WEIGHTS, backbone_version
from services.interaction.nano.registers import DOUBT_STEPS, MAX_DOUBT, reachable
from training.checkpoint import LAST, read
from training.graft import GROWN, ROWS, SILENT
from training.learner import Learner
from training.skills.words import LISTENING

MODEL = Path("models/nano")
TASK_ROWS = tuple(name.removeprefix("backbone.") for name in GROWN)
TEXT_ROWS = tuple(name.removeprefix("backbone.") for name, of in ROWS.items() if of == "text_words")


class Former(NamedTuple):
    """A model folder of the same architecture and vocabularies, and its share of each weight."""

    folder: Path
    share: float


class Rules(NamedTuple):
    """How decisions are made of logits: see ``NanoConfig``."""

    yield_logit: float = 0.0
    yield_at: float = 0.0
    yield_keep: float = 0.0


LIKELIEST = Rules()


def ruled(folder: Path, rules: Rules, release: str = "") -> NanoConfig:
    """Other rules for the weights of a model folder, chosen on held-out sessions."""
    config = NanoConfig.load(folder / CONFIG)
    config = dataclasses.replace(config, release=release or config.release, **rules._asdict())
    config.save(folder / CONFIG)
    return config


def averaged(weights: dict[str, Tensor], former: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Each weight between the two. What is learned from a release lies near it, and what lies between them has
    mostly the better of both (Wortsman et al. 2022, arXiv 2109.01903): what is new, and what was forgotten on the way.

    Raises ``ValueError`` when they are not weights of one architecture and vocabulary, but for tasks and inputs that
    are new: those are as they were learned.
    """
    former = {n: t for n, t in weights.items() if f"backbone.{n}".startswith(SILENT)} | former
    former = {n: _with_new_tasks(t, weights[n]) if n in TASK_ROWS and n in weights else t for n, t in former.items()}
    if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in former.items()}:
        raise ValueError("the former release is of another architecture or vocabulary")
    return {name: tensor.lerp(former[name], share).contiguous() for name, tensor in weights.items()}


def with_new_words(
    former: dict[str, Tensor], weights: dict[str, Tensor], words: tuple[str, ...], now: tuple[str, ...]
) -> dict[str, Tensor]:
    """The former weights in today's order of words; those of new words are as they were learned."""
    place = {word: at for at, word in enumerate(words)}
    old = [place.get(word, -1) for word in now]
    out = dict(former)
    for name in TEXT_ROWS:
        rows = [former[name][at] if at >= 0 else weights[name][row] for row, at in enumerate(old)]
        out[name] = torch.stack(rows)
    return out


def _with_new_tasks(former: Tensor, weight: Tensor) -> Tensor:
    """Tasks that the former release did not know are as they were learned."""
    return torch.cat([former, weight[len(former) :]])


def export(
    checkpoint: Path,
    folder: Path,
    release: str = "",
    rules: Rules = LIKELIEST,
    former: Former | None = None,
) -> NanoConfig:
    """Export and return the configuration, which names both versions; ``release`` "" keeps the checkpoint's.

    Raises ``ValueError`` when ``former`` does not fit.
    """
    saved = read(checkpoint)
    config = NanoConfig.from_dict(saved.config)
    learner = Learner(config)
    learner.restore(saved.learner)
    learner.load_state_dict(saved.ema, strict=False)
    encoder = {name: t.contiguous() for name, t in learner.encoder.state_dict().items()}
    backbone = {name: t.contiguous() for name, t in learner.backbone.state_dict().items()}
    if former is not None:
        before = json.loads((former.folder / CONFIG).read_text())  # maybe of a release with other fields
        said, heard = tuple(before["text_words"]), tuple(before["heard_words"])
        if heard != config.heard_words or not set(said) <= set(config.text_words):
            raise ValueError(f"{former.folder} has other words")
        encoder = averaged(encoder, load_file(former.folder / ENCODER_WEIGHTS), former.share)
        known = with_new_words(load_file(former.folder / WEIGHTS), backbone, said, config.text_words)
        backbone = averaged(backbone, known, former.share)
    config = dataclasses.replace(
        config,
        release=release or config.release,
        signs=LISTENING,
        **rules._asdict(),
        encoder_version=weights_version(encoder),
        backbone_version=backbone_version(backbone),
    )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(encoder, folder / ENCODER_WEIGHTS, metadata={"version": config.encoder_version})
    save_file(backbone, folder / WEIGHTS, metadata={"version": config.backbone_version})
    for name in (ENCODER_WEIGHTS, WEIGHTS):
        (folder / name).chmod(0o644)
    config.save(folder / CONFIG)
    for name in (WORDS, TABLES):
        if not (folder / name).exists():
            shutil.copy(MODEL / name, folder / name)
    return config


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("build/train") / LAST)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--release", default="", help="a new release number")
    for name in Rules._fields:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0, help="see NanoConfig")
    parser.add_argument("--only-rules", action="store_true", help="the folder's weights, decided by other rules")
    parser.add_argument("--former", type=Path, help="average with this model folder's weights")
    parser.add_argument("--share", type=float, default=0.5, help="of the former weights")
    args = parser.parse_args(argv)
    if not 0 <= args.share <= 1:
        parser.error(f"--share {args.share:g}: a share lies between 0 and 1")
    rules = Rules(*(getattr(args, name) for name in Rules._fields))
    if not reachable(rules.yield_at, rules.yield_keep):
        parser.error(f"--yield-at lies between 0 and {MAX_DOUBT // DOUBT_STEPS}, --yield-keep between 0 and 1")
    if args.only_rules:
        if not (args.folder / WEIGHTS).is_file():
            parser.error(f"--only-rules: {args.folder} is no model folder")
        print(f"{args.folder}: {ruled(args.folder, rules, args.release).rules}")
        return 0
    if not args.checkpoint.is_file():
        parser.error(f"--checkpoint {args.checkpoint}: no such file (python -m training.train leaves one)")
    if args.former and not (args.former / WEIGHTS).is_file():
        parser.error(f"--former {args.former}: no model folder")
    former = Former(args.former, args.share) if args.former else None
    config = export(args.checkpoint, args.folder, args.release, rules, former)
    print(f"{args.folder}: {config.name}-{config.release}+{config.backbone_version}, {config.encoder_version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
