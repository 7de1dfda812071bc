"""What moves the weights: Muon for the matrices inside the network, AdamW for all else, as one optimizer.

Muon (K. Jordan 2024; "Muon is Scalable for LLM Training", arXiv 2502.16982) turns each matrix's momentum into the
nearest orthogonal one, scaled so that AdamW's rates and decay fit it; ``torch.optim.Muon`` computes it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

BETAS = (0.9, 0.98)
Groups = list[dict[str, Any]]


def orthogonal(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon moves it: matrices between hidden values, not tables, heads, taps or the router."""
    if parameter.ndim != 2:
        return False
    if name.startswith("backbone.layers."):
        return not name.endswith((".taps", ".router.weight"))
    return name.startswith(("encoder.heard_", "encoder.patch_")) and not name.endswith("patch_place")


class Optimizers:
    """AdamW, and Muon if any group asks for it (``"muon": True``). Its state and groups are numbered through, AdamW's
    first, so that a checkpoint is that of one optimizer."""

    def __init__(self, groups: Groups, rate: float) -> None:
        plain = [group for group in groups if not group.get("muon")]
        turned = [group for group in groups if group.get("muon")]
        self._parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(plain, lr=rate, betas=BETAS, fused=True)]
        if turned:
            self._parts.append(torch.optim.Muon(turned, lr=rate, adjust_lr_fn="match_rms_adamw"))

    @property
    def param_groups(self) -> Groups:
        return [group for part in self._parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self._parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        state: dict[int, Any] = {}
        groups: Groups = []
        for part in self._parts:
            first, saved = _size(groups), part.state_dict()
            state |= {first + index: moments for index, moments in saved["state"].items()}
            groups += [group | {"params": [first + p for p in group["params"]]} for group in saved["param_groups"]]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Raises ``ValueError`` when it has other groups."""
        rest, first = list(saved["param_groups"]), 0
        if len(rest) != len(self.param_groups):
            raise ValueError(f"the checkpoint's optimizer has {len(rest)} groups, this run's {len(self.param_groups)}")
        for part in self._parts:
            groups, rest = rest[: len(part.param_groups)], rest[len(part.param_groups) :]
            end = first + _size(groups)
            mine = {index - first: moments for index, moments in saved["state"].items() if first <= index < end}
            moved = [group | {"params": [p - first for p in group["params"]]} for group in groups]
            part.load_state_dict({"state": mine, "param_groups": moved})
            first = end


def _size(groups: Groups) -> int:
    return sum(len(group["params"]) for group in groups)
