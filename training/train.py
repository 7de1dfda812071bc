"""Trains nano with its encoder: seeded, resumable, on a CPU, a GPU, or several under torchrun."""

from __future__ import annotations

import argparse
import fcntl
import math
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from training.bank import Bank
from training.checkpoint import find, read_plan
from training.data import Batch, Loader, collate, vocabularies
from training.distributed import World
from training.oracle import Oracle
from training.processor import multiplies_bfloat16
from training.run import Plan, Run
from training.scenes import Composer
from training.script import Recipe
from training.sizes import SIZES, config_of
from training.synth import CORPUS

RUN = Path("build/train")
LOG_EVERY = 20
GPU_LOADERS = 6


def held_out_batches(
    corpus: Path, sessions: int, ticks: int, new_texts: bool, listening: float = 0.0
) -> list[Batch]:
    """Sessions of held-out voices; empty when none has been synthesised."""
    try:
        bank = Bank(held_out=True, folder=corpus, held_out_texts=new_texts)
    except FileNotFoundError:
        return []
    composer = Composer(bank, Recipe(listening=listening), ticks)
    said, heard = vocabularies()
    said_ids, heard_ids = ({w: n for n, w in enumerate(v)} for v in (said, heard))
    rng = random.Random(f"held out/{new_texts}")
    batches = []
    for _ in range(0, sessions, 16):
        scripts = [composer.compose(rng) for _ in range(min(16, sessions))]
        batches.append(collate(scripts, [Oracle(s, said_ids, heard_ids).run() for s in scripts], rng))
    return batches


class Journal:
    """What the leading rank tells on the way: losses, and held-out figures."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._recent: list[dict[str, Tensor]] = []
        self._held_out: dict[str, list[Batch]] = {}

    def note(self, losses: dict[str, Tensor]) -> None:
        """After each step; waits for the device only where it tells something."""
        plan, progress = self._run.plan, self._run.progress
        self._recent.append(losses)
        last = progress.step == plan.steps
        if progress.step % LOG_EVERY == 0 or last:
            mean = {name: round(self._mean(name), 4) for name in sorted({n for row in self._recent for n in row})}
            progress.losses.append({"step": progress.step, **mean})
            print(f"step {progress.step}/{plan.steps} {progress.seconds:.0f} s {mean}", flush=True)
            self._recent = []
        if progress.step % plan.eval_every == 0 or last:
            for name, new in (("new voices", False), ("new voices and phrasings", True)):
                self._judge(name, new)

    def _mean(self, name: str) -> float:
        """Over the steps that had a case."""
        values = [float(row[name]) for row in self._recent if name in row]
        return sum(values) / len(values)

    def _judge(self, name: str, new_texts: bool) -> None:
        run = self._run
        if name not in self._held_out:
            self._held_out[name] = held_out_batches(
                run.corpus, 48, run.plan.ticks, new_texts, float(run.plan.hearing)
            )
        figures = run.evaluate(self._held_out[name])
        row = {"step": run.progress.step, "seconds": run.progress.seconds, "set": name}
        run.progress.held_out.append(row | figures)
        shares = {k: round(hit / case, 3) for k, (hit, case) in figures.items() if case}
        print(f"  held out, {name}: {shares}", flush=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Raises ``BlockingIOError`` when another process trains in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def train(run: Run, until_seconds: float = math.inf) -> None:
    """To the plan's last step, until the clock says so, or until SIGTERM; always leaves a checkpoint.

    Raises ``BlockingIOError`` when another process trains in this folder.
    """
    if run.world.leads:
        with locked(run.folder):
            _train(run, until_seconds)
    else:
        _train(run, until_seconds)


def _train(run: Run, until_seconds: float) -> None:
    plan, progress, world = run.plan, run.progress, run.world
    first = plan.first_batch + progress.step
    recipe = Recipe(listening=1.0, video=0.0, shown=0.0) if plan.hearing else Recipe(listening=plan.listening)
    arguments = (run.corpus, recipe, plan.sessions, plan.ticks, plan.seed)
    loader = Loader(
        first, *arguments, place=world.rank, stride=world.size, processes=plan.loaders, uses=plan.uses
    )
    journal = Journal(run)
    started, spent = time.monotonic(), progress.seconds
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    try:
        stop = False
        while progress.step < plan.steps and progress.seconds < plan.seconds and not stop:
            losses = run.step(loader.next())
            elapsed, asked = world.most(time.monotonic() - started, len(stopping))
            progress.seconds = spent + elapsed
            stop = bool(asked) or elapsed > until_seconds
            if world.leads:
                journal.note(losses)
            if progress.step % plan.save_every == 0:
                run.save()
        if stop and world.leads:
            print(f"stopped at step {progress.step}; --resume goes on", flush=True)
    finally:
        loader.close()
    run.save()


_OPTIONS = {
    "steps": int,
    "sessions": int,
    "ticks": int,
    "rate": float,
    "threads": int,
    "seed": int,
    "warmup": int,
    "uses": int,
    "ears": float,
    "listening": float,
    "eval_every": int,
    "save_every": int,
}


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUN)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--size", choices=SIZES, default="nano")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last checkpoint")
    parser.add_argument("--finetune", type=Path, help="begin from another run's averaged weights, or a model folder")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop (resumably) after so long")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of the whole run, however far it is then")
    for name, kind in _OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Plan(), name))
    parser.add_argument("--hearing", action="store_true", help="learn only to name phones, in the layers that hear")
    switch = argparse.BooleanOptionalAction
    muon = "Muon moves the matrices inside the network (default: yes, and with --resume as the run began)"
    parser.add_argument("--muon", action=switch, help=muon)
    parser.add_argument("--parts", default="", help="learn only parameters whose names begin so, e.g. backbone.heads.0")
    parser.add_argument("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--compile", action=switch, help="torch.compile the layers (default: on CUDA)")
    parser.add_argument("--loaders", type=int, help=f"processes that draw batches (default: 1, {GPU_LOADERS} on CUDA)")
    parser.add_argument("--tiny", action="store_true", help="a model that trains in a minute, to prove the road")
    args = parser.parse_args(argv)
    if not 0 <= args.listening <= 1:
        parser.error(f"--listening {args.listening:g}: a share lies between 0 and 1")
    if args.uses < 1:
        parser.error("--uses: a batch is heard at least once")
    return args


def _muon(args: argparse.Namespace) -> bool:
    """As asked for; else as the run that is resumed has it (none had it before 0.6), and yes for a new one."""
    if args.muon is not None:
        return bool(args.muon)
    return bool(read_plan(find(args.folder)).get("muon", False)) if args.resume else True


def main(argv: list[str] | None = None) -> int:
    args = arguments_of(argv)
    if args.tiny:
        from training.tiny import tiny_run

        return tiny_run(args.folder)
    world = World.join(args.device)
    cuda = world.device.type == "cuda"
    plan = Plan(
        **{name: getattr(args, name) for name in (*_OPTIONS, "parts", "hearing")},
        muon=_muon(args),
        seconds=60 * args.minutes,
        bf16=cuda or multiplies_bfloat16(),
        loaders=args.loaders or (GPU_LOADERS if cuda else 1),
        compiled=cuda if args.compile is None else args.compile,
    )
    run = Run(plan, config_of(args.size), args.folder, args.corpus, world)
    if args.finetune and args.finetune.is_dir():
        run.start_from(args.finetune)
    elif args.finetune:
        run.resume(weights_only=True, path=args.finetune)
    elif args.resume:
        run.resume(path=find(args.folder))
    train(run, args.seconds)
    world.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
