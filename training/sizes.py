"""nano's sizes: one architecture and one training script, from a test's toy to what wants GPUs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from services.interaction.nano.config import NanoConfig
from training.data import vocabularies
from training.learner import Learner
from training.skills.words import KINDS, SPANISH

_SIZES: dict[str, Callable[..., NanoConfig]] = {
    # Trains in seconds.
    "tiny": partial(
        NanoConfig,
        d=64,
        heads=2,
        head_width=32,
        windows=(3, 4),
        phones_after=1,
        dense_width=128,
        moe_from_layer=1,
        experts=4,
        expert_width=32,
        shared_width=64,
        top_k=2,
    ),
    # What ships: trains on two cores in hours, serves one session in a fraction of one.
    "nano": partial(
        NanoConfig,
        d=256,
        heads=4,
        head_width=64,
        windows=(4, 4, 8, 8, 8, 16, 16, 48),
        phones_after=4,
        dense_width=768,
        moe_from_layer=5,
        experts=8,
        expert_width=96,
        shared_width=384,
        top_k=2,
    ),
    # For GPUs: its last layer sees a minute.
    "small": partial(
        NanoConfig,
        name="small",
        d=768,
        heads=12,
        head_width=64,
        windows=(4, 4, 8, 8, 8, 8, 16, 16, 16, 16, 16, 32, 32, 48, 48, 300),
        phones_after=6,
        dense_width=2304,
        moe_from_layer=4,
        experts=8,
        expert_width=288,
        shared_width=1152,
        top_k=2,
    ),
}
SIZES = tuple(_SIZES)


def config_of(size: str) -> NanoConfig:
    """The configuration of one of ``SIZES``, with today's vocabularies. Raises ``KeyError`` for another name."""
    said, heard = vocabularies()
    return _SIZES[size](text_words=said, heard_words=heard, kinds=KINDS, spanish=SPANISH)


def parameters(learner: Learner) -> tuple[int, int]:
    """All parameters of encoder and backbone, and the active ones: without the experts that a token does not choose."""
    config = learner.backbone.config
    every = sum(p.numel() for part in (learner.encoder, learner.backbone) for p in part.parameters())
    mixtures = len(config.windows) - config.moe_from_layer
    idle = (config.experts - config.top_k) * config.expert_width * 2 * config.d
    return every, every - mixtures * idle
