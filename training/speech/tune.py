"""Goes on with the vocoder on what the head draws: its mels are smoother than real ones, and that can be learned.

Durations and F0 are the teacher's, so the sound to be made is still the teacher's own. A quarter of the sentences keep
their real mels and details. What a head draws of sentences that it has learned is nearer to the real ones than of any
others: a release that has not learned them may draw another quarter (``--beside``).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch

from services.interaction.speech.config import DETAILS_PLACE, MELS
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.vocoder import Vocoder
from training.speech import details
from training.speech.data import Example
from training.speech.export import emphasised, vocoder_of
from training.speech.head import collate
from training.speech.loop import Losses, Plan, begin_from, train, trained
from training.speech.pairs import pairs
from training.speech.texts import CACHE
from training.speech.vocoder import config, crops, measure, places

REAL = 4  # every so many sentences keep what is real, and as many are drawn by the other head


@torch.inference_mode()
def drawn(net: SpeechHead, one: Example) -> Example:
    """The example with the head's mels and details in the place of its own."""
    batch = collate([one], np.random.default_rng(0))
    encoded = net.encode(batch.following, batch.voices, batch.manners)
    owner = batch.symbol_of[..., None].expand(-1, -1, encoded.codes.shape[-1])
    out = net.decode(encoded.codes.gather(1, owner), batch.place, batch.voices)
    features = one.features.copy()
    features[:, :MELS] = out[0, :, :MELS].numpy()
    features[:, DETAILS_PLACE:] = out[0, :, DETAILS_PLACE:].clamp(-1.0, 1.0).numpy()
    return dataclasses.replace(one, features=features)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--rate", type=float, default=6e-4, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights instead of the vocoder trained here")
    parser.add_argument("--beside", type=Path, help="a release whose head draws some sentences, which it never learned")
    parser.add_argument("--folder", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    head, vocoder = SpeechHead(config()), Vocoder(config())
    head.load_state_dict(trained(args.folder / "head.safetensors"))
    other = head
    if args.beside:
        begin_from(other := SpeechHead(config()), args.beside, "head")
        other.load_state_dict(emphasised(other.state_dict(), back=True))
    if args.begin_from:
        begin_from(vocoder, args.begin_from, "vocoder")
    else:
        vocoder.load_state_dict(vocoder_of(trained(args.folder / "vocoder.safetensors")))
    heads = [head.eval(), other.eval()]
    kinds = np.random.default_rng(3)  # by chance: voices take turns in the shards
    reader = details.load(details.KEPT if args.begin_from else args.folder / "vocoder.safetensors")
    known = [details.told(reader, one) for one in pairs(args.folder / "shards")]
    examples = [drawn(heads[kind == 1], one) if (kind := int(kinds.integers(REAL))) else one for one in known]

    def losses(step: int) -> Losses:
        rng = np.random.default_rng((7, step))
        return measure(vocoder, crops(examples, places(examples, args.batch, rng)), rng)

    plan = Plan(args.steps, args.rate, seconds=60 * args.minutes)
    train(vocoder, losses, plan, args.folder / "tuned.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
