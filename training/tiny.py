"""The whole road in a minute, for CI: synthesise a little, train a tiny model, export it, load it, step it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from training.bank import Bank
from training.closed_loop import play
from training.export import export
from training.run import Plan, Run
from training.scenes import Composer
from training.script import Recipe
from training.sizes import config_of
from training.synth import build
from training.train import train
from training.voices import load

ENGINES = ("flite:slt", "flite:rms", "espeak:en-us+m1:150:40")
PLAN = Plan(steps=8, sessions=4, ticks=40, warmup=2, threads=1, eval_every=8, save_every=8)


def tiny_run(folder: Path) -> int:
    """Everything that a real run does, under ``folder``; raises when a part does not fit the next."""

    corpus = folder / "corpus"
    build([v for v in load() if v.name in ENGINES], corpus, limit=40, workers=2)
    hearing = Run(replace(PLAN, hearing=True), config_of("tiny"), folder / "hear", corpus)
    train(hearing)
    run = Run(PLAN, config_of("tiny"), folder, corpus)
    run.resume(weights_only=True, path=hearing.checkpoint)
    train(run)
    config = export(run.checkpoint, folder / "model")
    encoder, model = FrameEncoder.load(folder / "model"), NanoModel.load(folder / "model")
    composer = Composer(Bank(held_out=True, folder=corpus), Recipe(), PLAN.ticks)
    played = play([composer.compose(random.Random(0))], encoder, model)
    print(f"{config.name}+{config.backbone_version}: {len(played[0].outputs)} ticks played", flush=True)
    return 0
