"""Trains nano with its encoder from scratch: seeded, resumable, with held-out figures on the way."""

from __future__ import annotations

import argparse
import fcntl
import json
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from services.encoder.model import WEIGHTS as ENCODER_WEIGHTS
from services.interaction.nano.config import NanoConfig
from services.interaction.nano.model import VOICE_TABLE, WEIGHTS
from services.interaction.nano.network import Experts
from training.bank import Bank
from training.data import Batch, Loader, collate, vocabularies
from training.learner import Learner, default_config, skills
from training.oracle import Oracle
from training.scenes import Composer, Recipe
from training.synth import CORPUS

RUN = Path("build/train")
NEW_TABLE = f"backbone.{VOICE_TABLE}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's settings; stored in its checkpoints and in the model card."""

    steps: int = 2400
    sessions: int = 16
    ticks: int = 70
    rate: float = 1e-3
    warmup: int = 100
    floor_rate: float = 0.04  # of ``rate``, at the end
    weight_decay: float = 0.03
    ema: float = 0.997
    balance: float = 1e-3
    seed: int = 3
    first_batch: int = 0
    threads: int = 2
    bf16: bool = True
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
    """One training run in one folder."""

    def __init__(self, plan: Plan, config: NanoConfig, folder: Path, corpus: Path) -> None:
        torch.manual_seed(plan.seed)
        torch.set_num_threads(plan.threads)
        self.plan, self.config, self.folder, self.corpus = plan, config, folder, corpus
        self.learner = Learner(config)
        if plan.parts:
            for name, parameter in self.learner.named_parameters():
                parameter.requires_grad_(name.startswith(tuple(plan.parts.split(","))))
        self.ema = {name: p.detach().clone() for name, p in self.learner.named_parameters()}
        matrices = [p for p in self.learner.parameters() if p.ndim > 1 and p.requires_grad]
        vectors = [p for p in self.learner.parameters() if p.ndim <= 1 and p.requires_grad]
        groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        self.progress = Progress()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last.pt"

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.checkpoint.with_suffix(".tmp")
        state = {
            "plan": asdict(self.plan),
            "config": asdict(self.config),
            "learner": self.learner.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "torch_rng": torch.get_rng_state(),
        }
        torch.save(state, aside)
        aside.replace(self.checkpoint)
        (self.folder / "progress.json").write_text(json.dumps(asdict(self.progress)))

    def resume(self, weights_only: bool = False, path: Path | None = None) -> None:
        """Go on from a checkpoint; with ``weights_only`` begin a new run (a fine-tune) from its averaged weights."""
        state = torch.load(path or self.checkpoint, weights_only=True)
        self.learner.load_state_dict(state["learner"])
        self.ema = state["ema"]
        if weights_only:
            self.learner.load_state_dict(self.ema, strict=False)
            return
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["torch_rng"])

    def start_from(self, folder: Path) -> None:
        """Begin a fine-tune from a released model folder. What these weights do not know yet begins at zero effect."""
        release = {f"encoder.{n}": t for n, t in load_file(folder / ENCODER_WEIGHTS).items()}
        release |= {f"backbone.{n}": t for n, t in load_file(folder / WEIGHTS).items()}
        missing, unexpected = self.learner.load_state_dict(release, strict=False)
        if unexpected or set(missing) - {NEW_TABLE}:
            raise ValueError(f"{folder} is not of this architecture: {sorted(missing)}, {sorted(unexpected)}")
        with torch.no_grad():
            for name in missing:
                self.learner.get_parameter(name).zero_()
        self.ema = {name: p.detach().clone() for name, p in self.learner.named_parameters()}

    def _rate(self, step: int) -> float:
        plan = self.plan
        if step < plan.warmup:
            return plan.rate * (step + 1) / plan.warmup
        done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
        return plan.rate * (1.0 - (1.0 - plan.floor_rate) * done)

    def step(self, batch: Batch) -> dict[str, float]:
        self.learner.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.progress.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            decisions = self.learner(batch, drop=True)
        loss, parts = self.learner.loss(batch, decisions)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        decay = min(self.plan.ema, (1 + self.progress.step) / (10 + self.progress.step))
        names, live = zip(*((n, p.detach()) for n, p in self.learner.named_parameters()), strict=True)
        torch._foreach_lerp_([self.ema[n] for n in names], list(live), 1 - decay)
        for module in self.learner.modules():
            if isinstance(module, Experts) and not self.plan.parts:
                module.rebalance(self.plan.balance)
        self.progress.step += 1
        self.progress.sessions_heard += len(batch.codes)
        return {"loss": float(loss.detach()), **parts}

    @torch.no_grad()
    def evaluate(self, batches: list[Batch]) -> dict[str, tuple[int, int]]:
        """Teacher-forced figures of the averaged weights."""
        live = {n: p.detach().clone() for n, p in self.learner.named_parameters()}
        self.learner.load_state_dict(self.ema, strict=False)
        self.learner.eval()
        totals: dict[str, tuple[int, int]] = {}
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
                decisions = self.learner(batch)
            for name, (hit, case) in skills(batch, decisions).items():
                old = totals.get(name, (0, 0))
                totals[name] = (old[0] + hit, old[1] + case)
        self.learner.load_state_dict(live, strict=False)
        return totals


