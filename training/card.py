"""Writes the model card and the curves from what training and evaluation recorded; no figure is typed by hand."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from services.interaction.nano.config import TASKS, NanoConfig
from services.interaction.nano.lexicon import WORDS
from training.card_tables import (
    BEHAVIOUR,
    behaviour_table,
    corpus_table,
    figures_table,
    keep_behaviour,
    spoken_hours,
    stages_table,
    voices_table,
)
from training.checkpoint import find, read_plan
from training.phrases import FREE, HELD_OUT, PHRASES, TRAINING
from training.synth import CORPUS

HISTORY = "training.json"
SKILLS = "skills.png"
HEARING = "hearing alone"
COLOURS = 10  # of the plot; then lines are dashed

def plot(progress: dict[str, Any], folder: Path) -> None:
    """``loss.png`` and ``skills.png``; the latter goes when the run judged nothing held out on its way."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4))
    steps = [row["step"] for row in progress["losses"]]
    for name in progress["losses"][-1]:
        if name != "step":
            axes.semilogy(steps, [row.get(name, float("nan")) for row in progress["losses"]], label=name)
    axes.set(xlabel="step", ylabel="training loss", title="nano, newest run: loss by head")
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(folder / "loss.png", dpi=110, bbox_inches="tight")
    (folder / SKILLS).unlink(missing_ok=True)
    if not any(set(row) - {"step", "seconds", "set"} for row in progress["held_out"]):
        return
    figure, both = pyplot.subplots(1, 2, figsize=(13, 5.5), sharey=True)
    for axes, name in zip(both, ("new voices", "new voices and phrasings"), strict=True):
        rows = [row for row in progress["held_out"] if row["set"] == name]
        known = [k for k in (rows[0] if rows else {}) if k not in ("step", "seconds", "set")]
        for place, skill in enumerate(known):
            shares = [row[skill][0] / max(1, row[skill][1]) for row in rows]
            label, style = f"{skill} (n={rows[-1][skill][1]})", "-" if place < COLOURS else "--"
            axes.plot([row["step"] for row in rows], shares, style, marker=".", label=label)
        axes.set(xlabel="step", title=f"held out: {name} (teacher-forced)", ylim=(0, 1.02))
    both[1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.savefig(folder / SKILLS, dpi=110, bbox_inches="tight")


def write(folder: Path, stages: list[dict[str, Any]], notes: str, corpus: dict[str, dict[str, float]]) -> None:
    """``MODEL_CARD.md`` beside the weights."""
    config = NanoConfig.load(folder / "config.json")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    if config.backbone_version not in evaluation["model"]:
        raise ValueError(f"evaluation.json is of {evaluation['model']}, the weights are {config.backbone_version}")
    sizes = {n: (folder / n).stat().st_size for n in ("backbone.safetensors", "encoder.safetensors")}
    parameters = sum(sizes.values()) / 4e6
    intents, heard = len({p.intent for p in PHRASES if not p.task}), len(config.heard_words) - 1
    written = len((folder / WORDS).read_text().split())
    ordered = sum(bool(p.task) for p in TRAINING)
    open_count = sum(p.delegate for p in TRAINING)
    skills = f"![skills]({SKILLS})" if (folder / SKILLS).exists() else ""
    behaviour = ""
    if (folder / BEHAVIOUR).exists():
        kept = json.loads((folder / BEHAVIOUR).read_text())
        behaviour = f"## Against the cascade and the controls\n{kept['made']}\n\n{behaviour_table(kept['rows'])}\n"
    text = f"""# {config.name} {config.release}+{config.backbone_version}

An interaction model of {parameters:.1f} M parameters: every 200 ms it hears 4 dMel tokens (and sees a picture, reads
typed text), writes down what the user says, and decides floor, words, how they sound, whether to delegate, and what
to keep in mind: one of {len(TASKS) - 1} standing tasks (timers, cues, counting, watching; ADR 14). No voice activity
detector, no turn detector. Encoder `{config.encoder_version}`; the two are trained together and refused apart. float32,
{sum(sizes.values()) / 1e6:.1f} MB.

## Architecture
{len(config.windows)} layers, width {config.d}, {config.heads} query heads, one key-value head of {config.head_width};
attention windows of {", ".join(map(str, config.windows))} ticks; depthwise causal convolution of 4 along the audio
tokens; feed-forward ReLU² of {config.dense_width} in the first {config.moe_from_layer} layers, then a shared expert of
{config.shared_width} beside {config.experts} experts of {config.expert_width} (top {config.top_k}, balanced by bias).
At this size all experts are computed and unchosen ones gated to zero, so the mixture saves no arithmetic here; it was
not compared with a dense model. The lower {config.phones_after or len(config.windows)} layers name the phones that
they hear, and learned that first. The user's words are searched in these phones through a lexicon of {written} words,
with the help of a head that knows {heard} (ADR 18), and told to the layers above. 6 tokens a tick;
{config.context_ticks} ticks rebuild a session exactly. Decisions are the most probable ones; nothing is sampled.

## Training
{stages_table(stages)}

AdamW (from 0.6.0 on Muon for the matrices inside), bfloat16 or float32 products, averaged weights; wall time on a
shared 2-core machine ({platform.machine()}, no GPU), other work running beside it.

{notes}

Data is synthesised by `training/`: {len(TRAINING)} training phrasings ({intents} intents, {open_count} open questions
to delegate, {ordered} standing orders), {len(HELD_OUT)} held-out phrasings; free speech: {len(FREE[False]["stories"])}
sentences of stories, {len(FREE[False]["carriers"])} that hold cue words, {len(FREE[False]["asides"])} that are said
to others, hesitations, and open sentences. The user's words are told to it with faults, 27 % on average. Sessions add
mid-turn pauses at word borders, interruptions, backchannels, coughs, laughter, radios, noise, digital silence,
reverberation, gain, equalisation, resampling, lost packets, stalls, typed text, shapes, moving pictures
([`training/sight`](../../training/sight/__init__.py)), and results to weave in.

{corpus_table(corpus)}

{voices_table()}

A Kokoro `blend` is a speaker mixed, phrase by phrase, from two training voices; its voices of other languages say
English with an American's phones; `own` is the voice of
`models/speech`, a speaker bent anew each take (`training/own.py`), `mix` two of its voices mixed.

![loss](loss.png)
{skills}

## Held-out figures
Closed loop, through the services' own encoder and model classes; the held-out voices were never trained on. Intervals
are 95 % bootstrap. Latency is from the last sample of the user's turn to the *end* of the tick that carries the first
word (a word is due at that tick's end). "Digital silence" sessions have exact zeros around the voice, and stalls.

{figures_table(evaluation)}

{behaviour}
## Limits
- It writes words; the speech stage (`models/speech`) says them, and tells it whether it is heard.
- English, {intents} scripted intents; anything else is delegated, and unclear speech may be taken for an intent.
- Synthetic voices only, in training and evaluation: no claim about people's voices, rooms or microphones.
- The held-out voices were looked at during development and guided the changes told above: they validate, and are no
  untouched test. Flite's held-out voices are served worst: training has only two speakers of that kind.
- Its own transcript knows {written} words, and writes others as one of these. What it has seen was drawn.
- One standing task at a time, of a closed list; a sign of listening comes at the end of a sentence, nowhere else.
- It repeats nothing, counts to twenty, and remembers {config.context_ticks // 5} seconds beyond its registers.
"""
    (folder / "MODEL_CARD.md").write_text(text)


def stage_of(run: Path, release: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's row for the table, and its whole progress, both from its folder."""
    progress = json.loads((run / "progress.json").read_text())
    plan = read_plan(find(run))
    names = ("sessions", "ticks", "rate", "seed")
    stage = {name: plan[name] for name in names} | {
        "release": release,
        "steps": progress["step"],
        "parts": HEARING if plan.get("hearing") else plan.get("parts", ""),
        "seconds": progress["seconds"],
        "sessions_heard": progress["sessions_heard"],
    }
    return stage, progress


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("models/nano"))
    parser.add_argument("--run", type=Path, nargs="*", default=[Path("build/train")], help="the runs, in order, if any")
    parser.add_argument("--finetune", action="store_true", help="it went on from the release before: keep its history")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="what it was trained on, to be told in hours")
    parser.add_argument(
        "--behaviour",
        type=Path,
        nargs="+",
        help="behaviour reports' JSON whose headline rows the card shows: each model's of the first that has it",
    )
    parser.add_argument("--notes", default="", help="sentences about this run, added to those before")
    args = parser.parse_args(argv)
    history = args.folder / HISTORY
    known: dict[str, Any] = {"stages": [], "notes": []}
    if args.finetune:
        known = json.loads(history.read_text())
    release = NanoConfig.load(args.folder / "config.json").release
    names = [release] if len(args.run) == 1 else [f"{release}, run {n}" for n in range(1, len(args.run) + 1)]
    made = [stage_of(run, name) for run, name in zip(args.run, names, strict=True)]
    stages = [old for old in known["stages"] if old["release"].partition(",")[0] != release]
    stages += [stage for stage, _ in made]
    if made:  # the curves are of the longest run that taught everything, if there is one
        _, progress = max(made, key=lambda one: (one[0]["parts"] != HEARING, int(one[0]["steps"])))
        plot(progress, args.folder)
    notes = known["notes"] + ([args.notes] if args.notes and args.notes not in known["notes"] else [])
    corpus = spoken_hours(args.corpus) or known.get("corpus", {})
    history.write_text(json.dumps({"stages": stages, "notes": notes, "corpus": corpus}, indent=1) + "\n")
    if args.behaviour:
        keep_behaviour(args.behaviour, args.folder)
    write(args.folder, stages, "\n\n".join(notes), corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
