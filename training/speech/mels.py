"""Learns to read mels off the states that the teacher gives to its generator, from takes that have both.

So sentences need not be spoken for the head to learn them (``sketches``). Takes in manners teach it F0 that plain ones
never have; what their manner adds to the sound afterwards is taken off again.
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
from services.interaction.speech.vocoder import MEL_SCALE, SILENCE, mel_edges, mel_filters
from training.speech import manners
from training.speech.data import seconds
from training.speech.loop import Losses, Plan, train, trained
from training.speech.pairs import GIVEN, Pair, pairs
from training.speech.texts import CACHE

KEPT = Path("models/speech-teacher/mels.safetensors")  # of the released voices' teacher
SIZE = StackSize(256, 768, 4, 9)
AHEAD = 8  # frames of states that are seen before a frame's mels are told
CROP = 128  # frames
HELD_BACK = 25  # every so many takes are only measured on
_AT_FLOOR = np.float32(1e-4)  # so near is silence
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


def shelf(db: float) -> Floats:
    """``[MELS]``: what ``manners.shelf`` adds to normalised log-mels."""
    added: Floats = (np.log(manners.shelf(mel_edges()[1:-1], db)) / MEL_SCALE).astype(np.float32)
    return added


def plain(one: Pair) -> Floats:
    """``[frames, MELS]`` of a take as the states alone make it. What is silence stays that."""
    added = shelf(one.bright_db) + np.float32(one.level_db * np.log(10.0) / 20 / MEL_SCALE)
    heard, floor = one.example.features[:, :MELS], np.float32(SILENCE)
    found: Floats = np.where(heard <= floor + _AT_FLOOR, floor, np.maximum(heard - added, floor))
    return found


def crops(known: list[Pair], heard: list[Floats], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """States and mels of some stretches of ``CROP`` frames."""
    lengths = np.array([len(one.given) for one in known], dtype=np.float64)
    given, mels = [], []
    for place in rng.choice(len(known), size=count, p=lengths / lengths.sum()):
        one = known[place]
        begin = int(rng.integers(0, max(1, len(one.given) - CROP + 1)))
        short = max(0, CROP - len(one.given))
        ends = [(0, short), (0, 0)]
        given.append(np.pad(one.given[begin : begin + CROP].astype(np.float32), ends, mode="edge"))
        mels.append(np.pad(heard[place][begin : begin + CROP], ends, mode="edge"))
    return torch.from_numpy(np.stack(given)), torch.from_numpy(np.stack(mels))


def learn(net: MelNet, known: list[Pair], plan: Plan, batch: int, out: Path) -> None:
    """Train on all pairs but every ``HELD_BACK``-th."""
    taught = [one for place, one in enumerate(known) if place % HELD_BACK]
    heard = [plain(one) for one in taught]

    def losses(step: int) -> Losses:
        given, mels = crops(taught, heard, batch, np.random.default_rng((13, step)))
        apart = net(given) - mels
        return {"mel": apart.abs().mean(), "edges": (apart[:, 1:] - apart[:, :-1]).abs().mean()}

    train(net, losses, plan, out)


@torch.inference_mode()
def error(net: MelNet, held: list[Pair]) -> float:
    """Mean difference of mels."""
    told = [net(torch.from_numpy(one.given.astype(np.float32))[None])[0].numpy() for one in held]
    apart = [mels - plain(one) for mels, one in zip(told, held, strict=True)]
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
    parser.add_argument("--begin-from", type=Path, help="kept weights, e.g. models/speech-teacher/mels.safetensors")
    parser.add_argument("--folder", type=Path, default=CACHE)
    parser.add_argument("--keep", type=Path, help="write the trained weights there, in half precision, and be done")
    args = parser.parse_args(argv)
    if args.keep:
        if not (args.folder / "mels.safetensors").exists():
            parser.error(f"--keep: {args.folder} has no mels.safetensors; train it first")
        keep(load(args.folder / "mels.safetensors"), args.keep)
        return 0
    torch.manual_seed(4)
    path = args.folder / "mels.safetensors"
    try:
        net = load(args.begin_from) if args.begin_from else MelNet()
        known = pairs(args.folder / "shards")
    except FileNotFoundError as why:
        parser.error(str(why))
    print(f"{len(known)} takes, {seconds(one.example for one in known):.0f} s", flush=True)
    learn(net, known, Plan(args.steps, args.rate, seconds=60 * args.minutes), args.batch, path)
    held = known[::HELD_BACK]
    bent = [one for one in held if one.example.manners.any()]
    for name, ones in (("all", held), ("in manners", bent)):
        if ones:
            print(f"mels of takes held back, {name}: {error(load(path), ones):.4f} apart", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
