"""Goes on with the vocoder against a judge that learns to tell its sound from the teacher's.

Losses that compare spectra are content with the middle of what may follow from a mel: harmonics that are a little soft
and phases that do not move as real ones do. Most of what an opinion score takes offence at lies below 1 kHz, so the
judge looks there, at spectra with their phases (as EnCodec's, arXiv 2210.13438), which makes it small enough for a CPU.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import DELAY_FRAMES, HOP, RATE_HZ
from services.interaction.speech.vocoder import Vocoder, log_mel
from training.speech.data import Example
from training.speech.loop import Losses, Plan, begin_from, train
from training.speech.texts import CACHE
from training.speech.tune import examples_drawn
from training.speech.vocoder import config, crops, spectral_loss, wave_loss

WINDOWS = (1024, 2048)
BELOW_HZ = 2000
CHANNELS = (16, 24, 32, 32)
JUDGING, FEELING = 0.35, 0.35  # of the gradient of all else: of the verdict, of what the judge sees on the way to it
ALONE = 150  # steps in which only the judge learns
JUDGE_RATE = 4e-4
_SAVE_EVERY = 100


class Seen(NamedTuple):
    """A judge's verdicts, one map a window (above 0: the teacher's), and its layers' values."""

    verdicts: list[Tensor]
    layers: list[Tensor]


class _Window(nn.Module):
    """Spectra of one size to a map of verdicts."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        normed = nn.utils.parametrizations.weight_norm
        widths = (2, *CHANNELS)
        self.layers = nn.ModuleList(
            normed(nn.Conv2d(a, b, (3, 9), (1, 2 if n else 1), (2 ** max(0, n - 1), 4), (2 ** max(0, n - 1), 1)))
            for n, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.leave = normed(nn.Conv2d(CHANNELS[-1], 1, 3, padding=1))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        spectrum = torch.stft(
            sound, self.size, self.size // 4, window=torch.hann_window(self.size), return_complex=True
        )[:, : BELOW_HZ * self.size // RATE_HZ]
        pair = torch.view_as_real(spectrum)
        x = (pair * (pair.square().sum(-1, keepdim=True) + 1e-5) ** -0.35).permute(0, 3, 2, 1)  # amplitudes to the 0.3
        kept = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            kept.append(x)
        return self.leave(x), kept


class Judge(nn.Module):
    """Sound ``[n, samples]`` to what it makes of it."""

    def __init__(self, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        self.windows = nn.ModuleList(_Window(size) for size in windows)

    def forward(self, sound: Tensor) -> Seen:
        seen = [window(sound) for window in self.windows]
        return Seen([verdict for verdict, _ in seen], [layer for _, layers in seen for layer in layers])


def judged_wrongly(real: Seen, made: Seen) -> Tensor:
    """The judge's hinge loss."""
    pairs = zip(real.verdicts, made.verdicts, strict=True)
    return torch.stack([F.relu(1 - a).mean() + F.relu(1 + b).mean() for a, b in pairs]).mean()


def _verdict(made: Seen) -> Tensor:
    return torch.stack([-verdict.mean() for verdict in made.verdicts]).mean()


def _feeling(real: Seen, made: Seen) -> Tensor:
    pairs = zip(real.layers, made.layers, strict=True)
    return torch.stack([(a.detach() - b).abs().mean() / a.detach().abs().mean() for a, b in pairs]).mean()


def blended(parts: Sequence[tuple[Tensor, float]], sound: Tensor) -> Tensor:
    """The gradient of ``sound``: of the first part as it is, and of each other one at its share of the first's length,
    whatever its scale (as EnCodec's balancer)."""
    grads = [torch.autograd.grad(loss, sound, retain_graph=True)[0] for loss, _ in parts]
    length = grads[0].norm()
    rest = [share * length / g.norm().clamp_min(1e-12) * g for g, (_, share) in zip(grads[1:], parts[1:], strict=True)]
    return torch.stack([grads[0], *rest]).sum(dim=0)


def losses_of(net: Vocoder, judge: Judge, examples: list[Example], batch: int, out: Path) -> Callable[[int], Losses]:
    """Both learn in a step, on the same crops; the judge is kept beside the checkpoint."""
    kept = out.with_name("judge.safetensors")
    optimiser = torch.optim.AdamW(judge.parameters(), JUDGE_RATE, betas=(0.8, 0.99), weight_decay=0.01)
    if kept.exists():
        judge.load_state_dict(load_file(kept))

    def losses(step: int) -> Losses:
        rng = np.random.default_rng((17, step))
        features, audio, turns = crops(examples, batch, rng)
        frame = torch.from_numpy(rng.integers(0, 800, size=batch))
        made = net.shaped(features, net.filter(features), frame, turns)[:, DELAY_FRAMES * HOP :]
        real = audio[:, DELAY_FRAMES * HOP : -DELAY_FRAMES * HOP]
        wrong = judged_wrongly(judge(real), judge(made.detach()))
        optimiser.zero_grad()
        wrong.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if (step + 1) % _SAVE_EVERY == 0:
            save_file({name: t.detach().contiguous() for name, t in judge.state_dict().items()}, kept)
        sound = made.detach().requires_grad_()
        near = spectral_loss(sound, real, rng.choice((2048, 1024, 512, 256), size=2, replace=False).tolist())
        near |= {"mel": 0.5 * (log_mel(sound) - log_mel(real)).abs().mean()} | wave_loss(sound, real)
        parts = [(torch.stack(list(near.values())).sum(), 1.0)]
        told = {name: value.detach() for name, value in near.items()} | {"judge": wrong.detach()}
        if step >= ALONE:
            seen, known = judge(sound), judge(real)
            parts += [(_verdict(seen), JUDGING), (_feeling(known, seen), FEELING)]
            told |= {"verdict": parts[1][0].detach(), "feeling": parts[2][0].detach()}
        pull = (made * blended(parts, sound)).sum()
        return told | {"pull": pull - pull.detach()}  # nothing in the sum, and the blended gradient

    return losses


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--rate", type=float, default=4e-4, help="of learning, at its highest")
    parser.add_argument("--begin-from", type=Path, help="a release's weights instead of the vocoder trained here")
    parser.add_argument("--beside", type=Path, help="a release whose head draws some sentences, which it never learned")
    parser.add_argument("--folder", type=Path, default=CACHE)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(6)
    net, out = Vocoder(config()), args.folder / "adversary.safetensors"
    begin_from(net, args.begin_from, "vocoder")
    examples = examples_drawn(args.folder, args.beside)
    plan = Plan(args.steps, args.rate, seconds=60 * args.minutes)
    train(net, losses_of(net, Judge(), examples, args.batch, out), plan, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
