"""The processes of one training run: alone, or as ``torchrun`` starts them, one a device."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class World:
    """This process's rank among ``size``, and its device. Values of the host travel by gloo, so that agreeing on them
    never waits for a GPU; gradients by the device's own means."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: str = "") -> World:
        """By torchrun's environment (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``); ``device`` "" is CUDA where there is
        one. Raises ``RuntimeError`` when the named device is not there."""
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        here = torch.device(kind)
        if here.type == "cuda":
            here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", here.index or 0)))
            torch.cuda.set_device(here)
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(here)
        distributed.init_process_group("cpu:gloo,cuda:nccl" if here.type == "cuda" else "gloo")
        return cls(here, distributed.get_rank(), size)

    @property
    def leads(self) -> bool:
        """Whether this process logs, judges and saves."""
        return self.rank == 0

    def leave(self) -> None:
        """Together: a rank that is gone while another still saves has been seen to abort in gloo's threads."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()

    def most(self, *values: float) -> list[float]:
        """The largest of all ranks' values, so that all decide alike."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return shared.tolist()

    def shares(self, cases: Tensor) -> Tensor:
        """How much each of a rank's mean losses weighs in the mean of all ranks: its cases over the ranks' average.

        With them, averaged gradients are those of one batch that holds all ranks' sessions."""
        together = cases.clone()
        self._sum(together)
        return torch.where(together > 0, cases * self.size / together, 0.0)

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Average over the ranks; who saw no picture takes part with zeros. What no rank has a gradient for stays
        without one: the optimiser leaves it alone, as it does in a run of one process."""
        if self.size == 1:
            return
        own = [p for p in parameters if p.requires_grad]
        there = self.most(*(float(p.grad is not None) for p in own))
        learning = [p for p, some in zip(own, there, strict=True) if some]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
        flat = torch.cat([g.flatten() for g in gradients])
        self._sum(flat)
        flat /= self.size
        for p, part in zip(learning, torch.split(flat, [p.numel() for p in learning]), strict=True):
            p.grad = part.view_as(p)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """In place."""
        for tensor in tensors:
            self._sum(tensor)
            tensor /= self.size

    def gather(self, state: Tensor) -> list[Tensor]:
        """All ranks' tensors of the host, by rank."""
        if self.size == 1:
            return [state]
        states = [torch.empty_like(state) for _ in range(self.size)]
        distributed.all_gather(states, state)
        return states

    def seed(self, seed: int) -> None:
        """Draws from here on are this rank's own; weights are drawn before, alike."""
        if self.rank:
            torch.manual_seed(seed + 1_000_003 * self.rank)

    def random_state(self) -> Tensor:
        """Of the generator that augmentation draws from."""
        cuda = self.device.type == "cuda"
        return torch.cuda.get_rng_state(self.device) if cuda else torch.get_rng_state()

    def set_random_state(self, state: Tensor) -> None:
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state, self.device)
        else:
            torch.set_rng_state(state)

    def _sum(self, tensor: Tensor) -> None:
        if self.size > 1:
            distributed.all_reduce(tensor)