def held_out_batches(corpus: Path, sessions: int, ticks: int, new_texts: bool) -> list[Batch]:
    """Sessions of held-out voices; empty when none has been synthesised."""
    try:
        bank = Bank(held_out=True, folder=corpus, held_out_texts=new_texts)
    except FileNotFoundError:
        return []
    composer = Composer(bank, Recipe(), ticks)
    said, heard = vocabularies()
    said_ids, heard_ids = ({w: n for n, w in enumerate(v)} for v in (said, heard))
    rng = random.Random(f"held out/{new_texts}")
    batches = []
    for _ in range(0, sessions, 16):
        scripts = [composer.compose(rng) for _ in range(min(16, sessions))]
        batches.append(collate(scripts, [Oracle(s, said_ids, heard_ids).run() for s in scripts], rng))
    return batches


def train(run: Run, until_seconds: float | None = None) -> None:
    """To the plan's last step, until the clock says so, or until SIGTERM; always leaves a checkpoint.

    Raises ``BlockingIOError`` when another process trains in this folder.
    """
    plan, progress = run.plan, run.progress
    run.folder.mkdir(parents=True, exist_ok=True)
    lock = (run.folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    arguments = (run.corpus, Recipe(), plan.sessions, plan.ticks, plan.seed)
    loader = Loader(plan.first_batch + progress.step, *arguments)
    held_out: dict[str, list[Batch]] = {}
    started, spent = time.monotonic(), progress.seconds
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    recent: list[dict[str, float]] = []
    try:
        while progress.step < plan.steps:
            recent.append(run.step(loader.next()))
            progress.seconds = spent + time.monotonic() - started
            if progress.step % 20 == 0 or progress.step == plan.steps:
                mean = {k: round(sum(r[k] for r in recent) / len(recent), 4) for k in recent[0]}
                progress.losses.append({"step": progress.step, **mean})
                print(f"step {progress.step}/{plan.steps} {progress.seconds:.0f} s {mean}", flush=True)
                recent = []
            if progress.step % plan.eval_every == 0 or progress.step == plan.steps:
                for name, new in (("new voices", False), ("new voices and phrasings", True)):
                    held_out[name] = held_out.get(name) or held_out_batches(run.corpus, 48, plan.ticks, new)
                    figures = run.evaluate(held_out[name])
                    row = {"step": progress.step, "seconds": progress.seconds, "set": name}
                    progress.held_out.append(row | figures)
                    shares = {k: round(hit / case, 3) for k, (hit, case) in figures.items() if case}
                    print(f"  held out, {name}: {shares}", flush=True)
            if progress.step % plan.save_every == 0 or progress.step == plan.steps:
                run.save()
            if stopping or (until_seconds is not None and time.monotonic() - started > until_seconds):
                print(f"stopped at step {progress.step}; --resume goes on", flush=True)
                break
    finally:
        loader.close()
    run.save()
    lock.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUN)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    parser.add_argument("--finetune", type=Path, help="begin from another run's averaged weights, or a model folder")
    parser.add_argument("--seconds", type=float, help="stop (resumably) after so long")
    for name, kind in (("steps", int), ("rate", float), ("threads", int), ("seed", int), ("warmup", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Plan(), name))
    parser.add_argument("--parts", default="", help="learn only parameters whose names begin so, e.g. backbone.heads.0")
    parser.add_argument("--tiny", action="store_true", help="a model that trains in a minute, to prove the road")
    args = parser.parse_args(argv)
    if args.tiny:
        from training.tiny import tiny_run

        return tiny_run(args.folder)
    chosen = {name: getattr(args, name) for name in ("steps", "rate", "threads", "seed", "warmup", "parts")}
    plan = Plan(**chosen)
    run = Run(plan, default_config(), args.folder, args.corpus)
    if args.finetune:
        if args.finetune.is_dir():
            run.start_from(args.finetune)
        else:
            run.resume(weights_only=True, path=args.finetune)
    elif args.resume:
        run.resume()
    train(run, args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
