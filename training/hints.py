"""Heads for training alone: what nano has just seen, whether or not anybody asked. No release holds them."""

from __future__ import annotations

from torch import Tensor, nn

from services.interaction.nano.config import COLOURS
from services.interaction.nano.layers import Product
from training.sight import SIGHTS
from training.sight.hand import NUMBERS

SIGHT_CLASSES = {"sight": 1 + len(SIGHTS), "colour": len(COLOURS), "fingers": len(NUMBERS)}
PREFIX = "hints."
"""How the names of a learner's parameters begin that are of these heads."""


class Hints(nn.Module):
    """Read at the output token, where nano decides what to say: a word that is due for something seen needs it there,
    and orders about what is seen are too rare to bring it there by themselves."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: Product(d, classes) for name, classes in SIGHT_CLASSES.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Of the trunk's result ``[N, T, 6, d]`` the logits ``[N, T, classes]`` by target."""
        return {name: head(x[:, :, -1], per_tick=False).float() for name, head in self.heads.items()}
