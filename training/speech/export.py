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

from schemas.records import Manner
from services.interaction.speech.config import SpeechConfig
from services.interaction.speech.speaker import CONFIG, LEXICON, WEIGHTS, Speaker, voice_version
from training.speech import lexicon
from training.speech.data import LEVEL, level
from training.speech.loop import trained
from training.speech.saying import say
from training.speech.texts import CACHE, assistant_texts, held_out
from training.speech.vocoder import config

MODEL = Path("models/speech")
PARTS = ("head", "vocoder", "letters")
EMPHASIS = {Manner.QUESTION: 1.6, Manner.LIST: 2.0}
"""How much longer these manners' embeddings become: on new texts the head bends ends by about half of what the teacher
did, and follows a longer embedding further."""


def export(
    checkpoints: Path, folder: Path, sizes: SpeechConfig | None = None, release: Path | None = None, keep: float = 0.0
) -> SpeechConfig:
    """Export and return the configuration, which names the voice's version. A part that was not trained is that of
    ``release``. A share of the release's head may be kept: a mean of two heads, one of which began as the other and
    went on with other sentences, errs less on new ones than either.

    Raises:
        FileNotFoundError: a part has not been trained, and there is no release to take it from.
        KeyError: a share of a head is to be kept that the release does not have.
    """
    sizes = sizes or config()
    known = load_file(release) if release else {}
    tensors = {name: t.clone() for name, t in known.items()}  # the file may be the one that is written
    for part in PARTS:
        tuned = checkpoints / "tuned.safetensors"
        path = tuned if part == "vocoder" and tuned.exists() else checkpoints / f"{part}.safetensors"
        if release and not path.exists():
            if part == "vocoder":  # of its own size, and knowing details or not
                before = SpeechConfig.load(release.parent / CONFIG)
                sizes = dataclasses.replace(sizes, vocoder=before.vocoder, details=before.details)
            continue
        weights = trained(path)
        if part == "vocoder" and path != tuned:
            weights = vocoder_of(weights)
        if part == "head":
            weights = emphasised(weights)
            if keep:
                weights = {name: torch.lerp(t, known[f"head.{name}"].float(), keep) for name, t in weights.items()}
        tensors |= {f"{part}.{name}": t.to(torch.float16).contiguous() for name, t in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    if not (folder / LEXICON).exists():
        lexicon.build(folder / LEXICON)
    return _named(folder, sizes)


def vocoder_of(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The vocoder alone, out of what it was trained with."""
    return {name.removeprefix("vocoder."): t for name, t in weights.items() if name.startswith("vocoder.")}


def emphasised(head: dict[str, Tensor], *, back: bool = False) -> dict[str, Tensor]:
    """The head with some manners made stronger, or as they were learned ``back`` from that."""
    manners = head["manners.weight"].clone()
    for place, manner in enumerate(Manner):
        factor = EMPHASIS.get(manner, 1.0)
        manners[place] *= 1.0 / factor if back else factor
    return head | {"manners.weight": manners}


def _named(folder: Path, sizes: SpeechConfig) -> SpeechConfig:
    """Write the configuration with the version of what lies in ``folder``."""
    tensors = {name: t.float() for name, t in load_file(folder / WEIGHTS).items()}
    named = dataclasses.replace(sizes, version=voice_version(tensors, sizes.gains))
    named.save(folder / CONFIG)
    return named


def levelled(folder: Path, lines: Sequence[str]) -> SpeechConfig:
    """Measure each voice's level on some sentences and write the gains that make all of them ``LEVEL``."""
    flat = _named(folder, dataclasses.replace(SpeechConfig.load(folder / CONFIG), gains=()))
    speaker = Speaker.load(folder)
    gains = []
    for voice in speaker.voices:
        loud = level(np.concatenate([say(speaker, line, voice) for line in lines]))
        gains.append(round(LEVEL / max(loud, 1e-3), 3))
    return _named(folder, dataclasses.replace(flat, gains=tuple(gains)))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, default=CACHE)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--begin-from", type=Path, help="a release's weights, for parts that were not trained")
    parser.add_argument("--keep", type=float, default=0.0, help="share of the release's head in what is written")
    args = parser.parse_args(argv)
    export(args.checkpoints, args.folder, release=args.begin_from, keep=args.keep)
    named = levelled(args.folder, [line for line in assistant_texts(40) if not held_out(line)][:12])
    print(f"{args.folder}: {named.name}-{named.release}+{named.version}, gains {named.gains}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
