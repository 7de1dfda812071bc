"""Checkpoints of a run: one safetensors file; what is no tensor stands as JSON in its header."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

LAST = "last.safetensors"
BEFORE = "last.pt"  # as runs wrote them that began before November 2026


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``optimizer`` is its ``state_dict``; ``random`` holds the generators' states by rank."""

    plan: dict[str, Any]
    config: dict[str, Any]
    progress: dict[str, Any]
    learner: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Any]
    random: list[Tensor]

    def save(self, path: Path) -> None:
        """Written aside and renamed: never half there."""
        kept = {f"learner.{name}": t for name, t in self.learner.items()}
        kept |= {f"ema.{name}": t for name, t in self.ema.items()}
        kept |= {f"random.{rank}": t for rank, t in enumerate(self.random)}
        for index, moments in self.optimizer["state"].items():
            kept |= {f"optimizer.{index}.{name}": t for name, t in moments.items()}
        groups = self.optimizer["param_groups"]
        facts = {"plan": self.plan, "config": self.config, "progress": self.progress, "groups": groups}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".tmp")
        tensors = {name: t.detach().cpu().contiguous() for name, t in kept.items()}
        save_file(tensors, aside, metadata={name: json.dumps(fact) for name, fact in facts.items()})
        aside.replace(path)


def find(folder: Path) -> Path:
    """The folder's last checkpoint, of either kind. Raises ``FileNotFoundError`` without one."""
    for path in (folder / LAST, folder / BEFORE):
        if path.exists():
            return path
    raise FileNotFoundError(f"no checkpoint in {folder}")


def read_plan(path: Path) -> dict[str, Any]:
    """A checkpoint's plan alone, without reading its tensors."""
    if path.suffix == ".pt":
        plan: dict[str, Any] = torch.load(path, weights_only=True, mmap=True)["plan"]
        return plan
    with safe_open(path, framework="pt") as opened:
        facts: dict[str, Any] = json.loads(opened.metadata()["plan"])
        return facts


def read(path: Path) -> Checkpoint:
    """A checkpoint on the host. Raises ``FileNotFoundError``."""
    if path.suffix == ".pt":
        old = torch.load(path, weights_only=True)
        return Checkpoint(random=[old.pop("torch_rng")], **old)
    parts: dict[str, dict[str, Tensor]] = {"learner": {}, "ema": {}, "optimizer": {}, "random": {}}
    with safe_open(path, framework="pt") as opened:
        facts = {name: json.loads(text) for name, text in opened.metadata().items()}
        for name in opened.keys():  # noqa: SIM118 - it is no mapping
            part, _, rest = name.partition(".")
            parts[part][rest] = opened.get_tensor(name)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, moment = name.partition(".")
        state.setdefault(int(index), {})[moment] = tensor
    return Checkpoint(
        plan=facts["plan"],
        config=facts["config"],
        progress=facts["progress"],
        learner=parts["learner"],
        ema=parts["ema"],
        optimizer={"state": state, "param_groups": facts["groups"]},
        random=[parts["random"][str(rank)] for rank in range(len(parts["random"]))],
    )
