"""One rank of the test's training run: ``torchrun --nproc-per-node 2 -m tests.model.ranks FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from services.interaction.nano.config import AUDIO_TOKENS, PHONES, PHONES_A_TOKEN
from training.data import Batch
from training.distributed import World
from training.hints import SIGHT_CLASSES
from training.phones import UNKNOWN
from training.run import Plan, Run
from training.sizes import config_of

PLAN = Plan(warmup=1, rate=1e-3, threads=1, bf16=False, vary=False, muon=False, sessions=2, ticks=8)
CLASSES = {"floor": 4, "user": 3, "text": 40, "heard": 60, "event": 4, "task": 9, "word": 40, "manner": 3, "ending": 2}
CLASSES |= {"trigger": 60, "note": 2, "listen": 2}


def drawn(number: int, sessions: int = 2, ticks: int = 8) -> Batch:
    """A batch of noise. Every second one has pictures, and how many ticks count differs much between them."""
    rng = np.random.default_rng(number)
    shape = (sessions, ticks)
    targets = {name: rng.integers(0, classes, shape) for name, classes in CLASSES.items()}
    targets["phones"] = rng.integers(UNKNOWN, PHONES, (sessions, ticks * AUDIO_TOKENS * PHONES_A_TOKEN))
    for name, classes in SIGHT_CLASSES.items():
        targets[name] = rng.integers(UNKNOWN, classes, shape)
    targets["speak_counts"] = rng.random(shape) < (0.9 if number % 2 else 0.3)
    targets["heard_counts"] = rng.random(shape) < 0.5
    targets["trigger_counts"] = rng.random(shape) < 0.2
    targets["due_counts"] = rng.random(shape) < 0.2
    seen = np.array([[0, 2], [1, 5]] if number % 2 else np.zeros((0, 2)), dtype=np.int64)
    return Batch(
        codes=rng.integers(0, 128, (*shape, AUDIO_TOKENS, 8, 80), dtype=np.uint8),
        targets=targets,
        fed=rng.integers(0, 3, (*shape, 16)),
        pending=rng.integers(0, 2, (*shape, 5)),
        time=rng.standard_normal((*shape, 8), dtype=np.float32),
        patches=rng.integers(0, 256, (len(seen) * 6, 2, 40, 40, 3), dtype=np.uint8),
        patches_at=seen,
        words=np.array([3, 7, 9]),
        words_from=np.array([0]),
        words_at=np.array([[1, 1]]),
    )


def merged(one: Batch, other: Batch) -> Batch:
    """Both batches' sessions as one batch."""
    below = np.array([len(one.codes), 0])
    names = ("codes", "fed", "pending", "time", "patches", "words")
    both = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names}
    return Batch(
        **both,
        targets={name: np.concatenate([t, other.targets[name]]) for name, t in one.targets.items()},
        patches_at=np.concatenate([one.patches_at, other.patches_at + below]),
        words_from=np.concatenate([one.words_from, other.words_from + len(one.words)]),
        words_at=np.concatenate([one.words_at, other.words_at + below]),
    )


def main() -> None:
    world, folder = World.join("cpu"), Path(sys.argv[1])
    run = Run(PLAN, config_of("tiny"), folder, folder, world)
    for step in range(2):
        run.step(drawn(step * world.size + world.rank))
        weights = {name: p.detach().clone() for name, p in run.learner.state_dict().items()}
        save_file(weights, folder / f"step-{step}-rank-{world.rank}.safetensors")
    run.save()
    world.leave()


if __name__ == "__main__":
    main()
