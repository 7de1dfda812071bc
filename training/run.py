"""One training run in one folder: its plan, its state, a step, and teacher-forced figures."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from services.encoder.model import WEIGHTS as ENCODER_WEIGHTS
from services.interaction.nano.config import NanoConfig
from services.interaction.nano.layers import Experts
from services.interaction.nano.model import CONFIG, WEIGHTS
from training.checkpoint import LAST, Checkpoint, read
from training.data import Batch
from training.distributed import World
from training.graft import grafted
from training.hints import PREFIX
from training.learner import LOSSES, Learner, skills
from training.optimizers import Groups, Optimizers, orthogonal
from training.tensors import Tensors, tensors

PHONES_LOSS = list(LOSSES).index("phones")


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's settings; stored in its checkpoints and in the model card."""

    steps: int = 2400
    sessions: int = 12  # of each process
    ticks: int = 90
    rate: float = 1e-3
    warmup: int = 100
    floor_rate: float = 0.04  # of ``rate``, at the end
    weight_decay: float = 0.03
    ema: float = 0.997
    balance: float = 1e-3
    seed: int = 3
    first_batch: int = 0
    seconds: float = math.inf  # the run ends then at the latest, and the rate falls in time for it
    threads: int = 2
    uses: int = 1  # times that each batch is heard
    loaders: int = 1  # processes that draw batches; each holds the corpus
    bf16: bool = True
    vary: bool = True  # codes and what is fed back, as other voices and mistakes would have them
    listening: float = 0.27  # share of the sessions that are for hearing alone
    hearing: bool = False  # only the layers that hear learn, and only to name phones
    ears: float = 1.0  # share of the rate at which the layers that hear learn
    muon: bool = True  # matrices inside the network are moved by Muon
    compiled: bool = False
    parts: str = ""  # only parameters whose names begin so (separated by commas) learn; "" is all
    eval_every: int = 200
    save_every: int = 100


