"""Writes the model card and the curves from what training and evaluation recorded; no figure is typed by hand."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from services.interaction.nano.config import NanoConfig
from training.phrases import HELD_OUT, PHRASES, TRAINING
from training.voices import load

HISTORY = "training.json"
LICENCES = (
    ("Kokoro-82M (int8)", "Apache-2.0", "human-like voices with exact word ends"),
    ("flite 2.2", "BSD-like (CMU)", "diphone and statistical voices with exact segment ends"),
    ("espeak-ng", "GPL-3 (the program; used as a tool)", "many accents and timbres, for robustness"),
)


def plot(progress: dict[str, Any], folder: Path) -> None:
    """``loss.png`` and ``skills.png``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4))
    steps = [row["step"] for row in progress["losses"]]
    for name in ("loss", "floor", "user", "text", "heard", "event"):
        axes.semilogy(steps, [row[name] for row in progress["losses"]], label=name)
    axes.set(xlabel="step", ylabel="training loss", title="nano: loss by head")
    axes.legend()
    figure.savefig(folder / "loss.png", dpi=110, bbox_inches="tight")
    figure, both = pyplot.subplots(1, 2, figsize=(12, 4.5), sharey=True)
    for axes, name in zip(both, ("new voices", "new voices and phrasings"), strict=True):
        rows = [row for row in progress["held_out"] if row["set"] == name]
        for skill in (k for k in (rows[0] if rows else {}) if k not in ("step", "seconds", "set")):
            shares = [row[skill][0] / max(1, row[skill][1]) for row in rows]
            axes.plot([row["step"] for row in rows], shares, marker=".", label=f"{skill} (n={rows[-1][skill][1]})")
        axes.set(xlabel="step", title=f"held out: {name} (teacher-forced)", ylim=(0, 1.02))
    both[1].legend(fontsize=7, loc="lower right")
    figure.savefig(folder / "skills.png", dpi=110, bbox_inches="tight")


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    if "rate" in row:
        return f"{100 * row['rate']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}], n = {row['n']}"
    if "p50_ms" in row:
        return f"p50 {row['p50_ms']} ms, p90 {row['p90_ms']} ms, n = {row['n']}"
    if "word_error_rate" in row:
        return f"{100 * row['word_error_rate']:.1f} % word errors, n = {row['n_words']} words"
    if "per_minute" in row:
        return f"{row['per_minute']} a minute in {row['minutes']} minutes"
    return f"too few cases (n = {row['n']})"


def figures_table(evaluation: dict[str, Any]) -> str:
    """One row a skill, one column a set."""
    sets = evaluation["sets"]
    names = sorted({name for part in sets.values() for name in part["figures"]})
    lines = ["| skill | " + " | ".join(sets) + " |", "|---|" + "---|" * len(sets)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(_cell(part["figures"].get(name)) for part in sets.values()) + " |")
    return "\n".join(lines)


def voices_table() -> str:
    voices = load()
    rows = ["| engine | licence | training voices | held-out voices |", "|---|---|---|---|"]
    for (engine, licence, _), key in zip(LICENCES, ("kokoro", "flite", "espeak"), strict=True):
        halves = [[v.voice for v in voices if v.engine == key and v.held_out == held] for held in (False, True)]
        rows.append(f"| {engine} | {licence} | {', '.join(halves[0])} | {', '.join(halves[1])} |")
    return "\n".join(rows)


