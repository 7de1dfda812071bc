"""Trains the vocoder on crops of takes: log and linear magnitudes at four resolutions, mels, phases below 1 kHz.

With it the network learns that tells the details of a frame, which mels do not (``details``).
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from services.interaction.speech.config import DELAY_FRAMES, DETAILS_PLACE, HOP, MELS, RATE_HZ, SpeechConfig
from services.interaction.speech.speaker import CONFIG
from services.interaction.speech.vocoder import MEL_SCALE, Vocoder, log_mel
from training.processor import multiplies_bfloat16
from training.speech import details
from training.speech.data import Example
from training.speech.details import DetailNet
from training.speech.loop import Losses, Plan, begin_from, train
from training.speech.pairs import Pair, pairs
from training.speech.teacher import VOICES, accent
from training.speech.texts import CACHE

CROP = 64  # frames
WAVE_HZ, WAVE_SHARE, BAND_SHARE = 1000, 0.4, 0.3
FAVOURED = {"bf_isabella": 2.0, "af_heart": 1.3, "bm_fable": 1.3}  # learned from more often: they lose most
UNTOLD, NOISE = 0.05, 0.1  # share of crops of which no details are told; noise on those that are
_FFTS = (2048, 1024, 512, 256)
_BANDS = np.unique(np.round(np.geomspace(4, 512, 40)).astype(int)).tolist()


def config() -> SpeechConfig:
    return SpeechConfig(voices=VOICES, accents=tuple(accent(v) for v in VOICES), details=True)


class Crops(NamedTuple):
    """Pieces of takes: ``features [n, CROP, FEATURES]``, ``audio [n, CROP * HOP]``, and ``turns [n, CROP]`` of the
    teacher's source. Ours is led through the same ones, so that even short windows see pulses where the real ones are:
    with pulses anywhere, the least loss is to smear them."""

    features: Tensor
    audio: Tensor
    turns: Tensor


class Crop(NamedTuple):
    """A piece of one take: where it begins, how many of its frames there are, how much louder it is to be."""

    place: int
    begin: int
    short: int
    gain: np.float32


def places(examples: Sequence[Example], count: int, rng: np.random.Generator) -> list[Crop]:
    """Crops of takes, each as often as it is long, or more often than that by its voice."""
    lengths = [len(one.features) for one in examples]
    shares = np.array([FAVOURED.get(one.voice, 1.0) * len(one.features) for one in examples])
    found = []
    for place in rng.choice(len(lengths), size=count, p=shares / shares.sum()):
        short = max(0, CROP - lengths[place])
        begin = int(rng.integers(0, lengths[place] + short - CROP + 1))
        found.append(Crop(int(place), begin, short, np.float32(10.0 ** rng.uniform(-0.3, 0.15))))
    return found


def crops(examples: Sequence[Example], chosen: list[Crop]) -> Crops:
    """Pieces of takes as arrays."""
    features, audio, turns = [], [], []
    for place, begin, short, gain in chosen:
        one = examples[place]
        f, a = one.features[begin : begin + CROP], one.audio[begin * HOP : (begin + CROP) * HOP]
        t = one.turns[begin : begin + CROP]
        if short:
            f = np.concatenate([f, np.repeat(f[-1:], short, axis=0)])
            a = np.concatenate([a, np.zeros(short * HOP, dtype=np.float32)])
            t = np.concatenate([t, np.repeat(t[-1:], short)])
        f = f.copy()
        f[:, :MELS] = np.maximum(f[:, :MELS] + np.log(gain) / MEL_SCALE, f[:, :MELS].min())
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


def measure(net: Vocoder, batch: Crops, rng: np.random.Generator) -> Losses:
    """Losses of what the vocoder makes of crops."""
    frame = torch.from_numpy(rng.integers(0, 800, size=len(batch.features)))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=multiplies_bfloat16()):
        filters = net.filter(batch.features)
    made = net.shaped(batch.features, filters.float(), frame, batch.turns)[:, DELAY_FRAMES * HOP :]
    real = batch.audio[:, DELAY_FRAMES * HOP : -DELAY_FRAMES * HOP]
    parts = spectral_loss(made, real, rng.choice(_FFTS, size=2, replace=False).tolist())  # two a step: faster
    parts["mel"] = 0.5 * (log_mel(made) - log_mel(real)).abs().mean()
    return parts | wave_loss(made, real)


class Singer(nn.Module):
    """The vocoder, and what tells it details."""

    def __init__(self, vocoder: Vocoder, net: DetailNet) -> None:
        super().__init__()
        self.vocoder, self.details = vocoder, net

    def told(self, batch: Crops, given: Tensor, rng: np.random.Generator) -> Crops:
        """The crops with details, roughly; of some with none."""
        made = self.details(given)
        rough = made + NOISE * torch.from_numpy(rng.standard_normal(made.shape).astype(np.float32))
        known = torch.from_numpy((rng.random((len(made), 1, 1)) >= UNTOLD).astype(np.float32))
        return batch._replace(features=torch.cat([batch.features[..., :DETAILS_PLACE], rough * known], dim=-1))


def begin_singing(net: Singer, release: Path, kept: Path = details.KEPT) -> None:
    """Take over a released vocoder and what tells it details. One that knows none has weights of chance in the place of
    what it would do with them, which could be of any size."""
    begin_from(net.vocoder, release, "vocoder")
    if SpeechConfig.load(release.parent / CONFIG).details:
        begin_from(net.details, kept, "details")
    else:
        nn.init.normal_(net.vocoder.filter.enter.weight.data[:, DETAILS_PLACE:], std=0.05)


def learn(net: Singer, known: list[Pair], plan: Plan, batch: int, out: Path) -> None:
    """Train both on takes with sound."""
    examples = [one.example for one in known]

    def losses(step: int) -> Losses:
        rng = np.random.default_rng((7, step))
        chosen = places(examples, batch, rng)
        given = [details.around(known[one.place].given, one.begin, one.begin + CROP) for one in chosen]
        told = net.told(crops(examples, chosen), torch.from_numpy(np.stack(given)), rng)
        return measure(net.vocoder, told, rng)

    train(net, losses, plan, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights, e.g. models/speech/speech.safetensors")
    parser.add_argument("--folder", type=Path, default=CACHE)
    parser.add_argument("--finished-details", action="store_true", help="learn no others: the head has learned these")
    parser.add_argument("--keep", type=Path, help="write the weights that tell details there, and be done")
    args = parser.parse_args(argv)
    path = args.folder / "vocoder.safetensors"
    if args.keep:
        if not path.exists():
            parser.error(f"--keep: {args.folder} has no vocoder.safetensors; train it first")
        details.keep(details.load(path), args.keep)
        return 0
    if args.finished_details and not (args.begin_from or path.exists()):
        parser.error("--finished-details: there are none; --begin-from a release")
    torch.manual_seed(1)
    net = Singer(Vocoder(config()), DetailNet())
    try:
        if args.begin_from:
            begin_singing(net, args.begin_from)
        known = pairs(args.folder / "shards")
    except (FileNotFoundError, RuntimeError, ValueError) as why:
        parser.error(str(why))
    net.details.requires_grad_(not args.finished_details)
    plan = Plan(args.steps, args.rate, seconds=60 * args.minutes)
    learn(net, known, plan, args.batch, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
