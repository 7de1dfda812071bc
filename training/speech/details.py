"""What mels do not tell of a frame, in a few numbers that are learned together with the vocoder they are made for.

Mels hold no phases, and magnitudes by bands that are wider than a harmonic. The teacher's states decide both, and a
network that may pass on ``DETAILS`` numbers of them a frame finds out which ones its vocoder can use. The head then
learns to draw them like mels (ADR 21).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from services.interaction.speech.config import DETAILS, DETAILS_PLACE, StackSize
from services.interaction.speech.layers import Stack
from training.speech.data import Example
from training.speech.loop import trained
from training.speech.pairs import GIVEN, Pair

KEPT = Path("models/speech-teacher/details.safetensors")  # those that the released vocoder knows
SIZE = StackSize(192, 384, 2, 7)
BACK, AHEAD = 24, 8  # frames of states around a frame that its details may depend on
Floats = npt.NDArray[np.float32]


class DetailNet(nn.Module):
    """States, F0 and voice of each frame to its details."""

    def __init__(self, size: StackSize = SIZE) -> None:
        super().__init__()
        self.stack = Stack(size, GIVEN, DETAILS)

    def forward(self, given: Tensor) -> Tensor:
        """``[n, BACK + frames + AHEAD, GIVEN]`` to ``[n, frames, DETAILS]`` in (-1, 1)."""
        return torch.tanh(self.stack(given)[:, BACK + AHEAD :])


def around(given: npt.NDArray[np.float16] | Floats, first: int, last: int) -> Floats:
    """What the details of frames ``first`` to ``last`` depend on; beyond the ends it goes on as it is there."""
    at = np.clip(np.arange(first - BACK, last + AHEAD), 0, len(given) - 1)
    return given[at].astype(np.float32)


@torch.inference_mode()
def details(net: DetailNet, given: npt.NDArray[np.float16] | Floats) -> Floats:
    """``[frames, DETAILS]`` of a whole take."""
    told: Floats = net(torch.from_numpy(around(given, 0, len(given)))[None])[0].numpy()
    return told


def told(net: DetailNet, one: Pair) -> Example:
    """The take with its details."""
    features = one.example.features.copy()
    features[:, DETAILS_PLACE:] = details(net, one.given)
    return dataclasses.replace(one.example, features=features)


def load(path: Path = KEPT, size: StackSize = SIZE) -> DetailNet:
    """A trained one: out of the vocoder's checkpoint, or as it is kept.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the vocoder was trained without details.
    """
    known = trained(path) or load_file(path)
    weights = {name.removeprefix("details."): t.float() for name, t in known.items() if name.startswith("details.")}
    if not weights:
        raise ValueError(f"{path}: a vocoder without details; train it anew, or go on from a release")
    net = DetailNet(size)
    net.load_state_dict(weights)
    return net.eval()


def keep(net: DetailNet, path: Path) -> None:
    """Write the weights alone, in half precision."""
    weights = {f"details.{name}": t.to(torch.float16).contiguous() for name, t in net.state_dict().items()}
    save_file(weights, path)
