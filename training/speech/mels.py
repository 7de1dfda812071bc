"""Learns to read mels off the states that the teacher gives to its generator, from takes that have both.

So sentences need not be spoken for the head to learn them (``sketches``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import MELS, StackSize
from services.interaction.speech.layers import Stack
from services.interaction.speech.vocoder import MEL_SCALE, mel_filters
from training.speech.loop import Losses, Plan, train, trained
from training.speech.pairs import GIVEN, PLAIN, Pair, pairs
from training.speech.texts import CACHE

KEPT = Path("models/speech-teacher/mels.safetensors")  # of the released voices' teacher
SIZE = StackSize(256, 768, 4, 9)
AHEAD = 8  # frames of states that are seen before a frame's mels are told
CROP = 128  # frames
HELD_BACK = 25  # every so many takes are only measured on
Floats = npt.NDArray[np.float32]


class MelNet(nn.Module):
    """States, F0 and voice of each frame to its normalised log-mels, at the level that training brings takes to."""

    def __init__(self, size: StackSize = SIZE) -> None:
        super().__init__()
        self.stack = Stack(size, GIVEN, MELS)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, frames, GIVEN]`` to ``[n, frames, MELS]``."""
        out: Tensor = self.stack(F.pad(x, (0, 0, 0, AHEAD)))[:, AHEAD:]
        return out


def amplitudes(mels: Floats) -> Floats:
    """Root mean square of each frame, up to a constant."""
    widths = (1.0 / mel_filters().max(dim=0).values.clamp_min(1e-6)).numpy()
    found: Floats = np.sqrt(np.square(np.exp(mels * MEL_SCALE)) @ widths)
    return found


def loudness(mels: Floats) -> float:
    """Natural logarithm of the root mean square, up to a constant, of the frames within 26 dB of the loudest."""
    found = amplitudes(mels)
    return 0.5 * float(np.log(np.square(found[found > 0.05 * found.max()]).mean()))


def crops(known: list[Pair], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """States and mels of some stretches of ``CROP`` frames."""
    lengths = np.array([len(one.given) for one in known], dtype=np.float64)
    given, mels = [], []
    for place in rng.choice(len(known), size=count, p=lengths / lengths.sum()):
        one = known[place]
        begin = int(rng.integers(0, max(1, len(one.given) - CROP + 1)))
        short = max(0, CROP - len(one.given))
        ends = [(0, short), (0, 0)]
        given.append(np.pad(one.given[begin : begin + CROP].astype(np.float32), ends, mode="edge"))
        mels.append(np.pad(one.example.features[begin : begin + CROP, :MELS], ends, mode="edge"))
    return torch.from_numpy(np.stack(given)), torch.from_numpy(np.stack(mels))


def learn(net: MelNet, known: list[Pair], plan: Plan, batch: int, out: Path) -> None:
    """Train on all pairs but every ``HELD_BACK``-th."""
    taught = [one for place, one in enumerate(known) if place % HELD_BACK]

    def losses(step: int) -> Losses:
        given, mels = crops(taught, batch, np.random.default_rng((13, step)))
        apart = net(given) - mels
        return {"mel": apart.abs().mean(), "edges": (apart[:, 1:] - apart[:, :-1]).abs().mean()}

    train(net, losses, plan, out)


@torch.inference_mode()
def error(net: MelNet, known: list[Pair]) -> float:
    """Mean difference of mels on the pairs that were held back."""
    held = known[::HELD_BACK]
    told = [net(torch.from_numpy(one.given.astype(np.float32))[None])[0].numpy() for one in held]
    apart = [mels - one.example.features[:, :MELS] for mels, one in zip(told, held, strict=True)]
    return float(np.abs(np.concatenate(apart)).mean())


def load(path: Path = CACHE / "mels.safetensors", size: StackSize = SIZE) -> MelNet:
    """A trained one, from its checkpoint or as it is kept. Raises ``FileNotFoundError`` when there is none."""
    net = MelNet(size)
    net.load_state_dict(trained(path) or {name: t.float() for name, t in load_file(path).items()})
    return net.eval()


def keep(net: MelNet, path: Path) -> None:
    """Write the weights alone, in half precision."""
    save_file({name: t.to(torch.float16).contiguous() for name, t in net.state_dict().items()}, path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then at the latest")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of learning, at its highest")
    parser.add_argument("--folder", type=Path, default=CACHE)
    parser.add_argument("--keep", type=Path, help="write the trained weights there, in half precision, and be done")
    args = parser.parse_args(argv)
    if args.keep:
        if not (args.folder / "mels.safetensors").exists():
            parser.error(f"--keep: {args.folder} has no mels.safetensors; train it first")
        keep(load(args.folder / "mels.safetensors"), args.keep)
        return 0
    torch.manual_seed(4)
    known, path = pairs(args.folder / "shards", PLAIN), args.folder / "mels.safetensors"
    print(f"{len(known)} takes, {sum(len(one.given) for one in known) / 80:.0f} s", flush=True)
    learn(MelNet(), known, Plan(args.steps, args.rate, seconds=60 * args.minutes), args.batch, path)
    print(f"mels of held-back takes: {error(load(path), known):.4f} apart", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
