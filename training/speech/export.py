"""Writes the trained parts as ``models/speech``: one safetensors file in half precision, ``config.json``, lexicon."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.interaction.speech.config import SpeechConfig
from services.interaction.speech.speaker import CONFIG, LEXICON, WEIGHTS, Speaker, weights_version
from training.speech import lexicon
from training.speech.data import LEVEL, level
from training.speech.saying import say
from training.speech.texts import CACHE, assistant_texts, held_out
from training.speech.vocoder import config

MODEL = Path("models/speech")
PARTS = ("head", "vocoder", "letters")


def export(checkpoints: Path, folder: Path, sizes: SpeechConfig | None = None) -> SpeechConfig:
    """Export and return the configuration, which names the weights' version.

    Raises:
        FileNotFoundError: a part has not been trained.
    """
    tensors: dict[str, Tensor] = {}
    for part in PARTS:
        tuned = checkpoints / "tuned.safetensors"
        own = checkpoints / f"{part}.safetensors"
        saved = load_file(tuned if part == "vocoder" and tuned.exists() else own)
        weights = {name[4:]: t for name, t in saved.items() if name.startswith("net.")}
        tensors |= {f"{part}.{name}": t.to(torch.float16).contiguous() for name, t in weights.items()}
    version = weights_version({name: t.float() for name, t in tensors.items()})
    named = dataclasses.replace(sizes or config(), version=version)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"version": version})
    (folder / WEIGHTS).chmod(0o644)
    named.save(folder / CONFIG)
    if not (folder / LEXICON).exists():
        lexicon.build(folder / LEXICON)
    return named


def levelled(folder: Path, lines: Sequence[str]) -> SpeechConfig:
    """Measure each voice's level on some sentences and write the gains that make all of them ``LEVEL``."""
    named = dataclasses.replace(SpeechConfig.load(folder / CONFIG), gains=())
    named.save(folder / CONFIG)
    speaker = Speaker.load(folder)
    gains = []
    for voice in speaker.voices:
        loud = level(np.concatenate([say(speaker, line, voice) for line in lines]))
        gains.append(round(LEVEL / max(loud, 1e-3), 3))
    named = dataclasses.replace(named, gains=tuple(gains))  # at this release; other gains are another release
    named.save(folder / CONFIG)
    return named


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=CACHE)
    parser.add_argument("--folder", type=Path, default=MODEL)
    args = parser.parse_args(argv)
    export(args.checkpoints, args.folder)
    named = levelled(args.folder, [line for line in assistant_texts(40) if not held_out(line)][:12])
    print(f"{args.folder}: {named.name}-{named.release}+{named.version}, gains {named.gains}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
