"""Takes without sound for the head to learn, ten times as many as could be spoken in the time.

The head learns mels, details, durations and F0. The teacher tells durations and F0 before it makes any sound, and the
networks of ``mels`` and ``details`` read the rest off its states. The vocoder goes on learning from sound (``synth``).

Shard ``n`` holds sentences ``n * 256 …`` of one fixed list in which voices take turns: any number of shards is
balanced. Those in manners are shards of their own.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from services.interaction.speech.config import DETAILS_PLACE, F0_PLACE, FEATURES, MELS, RATE_HZ, VOICED_PLACE
from services.interaction.speech.vocoder import MEL_SCALE, SILENCE
from training.speech import details, manner_texts, manners, mels, teacher, texts
from training.speech.data import Example, manners_of, pitch, trimmed
from training.speech.details import DetailNet
from training.speech.mels import MelNet, amplitudes, loudness
from training.speech.pairs import inputs
from training.speech.states import Sketch, in_manner, sketch
from training.speech.synth import share

SHARD = 256
ASSISTANT = 4000  # sentences with numbers and names
LOUDNESS = 2.911
"""``loudness`` of a take at the level that training brings takes to: mean of 832 (35 minutes), deviation 0.017."""
_SOUNDS = 0.003  # of the loudest frame's amplitude: as ``data.features``
Floats = npt.NDArray[np.float32]
Draw = Callable[[], Sketch]


def plan(seed: int = 0) -> list[tuple[str, str]]:
    """``(text, voice)``: all open sentences, each in one voice, and among them, in every voice, what nano says of
    itself."""
    rng = random.Random(seed)
    opened = [t for t in texts.wordnet_examples() + texts.assistant_texts(ASSISTANT, seed) if not texts.held_out(t)]
    rng.shuffle(opened)
    known = [text for text in opened if teacher.knows(text)]
    spoken = [(text, teacher.VOICES[i % len(teacher.VOICES)]) for i, text in enumerate(known)]
    skills = [(text, voice) for voice in teacher.VOICES for text in texts.skill_texts()]
    rng.shuffle(skills)
    every = max(1, len(spoken) // len(skills))
    for place, skill in enumerate(skills):
        spoken.insert(min(place * (every + 1), len(spoken)), skill)
    return spoken


@lru_cache(maxsize=1)
def _centres() -> npt.NDArray[np.float64]:
    """Hz of each mel band."""
    mels = np.linspace(0.0, 2595.0 * np.log10(1.0 + RATE_HZ / 2 / 700.0), MELS + 2)[1:-1]
    centres: npt.NDArray[np.float64] = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return centres


class Readers(NamedTuple):
    """What is read off the teacher's states."""

    mels: MelNet
    details: DetailNet


@torch.inference_mode()
def features(take: Sketch, nets: Readers, first: int, last: int) -> Floats:
    """``[last - first, FEATURES]`` of a sketch as ``data.features`` has them of a take with sound: at the same level,
    but for what the manner adds; and its details."""
    given = inputs(take)[first:last]
    heard: Floats = nets.mels(torch.from_numpy(given)[None])[0].numpy()
    heard = heard + (np.log(manners.shelf(_centres(), take.bright_db)) / MEL_SCALE).astype(np.float32)
    above = LOUDNESS + take.level_db / 20 * np.log(10.0) - loudness(heard)
    heard = np.maximum(heard + np.float32(above / MEL_SCALE), SILENCE)
    loud = amplitudes(heard)
    log, voiced = pitch(take.f0[first:last], np.asarray(loud > _SOUNDS * loud.max()))
    out = np.zeros((last - first, FEATURES), dtype=np.float32)
    out[:, :MELS], out[:, F0_PLACE], out[:, VOICED_PLACE] = heard, np.append(log[1:], log[-1:]), voiced
    out[:, DETAILS_PLACE:] = details.details(nets.details, given)
    return out


def example(take: Sketch, nets: Readers) -> Example:
    """To learn from as from a take with sound, which it has none of."""
    kept, first, last = trimmed(take.durations.astype(np.int64))
    return Example(
        take.text,
        take.voice,
        take.symbols,
        kept,
        np.empty(0, dtype=np.float32),
        features(take, nets, first, last),
        manners_of(take.symbols, take.manners),
        np.empty(0),
    )


def save_shard(path: Path, examples: list[Example]) -> float:
    """Written aside and renamed; returns seconds of speech."""
    meta = [{"text": e.text, "voice": e.voice, "symbols": e.symbols, "frames": len(e.features)} for e in examples]
    aside = path.with_suffix(".tmp.npz")
    np.savez(
        aside,
        features=np.concatenate([e.features for e in examples]).astype(np.float16),
        durations=np.concatenate([e.durations for e in examples]).astype(np.int16),
        manners=np.concatenate([e.manners for e in examples]).astype(np.int8),
        meta=np.array(json.dumps(meta)),
    )
    aside.replace(path)
    return sum(len(e.features) for e in examples) / 80


def read_shard(path: Path) -> list[Example]:
    """All sketches of a shard."""
    with np.load(path) as shard:
        meta, drawn = json.loads(str(shard["meta"])), shard["features"].astype(np.float32)
        durations, spoken = shard["durations"].astype(np.int64), shard["manners"].astype(np.int64)
    out, frame, symbol = [], 0, 0
    silent: Floats = np.empty(0, dtype=np.float32)
    for one in meta:
        rows, places = slice(frame, frame + one["frames"]), slice(symbol, symbol + len(one["symbols"]))
        told = (one["text"], one["voice"], one["symbols"])
        out.append(Example(*told, durations[places], silent, drawn[rows], spoken[places], np.empty(0)))
        frame, symbol = rows.stop, places.stop
    return out


def readers(folder: Path) -> Readers:
    """Those that were trained in a folder, or else those that are kept."""
    heard, fine = folder / "mels.safetensors", folder / "vocoder.safetensors"
    return Readers(
        mels.load(heard if heard.exists() else mels.KEPT), details.load(fine if fine.exists() else details.KEPT)
    )


def jobs() -> list[tuple[str, list[Draw]]]:
    """Each shard's name and what belongs into it; those in manners first."""
    bent: list[Draw] = [partial(in_manner, job) for job in manner_texts.jobs()]
    plain: list[Draw] = [partial(sketch, text, voice) for text, voice in plan()]
    return [
        (f"{prefix}{number:04d}.npz", draws[number * SHARD : (number + 1) * SHARD])
        for prefix, draws in (("manner-", bent), ("", plain))
        for number in range(-(-len(draws) // SHARD))
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, help="make no more than so many")
    parser.add_argument("--share", type=share, default="1/1", help="the k-th of n processes side by side, e.g. 1/2")
    parser.add_argument("--folder", type=Path, default=texts.CACHE)
    args = parser.parse_args(argv)
    which, of = args.share
    torch.set_num_threads(1)
    out, nets = args.folder / "sketches", readers(args.folder)
    out.mkdir(parents=True, exist_ok=True)
    todo, started, total = jobs()[: args.shards], time.monotonic(), 0.0
    for place, (name, draws) in enumerate(todo, 1):
        if (out / name).exists() or place % of != which - 1:
            continue
        total += save_shard(out / name, [example(draw(), nets) for draw in draws])
        print(f"[{place}/{len(todo)}] {total:.0f} s of speech in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
