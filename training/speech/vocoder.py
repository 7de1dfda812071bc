"""Trains the vocoder on crops of takes: log and linear magnitudes at four resolutions, and mels."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from services.interaction.speech.config import DELAY_FRAMES, HOP, RATE_HZ, SpeechConfig
from services.interaction.speech.vocoder import Vocoder, log_mel
from training.processor import multiplies_bfloat16
from training.speech.data import Example, read
from training.speech.loop import Losses, Plan, begin_from, train
from training.speech.teacher import VOICES, accent
from training.speech.texts import CACHE

CROP = 64  # frames
WAVE_HZ, WAVE_SHARE, BAND_SHARE = 1000, 0.4, 0.3
_FFTS = (2048, 1024, 512, 256)
_BANDS = np.unique(np.round(np.geomspace(4, 512, 40)).astype(int)).tolist()


def config() -> SpeechConfig:
    return SpeechConfig(voices=VOICES, accents=tuple(accent(v) for v in VOICES))


class Crops(NamedTuple):
    """Pieces of takes: ``features [n, CROP, FEATURES]``, ``audio [n, CROP * HOP]``, and ``turns [n, CROP]`` of the
    teacher's source. Ours is led through the same ones, so that even short windows see pulses where the real ones are:
    with pulses anywhere, the least loss is to smear them."""

    features: Tensor
    audio: Tensor
    turns: Tensor


def crops(examples: list[Example], count: int, rng: np.random.Generator) -> Crops:
    """Where speech is, more often than by chance."""
    features, audio, turns = [], [], []
    lengths = np.array([len(e.features) for e in examples], dtype=np.float64)
    for place in rng.choice(len(examples), size=count, p=lengths / lengths.sum()):
        one = examples[place]
        short = max(0, CROP - len(one.features))
        begin = int(rng.integers(0, len(one.features) + short - CROP + 1))
        gain = np.float32(10.0 ** rng.uniform(-0.3, 0.15))
        f, a = one.features[begin : begin + CROP], one.audio[begin * HOP : (begin + CROP) * HOP]
        t = one.turns[begin : begin + CROP]
        if short:
            f = np.concatenate([f, np.repeat(f[-1:], short, axis=0)])
            a = np.concatenate([a, np.zeros(short * HOP, dtype=np.float32)])
            t = np.concatenate([t, np.repeat(t[-1:], short)])
        f = f.copy()
        f[:, :80] = np.maximum(f[:, :80] + np.log(gain) / 2.5, f[:, :80].min())
        features.append(f)
        audio.append(a * gain)
        turns.append(t)
    return Crops(*(torch.from_numpy(np.stack(rows)) for rows in (features, audio, turns)))


def spectral_loss(made: Tensor, real: Tensor, sizes: Sequence[int] = _FFTS) -> Losses:
    """L1 of magnitudes, linear and logarithmic, of signals ``[n, samples]``, at some window sizes."""
    linear, log = made.new_zeros(()), made.new_zeros(())
    for size in sizes:
        window = torch.hann_window(size)
        a, b = (
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs() / size**0.5 for x in (made, real)
        )
        linear = linear + (a - b).abs().mean() / b.mean().clamp_min(1e-4)
        log = log + (torch.log(a.clamp_min(1e-4)) - torch.log(b.clamp_min(1e-4))).abs().mean()
    return {"linear": linear / len(sizes), "log": log / len(sizes)}


def wave_loss(made: Tensor, real: Tensor) -> Losses:
    """L1 of complex spectra below ``WAVE_HZ``: phases too, where harmonics and not noise make the sound. Each bin is
    measured against its own mean, else the lowest harmonics would be all that counts: what is wrong between 300 and
    1000 Hz is what an opinion score takes offence at.

    And L1 of the log power of bands: the other losses are content with a middling magnitude where they cannot know
    better, which is a decibel or two too soft.
    """
    size, window = 1024, torch.hann_window(1024)
    a, b = (torch.stft(x, size, size // 4, window=window, return_complex=True) for x in (made, real))
    low = WAVE_HZ * size // RATE_HZ
    wave = (a - b)[:, :low].abs().mean(dim=(0, 2)) / b[:, :low].abs().mean(dim=(0, 2)).clamp_min(1e-3)
    powers = [x.real.square() + x.imag.square() for x in (a, b)]
    edges = [*itertools.pairwise(_BANDS)]
    made_db, real_db = (torch.stack([x[:, i:j].mean(dim=1) for i, j in edges]).add(1e-3).log() for x in powers)
    return {"wave": WAVE_SHARE * wave.mean(), "bands": BAND_SHARE * (made_db - real_db).abs().mean()}


def losses_of(net: Vocoder, examples: Callable[[int], list[Example]], batch: int) -> Callable[[int], Losses]:
    def losses(step: int) -> Losses:
        rng = np.random.default_rng((7, step))
        features, audio, turns = crops(examples(step), batch, rng)
        frame = torch.from_numpy(rng.integers(0, 800, size=batch))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=multiplies_bfloat16()):
            filters = net.filter(features)
        made = net.shaped(features, filters.float(), frame, turns)[:, DELAY_FRAMES * HOP :]
        real = audio[:, DELAY_FRAMES * HOP : -DELAY_FRAMES * HOP]
        parts = spectral_loss(made, real, rng.choice(_FFTS, size=2, replace=False).tolist())  # two a step: faster
        parts["mel"] = 0.5 * (log_mel(made) - log_mel(real)).abs().mean()
        return parts | wave_loss(made, real)

    return losses


def learn(net: Vocoder, shards: Path, plan: Plan, batch: int, out: Path) -> None:
    """Train on the shards that are there, and on those that the teacher adds meanwhile."""
    known: dict[Path, list[Example]] = {}
    at_hand: list[Example] = []

    def examples(step: int) -> list[Example]:
        if not at_hand or step % 200 == 0:
            at_hand[:] = read(shards, known)
        return at_hand

    train(net, losses_of(net, examples, batch), plan, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights, e.g. models/speech/speech.safetensors")
    parser.add_argument("--folder", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.manual_seed(1)
    net = Vocoder(config())
    if args.begin_from:
        begin_from(net, args.begin_from, "vocoder")
    plan = Plan(args.steps, args.rate, seconds=60 * args.minutes)
    learn(net, args.folder / "shards", plan, args.batch, args.folder / "vocoder.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
