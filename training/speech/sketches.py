"""Takes without sound for the head to learn, ten times as many as could be spoken in the time.

The head learns mels, details, durations and F0. The teacher tells durations and F0 before it makes any sound, and the
networks of ``mels`` and ``details`` read the rest off its states. The vocoder goes on learning from sound (``synth``).

Shard ``n`` holds sentences ``n * 256 …`` of one fixed list in which voices take turns: any number of shards is
balanced. Those in manners are shards of their own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from schemas.records import Manner
from services.interaction.speech.config import DETAILS_PLACE, F0_PLACE, FEATURES, MELS, VOICED_PLACE
from services.interaction.speech.speaker import Speaker
from services.interaction.speech.vocoder import MEL_SCALE, SILENCE, Vocoder
from training.speech import details, manner_texts, manners, mels, teacher, texts
from training.speech.data import LEVEL, Example, level, manners_of, pitch, seconds, trimmed
from training.speech.details import DetailNet
from training.speech.export import MODEL, vocoder_of
from training.speech.loop import trained
from training.speech.mels import MelNet, amplitudes, loudness
from training.speech.pairs import inputs
from training.speech.singing import sung
from training.speech.states import Sketch, in_manner, sketch
from training.speech.synth import share
from training.speech.vocoder import config

SHARD = 256
ASSISTANT = 4000  # sentences with numbers and names
LOUDNESS = 2.911
"""``loudness`` of a take at the level that training brings takes to: mean of 832 (35 minutes), deviation 0.017."""
_MANNERS = tuple(Manner)
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


class Readers(NamedTuple):
    """What reads mels and details off the teacher's states, and sings them."""

    mels: MelNet
    details: DetailNet
    vocoder: Vocoder


@torch.inference_mode()
def _mels(given: Floats, nets: Readers, level_db: float, bright_db: float) -> Floats:
    """``[frames, MELS]`` at the level that training brings takes to, but for what the manner adds."""
    heard: Floats = nets.mels(torch.from_numpy(given)[None])[0].numpy() + mels.shelf(bright_db)
    above = LOUDNESS + level_db / 20 * np.log(10.0) - loudness(heard)
    told: Floats = np.maximum(heard + np.float32(above / MEL_SCALE), np.float32(SILENCE))
    return told


def _as_loud_as_sung(features: Floats, nets: Readers, level_db: float) -> None:
    """Bring the mels of a sketch in a manner to where their *sound* has the manner's level. F0 is bent there, mels are
    read with blurred harmonics, and what is blurred is sung more softly than it is loud: by 1 to 3 dB."""
    sound = sung(nets.vocoder, features)
    lacking = LEVEL * 10 ** (level_db / 20) / max(level(sound), 1e-4)
    features[:, :MELS] = np.maximum(features[:, :MELS] + np.float32(np.log(lacking) / MEL_SCALE), np.float32(SILENCE))


def features(take: Sketch, nets: Readers, first: int, last: int) -> Floats:
    """``[last - first, FEATURES]`` of a sketch as ``data.features`` has them of a take with sound, and its details."""
    given = inputs(take)[first:last]
    heard = _mels(given, nets, take.level_db, take.bright_db)
    loud = amplitudes(heard)
    log, voiced = pitch(take.f0[first:last], np.asarray(loud > _SOUNDS * loud.max()))
    out = np.zeros((last - first, FEATURES), dtype=np.float32)
    out[:, :MELS], out[:, F0_PLACE], out[:, VOICED_PLACE] = heard, np.append(log[1:], log[-1:]), voiced
    out[:, DETAILS_PLACE:] = details.details(nets.details, given)
    if take.manners:
        _as_loud_as_sung(out, nets, take.level_db)
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


def retold(one: Example, given: Floats, nets: Readers) -> Example:
    """A sketch whose mels and details other networks read off the same states, ``given [frames, GIVEN]``."""
    delivery = manners.DELIVERIES[_MANNERS[one.manners[0]]]
    drawn = one.features.copy()
    drawn[:, :MELS] = _mels(given, nets, delivery.level_db, delivery.bright_db)
    drawn[:, DETAILS_PLACE:] = details.details(nets.details, given)
    if one.manners.any():
        _as_loud_as_sung(drawn, nets, delivery.level_db)
    return dataclasses.replace(one, features=drawn)


def retell(shard: Path, states: Path, nets: Readers) -> None:
    """All sketches of a shard. Raises ``ValueError`` when the states are others'."""
    examples, given = read_shard(shard), np.load(states, mmap_mode="r")
    ends = np.cumsum([len(one.features) for one in examples])
    if ends[-1] != len(given):
        raise ValueError(f"{states}: {len(given)} frames, but {shard} has {ends[-1]}")
    rows = zip(examples, np.split(given, ends[:-1]), strict=True)
    save_shard(shard, [retold(one, own.astype(np.float32), nets) for one, own in rows])


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
    return seconds(examples)


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


def save_states(path: Path, takes: list[Sketch]) -> None:
    """``[frames, GIVEN]`` of all takes of a shard, in half precision: 0.3 GB an hour."""
    cut = [trimmed(take.durations.astype(np.int64))[1:] for take in takes]
    rows = [inputs(take)[first:last].astype(np.float16) for take, (first, last) in zip(takes, cut, strict=True)]
    aside = path.with_suffix(".tmp.npy")
    np.save(aside, np.concatenate(rows))
    aside.replace(path)


def readers(folder: Path) -> Readers:
    """Those that were trained in a folder, or else those that are kept."""
    heard, fine = folder / "mels.safetensors", folder / "vocoder.safetensors"
    if fine.exists():
        vocoder = Vocoder(config())
        vocoder.load_state_dict(vocoder_of(trained(fine)))
    else:
        vocoder = Speaker.load(MODEL)._vocoder
    return Readers(
        mels.load(heard if heard.exists() else mels.KEPT),
        details.load(fine if fine.exists() else details.KEPT),
        vocoder.eval(),
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
    parser.add_argument("--keep-states", action="store_true", help="so that they can be told anew: 0.3 GB an hour")
    parser.add_argument("--anew", action="store_true", help="only read mels and details off kept states again")
    parser.add_argument("--folder", type=Path, default=texts.CACHE)
    args = parser.parse_args(argv)
    which, of = args.share
    torch.set_num_threads(1)
    out, states = args.folder / "sketches", args.folder / "states"
    if args.anew and not states.is_dir():
        parser.error(f"--anew: {args.folder} has no states; sketch with --keep-states")
    nets = readers(args.folder)
    for folder in (out, states) if args.keep_states else (out,):
        folder.mkdir(parents=True, exist_ok=True)
    todo, started, total = jobs()[: args.shards], time.monotonic(), 0.0
    for place, (name, draws) in enumerate(todo, 1):
        shard, given = out / name, (states / name).with_suffix(".npy")
        if place % of != which - 1:
            continue
        if args.anew:
            if shard.exists() and given.exists():
                retell(shard, given, nets)
                print(f"[{place}/{len(todo)}] told anew after {time.monotonic() - started:.0f} s", flush=True)
            continue
        if shard.exists():
            continue
        takes = [draw() for draw in draws]
        if args.keep_states:
            save_states(given, takes)
        total += save_shard(shard, [example(take, nets) for take in takes])
        print(f"[{place}/{len(todo)}] {total:.0f} s of speech in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
