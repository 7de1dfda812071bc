"""One training loop for all networks: cosine rate, clipped gradients, averaged weights, checkpoints to resume from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.optimizers import Groups, Optimizers

Losses = dict[str, Tensor]
AVERAGE = 0.9985  # share of the average that a step keeps
DECAY = 0.01  # of the weights


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


class Average:
    """What is exported: weights as a running mean over the last steps, which rings less than any one step's."""

    def __init__(self, net: nn.Module) -> None:
        self._live = dict(net.named_parameters())
        self.weights = {name: p.detach().clone() for name, p in self._live.items()}

    def follow(self, step: int) -> None:
        """Move towards the weights after ``step``: fast in the first steps, which are far from where it ends."""
        keep = min(AVERAGE, (1 + step) / (10 + step))
        live = [p.detach() for p in self._live.values()]
        torch._foreach_lerp_(list(self.weights.values()), live, 1.0 - keep)


def trained(path: Path) -> dict[str, Tensor]:
    """A network's weights out of a checkpoint, as they are to be used."""
    return {name[4:]: t for name, t in load_file(path).items() if name.startswith("avg.")}


def begin_from(net: nn.Module, weights: Path, part: str) -> None:
    """Take over a released ``part`` (``head``, ``vocoder``, ``letters``); what the release does not know stays new, and
    blocks more than it has begin by changing nothing.

    Raises:
        RuntimeError: it is of another shape, or knows more than the network.
    """
    released = {name[len(part) + 1 :]: t.float() for name, t in load_file(weights).items() if name.startswith(part)}
    missing, unknown = net.load_state_dict(released, strict=False)
    if unknown or not released:
        raise RuntimeError(f"{weights}: {part} does not fit: {unknown or 'nothing of it there'}")
    for name in missing:
        if "blocks." in name and name.endswith(".down.weight"):
            nn.init.zeros_(net.get_parameter(name))


def optimisers(net: nn.Module, rate: float) -> Optimizers:
    """Muon for the blocks' matrices, AdamW for all else that learns."""
    turned: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    learning = ((name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad)
    for name, parameter in learning:
        (turned if "blocks." in name and name.endswith((".up.weight", ".down.weight")) else others).append(parameter)
    groups: Groups = [{"params": others, "weight_decay": DECAY}]
    return Optimizers([*groups, *([{"params": turned, "weight_decay": DECAY, "muon": True}] if turned else [])], rate)


def _tensors(net: nn.Module, optimiser: Optimizers, step: int, average: Average) -> dict[str, Tensor]:
    """Weights, their average, moments and step: all that a resumed run needs, as plain tensors."""
    out = {f"net.{name}": p.detach().clone() for name, p in net.state_dict().items()}
    out |= {f"avg.{name}": t.clone() for name, t in average.weights.items()}
    out["step"] = torch.tensor(step)
    for index, moments in optimiser.state_dict()["state"].items():
        out |= {f"opt.{index}.{name}": t.detach().clone() for name, t in moments.items()}
    return out


def _resume(path: Path, net: nn.Module, optimiser: Optimizers, average: Average) -> int:
    """Raises ``ValueError`` when the checkpoint is of a run without Muon."""
    saved = load_file(path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in saved.items():
        if name.startswith("opt."):
            _, index, moment = name.split(".")
            state.setdefault(int(index), {})[moment] = tensor
    known = optimiser.state_dict()
    turned = [place for group in known["param_groups"] if group.get("muon") for place in group["params"]]
    if state and any("momentum_buffer" not in state.get(place, {}) for place in turned):
        raise ValueError(f"{path}: made with another optimizer; begin anew, --begin-from a release")
    net.load_state_dict({name[4:]: t for name, t in saved.items() if name.startswith("net.")})
    average.weights = {name: saved[f"avg.{name}"] for name in average.weights}
    optimiser.load_state_dict({"state": state, "param_groups": known["param_groups"]})
    return int(saved["step"])


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    """Written aside and renamed: never half there."""
    aside = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, aside)
    aside.replace(path)


def train(net: nn.Module, losses: Callable[[int], Losses], plan: Plan, checkpoint: Path) -> None:
    """Minimise the sum of what ``losses(step)`` gives. Goes on where ``checkpoint`` stands; writes it at the end."""
    optimiser = optimisers(net, plan.rate)
    average = Average(net)
    step = _resume(checkpoint, net, optimiser, average) if checkpoint.exists() else 0
    torch.set_num_threads(1)  # small products: a second thread waits more than it works
    net.train()
    sums: dict[str, float] = {}
    started, begun = time.monotonic(), step
    while step < plan.steps and (elapsed := time.monotonic() - started) < plan.seconds:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(plan, step, elapsed)
        parts = losses(step)
        total = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        average.follow(step)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / plan.log_every
        if step % plan.log_every == 0:
            pace = (time.monotonic() - started) / (step - begun)
            said = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
            print(f"step {step}/{plan.steps} {said} {pace:.2f} s a step", flush=True)
            sums = {}
        if step % plan.save_every == 0:
            _save(checkpoint, _tensors(net, optimiser, step, average))
    if step > begun:
        _save(checkpoint, _tensors(net, optimiser, step, average))
