"""Flow matching beside regression: a small decoder that draws mels from noise in a few Euler steps, on the same codes.

What is served is chosen by what this measures: the same held-out sentences, with the same durations and F0, their mels
regressed or drawn, through the same vocoder. The section ``flow`` of ``evaluation.json`` holds the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from services.interaction.speech.config import (
    DETAILS_PLACE,
    F0_PLACE,
    HOP,
    MELS,
    RATE_HZ,
    TICK_FRAMES,
    VOICED_PLACE,
    SpeechConfig,
    StackSize,
)
from services.interaction.speech.g2p import ids
from services.interaction.speech.head import MAX_FRAMES, SpeechHead, ahead, places
from services.interaction.speech.layers import Stack
from services.interaction.speech.speaker import WEIGHTS
from services.interaction.speech.vocoder import SILENCE, Vocoder
from training.processor import multiplies_bfloat16
from training.speech import teacher
from training.speech.data import Example, read
from training.speech.evaluate import Judged, row, sentences, shared_out
from training.speech.export import MODEL
from training.speech.head import Batch, collate, pick
from training.speech.loop import Losses, Plan, begin_from, train, trained
from training.speech.texts import CACHE
from training.speech.vocoder import config

SIZE = StackSize(192, 576, 3, 7)
TIMES = 8  # sines and as many cosines of the time of flow
NOISE = 0.7  # of the unit that it is trained with: less is smoother
STEPS = (2, 4)
Floats = npt.NDArray[np.float32]


class Flow(nn.Module):
    """The velocity of mels on their way from noise, given the symbols' codes and the regressed mels."""

    def __init__(self, sizes: SpeechConfig, size: StackSize = SIZE) -> None:
        super().__init__()
        self.stack = Stack(size, 2 * MELS + sizes.encoder.width + 2 * TIMES, MELS)

    def forward(self, mels: Tensor, at: Tensor, codes: Tensor, mean: Tensor) -> Tensor:
        """``mels [n, frames, MELS]`` at time ``at [n]`` of 0 (noise) to 1."""
        angle = at[:, None] * torch.pi * 2.0 ** torch.arange(TIMES)
        clock = torch.cat([angle.sin(), angle.cos()], dim=-1)[:, None].expand(-1, mels.shape[1], -1)
        out: Tensor = self.stack(torch.cat([mels, mean, codes, clock], dim=-1))
        return out

    def draw(self, codes: Tensor, mean: Tensor, steps: int, noise: Tensor) -> Tensor:
        """Mels after so many Euler steps from ``NOISE`` times unit ``noise``."""
        mels = NOISE * noise
        for step in range(steps):
            at = torch.full((len(mels),), step / steps)
            mels = mels + self(mels, at, codes, mean) / steps
        return mels


def losses_of(flow: Flow, head: SpeechHead, examples: list[Example], frames: int) -> Callable[[int], Losses]:
    """Squares of the velocity's error; the head is finished and only looked at."""

    def losses(step: int) -> Losses:
        rng = np.random.default_rng((13, step))
        chosen = pick(examples, 16, rng)
        batch = collate(chosen[: max(2, int(frames / max(len(e.features) for e in chosen)))], rng)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=multiplies_bfloat16()):
            codes, mean = _drawn_by(head, batch)
        real = batch.features[..., :MELS]
        noise = torch.from_numpy(rng.standard_normal(real.shape).astype(np.float32))
        at = torch.from_numpy(rng.random(len(real)).astype(np.float32))
        mixed = noise + at[:, None, None] * (real - noise)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=multiplies_bfloat16()):
            velocity = flow(mixed, at, codes.float(), mean.float())
        error = (velocity.float() - (real - noise)).square().mean(dim=-1)
        return {"flow": (error * batch.real).sum() / batch.real.sum()}

    return losses


def _drawn_by(head: SpeechHead, batch: Batch) -> tuple[Tensor, Tensor]:
    """Each frame's code, and its regressed mels."""
    encoded = head.encode(batch.following, batch.voices, batch.manners)
    owner = batch.symbol_of[..., None].expand(-1, -1, encoded.codes.shape[-1])
    codes = encoded.codes.gather(1, owner)
    return codes, head.decode(codes, batch.place, batch.voices)[..., :MELS]


# --- comparison ----------------------------------------------------------------------------------------------------