def write(folder: Path, stages: list[dict[str, Any]], notes: str) -> None:
    """``MODEL_CARD.md`` beside the weights."""
    config = NanoConfig.load(folder / "config.json")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    if config.backbone_version not in evaluation["model"]:
        raise ValueError(f"evaluation.json is of {evaluation['model']}, the weights are {config.backbone_version}")
    sizes = {n: (folder / n).stat().st_size for n in ("backbone.safetensors", "encoder.safetensors")}
    parameters = sum(sizes.values()) / 4e6
    intents, heard = len({p.intent for p in PHRASES}), len(config.heard_words) - 1
    open_count = sum(p.delegate for p in TRAINING)
    text = f"""# {config.name} {config.release}+{config.backbone_version}

An interaction model of {parameters:.1f} M parameters: every 200 ms it hears 4 dMel tokens (and sees a picture, reads
typed text) and decides floor, words, the user's words, and whether to delegate. No voice activity detector, no turn
detector. Encoder `{config.encoder_version}`; the two are trained together and refused apart. float32,
{sum(sizes.values()) / 1e6:.1f} MB.

## Architecture
{len(config.windows)} layers, width {config.d}, {config.heads} query heads, one key-value head of {config.head_width};
attention windows of {", ".join(map(str, config.windows))} ticks; depthwise causal convolution of 4 along the audio
tokens; feed-forward ReLU² of {config.dense_width} in the first {config.moe_from_layer} layers, then a shared expert of
{config.shared_width} beside {config.experts} experts of {config.expert_width} (top {config.top_k}, balanced by bias).
At this size all experts are computed and unchosen ones gated to zero, so the mixture saves no arithmetic here; it was
not compared with a dense model. 6 tokens a tick; {config.context_ticks} ticks rebuild a session exactly. Decisions are
the most probable ones; nothing is sampled.

## Training
{stages_table(stages)}

Sessions of 70 ticks, AdamW, bfloat16 products, averaged weights; wall time on a shared 2-core machine
({platform.machine()}, no GPU), other work running beside it.

{notes}

Data is synthesised by `training/`: {len(TRAINING)} training phrasings of {intents} intents ({open_count} of them open
questions to delegate), {len(HELD_OUT)} held-out phrasings. Sessions add mid-turn pauses at word borders, interruptions,
backchannels, noise, digital silence, babble, reverberation, gain, equalisation, resampling, lost packets, stalls,
typed text, coloured shapes, and results to weave in.

{voices_table()}

A Kokoro `blend` is a speaker mixed, phrase by phrase, from two training voices.

![loss](loss.png)
![skills](skills.png)

## Held-out figures
Closed loop, through the services' own encoder and model classes; the held-out voices were never trained on. Intervals
are 95 % bootstrap. Latency is from the last sample of the user's turn to the *end* of the tick that carries the first
word (a word is due at that tick's end). "Digital silence" sessions have exact zeros around the voice, and stalls.

{figures_table(evaluation)}

## Limits
- It writes words; the speech stage (`models/speech`) says them, and tells it whether it is heard.
- English, {intents} scripted intents; anything else is delegated, and unclear speech may be taken for an intent.
- Synthetic voices only, in training and evaluation: no claim about people's voices, rooms or microphones.
- The held-out voices were looked at during development and guided the changes told above: they validate, and are no
  untouched test. Flite's held-out voices are served worst: training has only two speakers of that kind.
- Its own transcript knows {heard} words. Colours are those of drawn shapes.
- It gives no backchannels: the class exists, training never uses it.
- It repeats nothing, counts to ten, and remembers {config.context_ticks // 5} seconds.
"""
    (folder / "MODEL_CARD.md").write_text(text)


def stages_table(stages: list[dict[str, Any]]) -> str:
    """One row a run: the first from scratch, each other from the weights before it."""
    rows = ["| stage | steps x sessions | hours heard | rate | what learns | minutes |", "|---|---|---|---|---|---|"]
    for stage in stages:
        hours = stage["sessions_heard"] * stage["ticks"] / 18_000
        rows.append(
            f"| {stage['release']}, seed {stage['seed']} | {stage['steps']} x {stage['sessions']} | {hours:.0f} "
            f"| {stage['rate']} | {stage['parts'] or 'everything'} | {stage['seconds'] / 60:.0f} |"
        )
    return "\n".join(rows)


def stage_of(run: Path, release: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's row for the table, and its whole progress, both from its folder."""
    import torch

    progress = json.loads((run / "progress.json").read_text())
    plan = torch.load(run / "last.pt", weights_only=True, mmap=True)["plan"]
    names = ("sessions", "ticks", "rate", "seed")
    stage = {name: plan[name] for name in names} | {
        "release": release,
        "steps": progress["step"],
        "parts": plan.get("parts", ""),
        "seconds": progress["seconds"],
        "sessions_heard": progress["sessions_heard"],
    }
    return stage, progress


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("models/nano"))
    parser.add_argument("--run", type=Path, default=Path("build/train"), help="the run that made these weights")
    parser.add_argument("--finetune", action="store_true", help="it went on from the release before: keep its history")
    parser.add_argument("--notes", default="", help="sentences about this run, added to those before")
    args = parser.parse_args(argv)
    history = args.folder / HISTORY
    known: dict[str, Any] = {"stages": [], "notes": []}
    if args.finetune:
        known = json.loads(history.read_text())
    release = NanoConfig.load(args.folder / "config.json").release
    stage, progress = stage_of(args.run, release)
    stages = [old for old in known["stages"] if old["release"] != release] + [stage]
    notes = known["notes"] + ([args.notes] if args.notes and args.notes not in known["notes"] else [])
    history.write_text(json.dumps({"stages": stages, "notes": notes}, indent=1) + "\n")
    if not args.finetune:
        plot(progress, args.folder)
    write(args.folder, stages, "\n\n".join(notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
