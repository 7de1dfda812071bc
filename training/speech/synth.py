"""Speech to learn from: shards of teacher's takes, resumable and seeded, one process a core that it is given.

Shard ``n`` holds sentences ``n * 32 …`` of one fixed list in which voices take turns: any number of shards is balanced.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.speech import teacher, texts

SHARD = 32
SHARDS = texts.CACHE / "shards"
ASSISTANT, OPEN = 900, 12_000


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


def shard_path(number: int, folder: Path = SHARDS) -> Path:
    return folder / f"{number:04d}.npz"


def save_shard(path: Path, takes: list[teacher.Take]) -> float:
    """Written aside and renamed; returns seconds of audio."""
    pcm = [np.asarray(np.clip(np.round(t.audio * 32767 * 0.7), -32767, 32767), dtype=np.int16) for t in takes]
    meta = [{"text": t.text, "voice": t.voice, "symbols": t.symbols, "frames": len(t.f0)} for t in takes]
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


Raw = tuple[str, str, str, npt.NDArray[np.int16], npt.NDArray[np.float32], npt.NDArray[np.int16]]


def read_shard(path: Path) -> list[Raw]:
    """``(text, voice, symbols, durations, f0, pcm)`` of each take."""
    with np.load(path) as shard:
        meta = json.loads(str(shard["meta"]))
        pcm, f0, durations = shard["pcm"], shard["f0"].astype(np.float32), shard["durations"]
    out, frame, symbol = [], 0, 0
    for one in meta:
        n, k = int(one["frames"]), len(one["symbols"])
        out.append(
            (
                one["text"],
                one["voice"],
                one["symbols"],
                durations[symbol : symbol + k],
                f0[frame : frame + n],
                pcm[frame * 300 : (frame + n) * 300],
            )
        )
        frame, symbol = frame + n, symbol + k
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=80, help="80 are about two hours of speech")
    parser.add_argument("--folder", type=Path, default=SHARDS)
    parser.add_argument("--share", default="1/1", help="the k-th of n processes beside each other, e.g. 1/2")
    args = parser.parse_args(argv)
    which, of = map(int, args.share.split("/"))
    args.folder.mkdir(parents=True, exist_ok=True)
    jobs = plan()
    started, total = time.monotonic(), 0.0
    for number in range(which - 1, args.shards, of):
        if shard_path(number, args.folder).exists():
            continue
        takes = [teacher.speak(text, voice) for text, voice in jobs[number * SHARD : (number + 1) * SHARD]]
        total += save_shard(shard_path(number, args.folder), takes)
        print(f"[{number + 1}/{args.shards}] {total:.0f} s of speech in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
