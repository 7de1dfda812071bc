"""One training loop for all networks: cosine rate, clipped gradients, checkpoints to resume from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` in all; ``rate`` after ``warm`` steps, falling to a hundredth. With ``seconds`` the run ends then at
    the latest, and the rate falls in time for it: a slow machine makes fewer steps, not a broken curve."""

    steps: int
    rate: float
    warm: int = 200
    seconds: float = math.inf
    save_every: int = 100
    log_every: int = 50


def done_at(plan: Plan, step: int, elapsed: float) -> float:
    """Share of the run that is behind, by steps or by time, whichever is more."""
    return max((step - plan.warm) / max(1, plan.steps - plan.warm), elapsed / plan.seconds)


def rate_at(plan: Plan, step: int, elapsed: float) -> float:
    if step < plan.warm:
        return plan.rate * (step + 1) / plan.warm
    done = min(done_at(plan, step, elapsed), 1.0)
    return plan.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def _tensors(net: nn.Module, optimiser: torch.optim.AdamW, step: int) -> dict[str, Tensor]:
    """Weights, moments and step: all that a resumed run needs, as plain tensors."""
    out = {f"net.{name}": p.detach().clone() for name, p in net.state_dict().items()}
    out["step"] = torch.tensor(step)
    for index, parameter in enumerate(net.parameters()):
        state = optimiser.state.get(parameter, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                out[f"opt.{index}.{name}"] = state[name].detach().clone()
    return out


def _resume(path: Path, net: nn.Module, optimiser: torch.optim.AdamW) -> int:
    saved = load_file(path)
    net.load_state_dict({name[4:]: t for name, t in saved.items() if name.startswith("net.")})
    step = int(saved["step"])
    for index, parameter in enumerate(net.parameters()):
        if f"opt.{index}.exp_avg" in saved:
            optimiser.state[parameter] = {
                "step": torch.tensor(float(step)),
                "exp_avg": saved[f"opt.{index}.exp_avg"],
                "exp_avg_sq": saved[f"opt.{index}.exp_avg_sq"],
            }
    return step


def _save(path: Path, net: nn.Module, optimiser: torch.optim.AdamW, step: int) -> None:
    """Written aside and renamed: never half there."""
    aside = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(_tensors(net, optimiser, step), aside)
    aside.replace(path)


def train(net: nn.Module, losses: Callable[[int], Losses], plan: Plan, checkpoint: Path) -> None:
    """Minimise the sum of what ``losses(step)`` gives. Goes on where ``checkpoint`` stands; writes it at the end."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01)
    step = _resume(checkpoint, net, optimiser) if checkpoint.exists() else 0
    torch.set_num_threads(1)  # small products: a second thread waits more than it works
    net.train()
    sums: dict[str, float] = {}
    started, begun = time.monotonic(), step
    while step < plan.steps and (elapsed := time.monotonic() - started) < plan.seconds:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(plan, step, elapsed)
        parts = losses(step)
        total = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / plan.log_every
        if step % plan.log_every == 0:
            pace = (time.monotonic() - started) / (step - begun)
            said = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
            print(f"step {step}/{plan.steps} {said} {pace:.2f} s a step", flush=True)
            sums = {}
        if step % plan.save_every == 0:
            _save(checkpoint, net, optimiser, step)
    if step > begun:
        _save(checkpoint, net, optimiser, step)