class Plainly(NamedTuple):
    """A whole sentence as the head sees it: codes of its frames, and its features by regression."""

    codes: Tensor  # [1, frames, width]
    features: Tensor  # [1, frames, FEATURES], voicing decided


@torch.inference_mode()
def planned(head: SpeechHead, text: str, voice: str) -> Plainly:
    """All of the text known from the begin on."""
    line = np.array(ids(teacher.symbols(text, teacher.accent(voice))), dtype=np.int64)
    following = torch.from_numpy(ahead(line, np.full(len(line), len(line))))[None]
    who = torch.tensor([teacher.VOICES.index(voice)])
    encoded = head.encode(following, who, torch.zeros(1, len(line), dtype=torch.int64))
    counts = encoded.log_frames[0].exp().round().clamp(1, MAX_FRAMES).long().numpy()
    owner = np.repeat(np.arange(len(line)), counts)
    at = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    codes = encoded.codes[:, torch.from_numpy(owner)]
    features = head.decode(codes, torch.from_numpy(places(counts[owner], at))[None], who)
    features[..., VOICED_PLACE] = (features[..., VOICED_PLACE] > 0).float()
    features[..., DETAILS_PLACE:].clamp_(-1.0, 1.0)
    return Plainly(codes, features)


@torch.inference_mode()
def sound(vocoder: Vocoder, features: Tensor) -> Floats:
    """Audio of ``[1, frames, FEATURES]``, and what rings on behind it."""
    rest = features.new_zeros(1, TICK_FRAMES + -features.shape[1] % TICK_FRAMES, features.shape[2])
    rest[..., :MELS] = SILENCE
    rest[..., F0_PLACE] = features[:, -1:, F0_PLACE]
    samples, _ = vocoder.advance(torch.cat([features, rest], dim=1), vocoder.empty(1))
    return np.asarray(np.clip(samples[0].numpy(), -1.0, 1.0))


@torch.inference_mode()
def compare(head: SpeechHead, vocoder: Vocoder, flow: Flow, count: int) -> dict[str, Any]:
    """Words, opinion scores and processor time a second of sound, of regressed and of drawn mels."""
    jobs = shared_out(teacher.VOICES, sentences(count))
    plans = [planned(head, text, voice) for text, voice in jobs]
    out: dict[str, Any] = {"sentences": count, "noise": NOISE, "parameters": sum(p.numel() for p in flow.parameters())}
    for steps in (0, *STEPS):
        spent, seconds, judged = 0.0, 0.0, []
        for place, ((text, _), plan) in enumerate(zip(jobs, plans, strict=True)):
            features, began = plan.features.clone(), time.process_time()
            if steps:
                generator = torch.Generator().manual_seed(place)
                noise = torch.randn(plan.features[..., :MELS].shape, generator=generator)
                features[..., :MELS] = flow.draw(plan.codes, plan.features[..., :MELS], steps, noise)
            spent += time.process_time() - began
            seconds += features.shape[1] * HOP / RATE_HZ
            judged.append(Judged.of(text, sound(vocoder, features)))
        out[f"euler_{steps}" if steps else "regression"] = row(judged) | {"more_cores": round(spent / seconds, 4)}
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=2000, help="of a batch")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end training then at the latest")
    parser.add_argument("--sentences", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=MODEL, help="the release whose codes, vocoder and figures it is")
    parser.add_argument("--checkpoints", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(4)
    head, vocoder, flow = SpeechHead(config()).eval(), Vocoder(config()).eval(), Flow(config())
    begin_from(head, args.folder / WEIGHTS, "head")
    begin_from(vocoder, args.folder / WEIGHTS, "vocoder")
    examples = sorted(read(args.checkpoints / "shards"), key=lambda e: len(e.features))
    plan = Plan(args.steps, 1.2e-3, seconds=60 * args.minutes)
    path = args.checkpoints / "flow.safetensors"
    train(flow, losses_of(flow, head, examples, args.frames), plan, path)
    flow.load_state_dict(trained(path))
    figures = compare(head, vocoder, flow.eval(), args.sentences)
    evaluation = json.loads((args.folder / "evaluation.json").read_text())
    evaluation["flow"] = {"of": evaluation["model"]} | figures
    (args.folder / "evaluation.json").write_text(json.dumps(evaluation, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