@dataclass(slots=True)
class Progress:
    """What a checkpoint says besides weights."""

    step: int = 0
    seconds: float = 0.0
    sessions_heard: int = 0
    losses: list[dict[str, float]] = field(default_factory=list)
    held_out: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """All ranks hold the same weights, moments and averages, and take the same steps; each hears its own batches."""

    def __init__(self, plan: Plan, config: NanoConfig, folder: Path, corpus: Path, world: World | None = None) -> None:
        self.world = world or World(torch.device("cpu"))
        torch.manual_seed(plan.seed)
        torch.set_num_threads(plan.threads)
        self.plan, self.config, self.folder, self.corpus = plan, config, folder, corpus
        self.learner = Learner(config).to(self.world.device)
        if plan.compiled:
            for layer in self.learner.backbone.layers:
                layer.compile()
        if plan.parts:
            for name, parameter in self.learner.named_parameters():
                parameter.requires_grad_(name.startswith(tuple(plan.parts.split(","))))
        self.ema = {name: p.detach().clone() for name, p in self.learner.named_parameters()}
        self.optimizer = Optimizers(self._groups(), plan.rate)
        self.progress = Progress()
        self.world.seed(plan.seed)

    def _groups(self) -> Groups:
        """What learns: matrices, vectors, the hints' heads, the ears' matrices; and matrices that Muon moves."""
        plan = self.plan
        always = ("matrices", "vectors", "hints")  # checkpoints of before have them in these places
        members: dict[str, list[nn.Parameter]] = {name: [] for name in (*always, "ears", "muon", "muon ears")}
        for name, p in self.learner.named_parameters():
            if not p.requires_grad:
                continue
            slow = plan.ears != 1.0 and p.ndim > 1 and self.learner.hears(name)
            if name.startswith(PREFIX):
                members["hints"].append(p)
            elif plan.muon and orthogonal(name, p):
                members["muon ears" if slow else "muon"].append(p)
            else:
                members["ears" if slow else "matrices" if p.ndim > 1 else "vectors"].append(p)
        return [
            {
                "params": parameters,
                "weight_decay": 0.0 if name == "vectors" else plan.weight_decay,
                **({"share": plan.ears} if "ears" in name else {}),
                **({"muon": True} if "muon" in name else {}),
            }
            for name, parameters in members.items()
            if parameters or name in always
        ]

    @property
    def checkpoint(self) -> Path:
        return self.folder / LAST

    def save(self) -> None:
        """The leading rank writes; all take part."""
        random = self.world.gather(self.world.random_state())
        if not self.world.leads:
            return
        Checkpoint(
            plan=asdict(self.plan),
            config=asdict(self.config),
            progress=asdict(self.progress),
            learner=self.learner.state_dict(),
            ema=self.ema,
            optimizer=self.optimizer.state_dict(),
            random=random,
        ).save(self.checkpoint)
        (self.folder / "progress.json").write_text(json.dumps(asdict(self.progress)))

    def resume(self, weights_only: bool = False, path: Path | None = None) -> None:
        """Go on from a checkpoint; with ``weights_only`` begin a new run (a fine-tune) from its averaged weights.

        Raises ``ValueError`` when the run that is to go on had another optimizer.
        """
        saved = read(path or self.checkpoint)
        self.learner.restore(saved.learner)
        self.ema |= {name: t.to(self.world.device) for name, t in saved.ema.items()}
        if weights_only:
            self.learner.load_state_dict(self.ema, strict=False)
            return
        if saved.plan.get("muon", False) != self.plan.muon:
            asked = "--no-muon" if self.plan.muon else "--muon"
            raise ValueError(f"this run's checkpoint was made with another optimizer: --resume needs {asked}")
        groups = saved.optimizer["param_groups"]
        groups += self.optimizer.state_dict()["param_groups"][len(groups) :]  # checkpoints of before have no hints
        self.optimizer.load_state_dict(saved.optimizer)
        self.progress = Progress(**saved.progress)
        if self.world.size == len(saved.random):
            self.world.set_random_state(saved.random[self.world.rank])
        else:  # another number of processes than before: draws begin anew
            torch.manual_seed(self.plan.seed + self.progress.step)
            self.world.seed(self.plan.seed + self.progress.step)

    def start_from(self, folder: Path) -> None:
        """Begin a fine-tune from a released model folder, of this width and these layers: see ``training.graft``."""
        release = {f"encoder.{n}": t for n, t in load_file(folder / ENCODER_WEIGHTS).items()}
        release |= {f"backbone.{n}": t for n, t in load_file(folder / WEIGHTS).items()}
        fresh = {name: t.cpu() for name, t in self.learner.state_dict().items()}
        raw = json.loads((folder / CONFIG).read_text())
        vocabularies = {name: (tuple(raw[name]), getattr(self.config, name)) for name in ("text_words", "heard_words")}
        self.learner.load_state_dict(grafted(release, fresh, vocabularies))
        self.ema = {name: p.detach().clone() for name, p in self.learner.named_parameters()}

    def _rate(self, step: int) -> float:
        plan = self.plan
        if step < plan.warmup:
            return plan.rate * (step + 1) / plan.warmup
        done = max((step - plan.warmup) / max(1, plan.steps - plan.warmup), self.progress.seconds / plan.seconds)
        return plan.rate * (1.0 - (1.0 - plan.floor_rate) * min(done, 1.0))

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Learn from one batch a rank; this rank's losses come back on the device, which may still be at work."""
        self.learner.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.progress.step) * group.get("share", 1.0)
        moved = tensors(batch, self.world.device)
        means = self._means(moved)
        loss = torch.zeros((), device=self.world.device)
        for name, mean in means.items():
            loss = loss + LOSSES[name] * mean
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.world.average_gradients(self.learner.parameters())
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self._follow()
        self.progress.step += 1
        self.progress.sessions_heard += len(batch.codes) * self.world.size
        return {"loss": loss.detach(), **{name: mean.detach() for name, mean in means.items()}}

    def _means(self, batch: Tensors) -> dict[str, Tensor]:
        """Losses by name, each times this rank's share."""
        shares = self.world.shares(self.learner.cases(batch))
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.plan.bf16):
            if self.plan.hearing:
                phones = self.learner.hear(batch, drop=self.plan.vary)
            else:
                outputs = self.learner(batch, drop=self.plan.vary)
        if self.plan.hearing:
            return {"phones": shares[PHONES_LOSS] * self.learner.phone_loss(batch, phones)}
        return self.learner.means(batch, outputs, shares)

    def _follow(self) -> None:
        """Averaged weights and the experts' balance, after a step."""
        decay = min(self.plan.ema, (1 + self.progress.step) / (10 + self.progress.step))
        names, live = zip(*((n, p.detach()) for n, p in self.learner.named_parameters()), strict=True)
        torch._foreach_lerp_([self.ema[n] for n in names], list(live), 1 - decay)
        for module in self.learner.modules():
            if isinstance(module, Experts) and not self.plan.parts:
                self.world.average([module.load])
                module.rebalance(self.plan.balance)

    @torch.no_grad()
    def evaluate(self, batches: list[Batch]) -> dict[str, tuple[int, int]]:
        """Teacher-forced figures of the averaged weights."""
        live = {n: p.detach().clone() for n, p in self.learner.named_parameters()}
        self.learner.load_state_dict(self.ema, strict=False)
        self.learner.eval()
        totals: dict[str, tuple[int, int]] = {}
        for batch in batches:
            moved = tensors(batch, self.world.device)
            with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.plan.bf16):
                outputs = self.learner(moved)
            for name, (hit, case) in skills(moved, outputs).items():
                old = totals.get(name, (0, 0))
                totals[name] = (old[0] + hit, old[1] + case)
        self.learner.load_state_dict(live, strict=False)
        return totals
