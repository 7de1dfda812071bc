"""Learns to read mels off the states that the teacher gives to its generator, from takes that have both.

So sentences need not be spoken for the head to learn them (``sketches``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import MELS, StackSize
from services.interaction.speech.layers import Stack
from services.interaction.speech.vocoder import MEL_SCALE, mel_filters
from training.speech.data import example, trimmed
from training.speech.loop import Losses, Plan, train, trained
from training.speech.states import WIDTH, Sketch, sketch
from training.speech.synth import Raw, read_shard
from training.speech.teacher import VOICES
from training.speech.texts import CACHE

KEPT = Path("models/speech-teacher/mels.safetensors")  # of the released voices' teacher
SIZE = StackSize(256, 768, 4, 9)
AHEAD = 8  # frames of states that are seen before a frame's mels are told
CROP = 128  # frames
HELD_BACK = 25  # every so many takes are only measured on
_STATE_SCALE, _HZ_FLOOR = 3.0, 10.0
_PLAIN = "[0-9]*[0-9].npz"  # shards without a manner
Floats = npt.NDArray[np.float32]


class MelNet(nn.Module):
    """States, F0 and voice of each frame to its normalised log-mels, at the level that training brings takes to."""

    def __init__(self, size: StackSize = SIZE) -> None:
        super().__init__()
        self.stack = Stack(size, WIDTH + 1 + len(VOICES), MELS)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, frames, inputs]`` to ``[n, frames, MELS]``."""
        out: Tensor = self.stack(F.pad(x, (0, 0, 0, AHEAD)))[:, AHEAD:]
        return out


def inputs(take: Sketch) -> Floats:
    """``[frames, inputs]`` of the whole take."""
    out = np.zeros((len(take.f0), WIDTH + 1 + len(VOICES)), dtype=np.float32)
    out[:, :WIDTH] = take.states / _STATE_SCALE
    out[:, WIDTH] = np.log(np.maximum(take.f0, _HZ_FLOOR)) - np.log(100.0)
    out[:, WIDTH + 1 + VOICES.index(take.voice)] = 1.0
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


class Pair(NamedTuple):
    """Of one take, without the silence around it: ``given [frames, inputs]`` in half precision, ``mels``."""

    given: npt.NDArray[np.float16]
    mels: Floats


def joined(take: Sketch, raw: Raw) -> Pair:
    """A sketch and the take that was spoken from it."""
    _, first, last = trimmed(raw.durations.astype(np.int64))
    return Pair(inputs(take)[first:last].astype(np.float16), example(raw).features[:, :MELS])


def pair(raw: Raw) -> Pair | None:
    """None where the take was planned by another teacher (frames or durations differ)."""
    take = sketch(raw.text, raw.voice)
    if len(take.f0) != len(raw.f0) or not np.array_equal(take.durations, raw.durations):
        return None
    return joined(take, raw)


def pairs(folder: Path) -> list[Pair]:
    """Of all spoken takes that have no manner. Raises ``FileNotFoundError`` when there is none."""
    paths = sorted(folder.glob(_PLAIN))
    found = [made for path in paths for raw in read_shard(path) if (made := pair(raw)) is not None]
    if not found:
        raise FileNotFoundError(f"{folder}: no takes to learn from (python -m training.speech.synth)")
    return found


def crops(known: list[Pair], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """States and mels of some stretches of ``CROP`` frames."""
    lengths = np.array([len(one.mels) for one in known], dtype=np.float64)
    given, mels = [], []
    for place in rng.choice(len(known), size=count, p=lengths / lengths.sum()):
        one = known[place]
        begin = int(rng.integers(0, max(1, len(one.mels) - CROP + 1)))
        short = max(0, CROP - len(one.mels))
        ends = [(0, short), (0, 0)]
        given.append(np.pad(one.given[begin : begin + CROP].astype(np.float32), ends, mode="edge"))
        mels.append(np.pad(one.mels[begin : begin + CROP], ends, mode="edge"))
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
    apart = [(net(torch.from_numpy(one.given.astype(np.float32))[None])[0].numpy() - one.mels) for one in held]
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
    known, path = pairs(args.folder / "shards"), args.folder / "mels.safetensors"
    print(f"{len(known)} takes, {sum(len(one.mels) for one in known) / 80:.0f} s", flush=True)
    learn(MelNet(), known, Plan(args.steps, args.rate, seconds=60 * args.minutes), args.batch, path)
    print(f"mels of held-back takes: {error(load(path), known):.4f} apart", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
