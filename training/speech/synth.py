"""Speech to learn from: shards of teacher's takes, resumable and seeded, one process a core that it is given.

Shard ``n`` holds sentences ``n * 32 …`` of one fixed list in which voices take turns: any number of shards is balanced.
"""

from __future__ import annotations

import argparse
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

from training.speech import manner_texts, manners, teacher, texts

SHARD = 32
SHARDS = texts.CACHE / "shards"
ASSISTANT, OPEN = 900, 12_000
Speak = Callable[[], teacher.Take]


def plan(seed: int = 0) -> list[tuple[str, str]]:
    """``(text, voice)`` in the order of synthesis: skills by every voice first, mixed with open sentences by turns."""
    rng = random.Random(seed)
    skills = [(text, voice) for voice in teacher.VOICES for text in texts.skill_texts()]
    rng.shuffle(skills)
    opened = [t for t in texts.wordnet_examples() + texts.assistant_texts(ASSISTANT, seed) if not texts.held_out(t)]
    rng.shuffle(opened)
    opened = [t for t in opened[:OPEN] if teacher.knows(t)]
    spoken = [(text, teacher.VOICES[i % len(teacher.VOICES)]) for i, text in enumerate(opened)]
    mixed: list[tuple[str, str]] = []
    while skills:  # one skill phrase to two open sentences until there is none left
        mixed += [skills.pop(), spoken.pop(), spoken.pop()]
    return mixed + spoken[::-1]


def plain() -> list[Speak]:
    return [partial(teacher.speak, text, voice) for text, voice in plan()]


def in_manners() -> list[Speak]:
    return [partial(manners.speak, job.text, job.voice, job.manner, settles=job.settles) for job in manner_texts.jobs()]


def save_shard(path: Path, takes: list[teacher.Take]) -> float:
    """Written aside and renamed; returns seconds of audio."""
    pcm = [np.asarray(np.clip(np.round(t.audio * 32767 * 0.7), -32767, 32767), dtype=np.int16) for t in takes]
    meta = [
        {"text": t.text, "voice": t.voice, "symbols": t.symbols, "frames": len(t.f0)}
        | ({"manners": t.manners, "level_db": t.level_db} if t.manners else {})
        for t in takes
    ]
    aside = path.with_suffix(".tmp.npz")
    np.savez(
        aside,
        pcm=np.concatenate(pcm),
        f0=np.concatenate([t.f0 for t in takes]).astype(np.float16),
        durations=np.concatenate([t.durations for t in takes]),
        meta=np.array(json.dumps(meta)),
    )
    aside.replace(path)
    return sum(map(len, pcm)) / 24_000


class Raw(NamedTuple):
    """A take as it lies in a shard: ``teacher.Take`` with PCM16. ``manners`` holds one a word."""

    text: str
    voice: str
    symbols: str
    durations: npt.NDArray[np.int16]
    f0: npt.NDArray[np.float32]
    pcm: npt.NDArray[np.int16]
    manners: tuple[str, ...]
    level_db: float


def read_shard(path: Path) -> list[Raw]:
    """All takes of a shard."""
    with np.load(path) as shard:
        meta = json.loads(str(shard["meta"]))
        pcm, f0, durations = shard["pcm"], shard["f0"].astype(np.float32), shard["durations"]
    out, frame, symbol = [], 0, 0
    for one in meta:
        n, k = int(one["frames"]), len(one["symbols"])
        out.append(
            Raw(
                one["text"],
                one["voice"],
                one["symbols"],
                durations[symbol : symbol + k],
                f0[frame : frame + n],
                pcm[frame * 300 : (frame + n) * 300],
                tuple(one.get("manners", ())),
                one.get("level_db", 0.0),
            )
        )
        frame, symbol = frame + n, symbol + k
    return out


def share(text: str) -> tuple[int, int]:
    """``1/2``: the first of two. Raises ``ArgumentTypeError`` where there is no such part."""
    which, _, of = text.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share: 1/2 and 2/2 are the two halves")
    return int(which), int(of)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=80, help="80 are about two hours of speech")
    parser.add_argument("--first", type=int, default=0, help="begin there: what a release has learned need not be said")
    parser.add_argument("--folder", type=Path, default=SHARDS)
    parser.add_argument("--share", type=share, default="1/1", help="the k-th of n processes side by side, e.g. 1/2")
    parser.add_argument("--manners", action="store_true", help="takes in manners instead, in shards of their own")
    args = parser.parse_args(argv)
    which, of = args.share
    args.folder.mkdir(parents=True, exist_ok=True)
    speak, prefix = (in_manners(), "manner-") if args.manners else (plain(), "")
    started, total = time.monotonic(), 0.0
    for number in range(args.first + which - 1, min(args.shards, len(speak) // SHARD), of):
        path = args.folder / f"{prefix}{number:04d}.npz"
        if path.exists():
            continue
        total += save_shard(path, [one() for one in speak[number * SHARD : (number + 1) * SHARD]])
        print(f"[{number + 1}/{args.shards}] {total:.0f} s of speech in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
