"""Open sentences as free speech for nano, at 16 kHz with exact phone (and where known, word) times.

Three sources: the takes that the speech stage's teacher made already, and flite and nano's own voice, which read
WordNet's examples fifty to a hundred times faster than they last.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import soxr

from training.phones import from_ipa
from training.speech import synth as speech
from training.speech.texts import held_out, wordnet_examples, wordnet_ready
from training.synth import CORPUS, RATE_HZ, Pcm, Spoken, Take, open_path, said_by, save_shard, trim
from training.voices import Voice, load

_FRAME = 200  # samples of 16 kHz in one of the teacher's frames of 12.5 ms
MIN_WORDS = 4
ASKING = frozenset(
    "what who whose where when why how which is are was were do does did can could will would shall should may have "
    "has tell please".split()
)
PLAIN = "0*.npz"  # shards without a manner


def converted(take: speech.Raw) -> Spoken:
    """A teacher's take, trimmed, with its words' and phones' ends."""
    symbols = take.symbols
    ends = [int(end) * _FRAME for end in np.cumsum(take.durations)]
    at_rate = soxr.resample(take.pcm.astype(np.float32) / 32768.0, 24_000, RATE_HZ)
    peak = float(np.abs(at_rate).max()) or 1.0
    borders = [ends[place - 1] for place, symbol in enumerate(symbols) if symbol == " "]
    word_ends = [*borders, ends[len(symbols) - 3]]  # before the last mark and the end
    sound: Pcm = np.asarray(np.round(at_rate * (0.35 / peak) * 32767), dtype=np.int16)
    return trim(Spoken(sound, word_ends, from_ipa(symbols, ends)))


def _keep(voice: Voice, folder: Path, spoken: list[tuple[str, Spoken]]) -> float:
    """Write a voice's open sentences; seconds of speech."""
    takes: list[Take] = []
    at = 0
    for text, made in spoken:
        takes.append(Take(text, at, at + len(made.pcm), made.word_ends, made.phones))
        at += len(made.pcm)
    path = open_path(voice, folder)
    scratch = path.with_suffix(".tmp")
    scratch.mkdir(parents=True, exist_ok=True)
    save_shard(path, [made.pcm for _, made in spoken], takes, scratch)
    return at / RATE_HZ


def _words(text: str) -> list[str]:
    return text.lower().rstrip(".?!").replace(",", "").split()


def taught(shards: Path) -> dict[str, list[tuple[str, Spoken]]]:
    """The teacher's sentences by voice. Left out: single words, and words that the voice says as several."""
    found: dict[str, list[tuple[str, Spoken]]] = {}
    for path in sorted(shards.glob(PLAIN)):
        for raw in speech.read_shard(path):
            words = _words(raw.text)
            if len(words) < MIN_WORDS or words[0] in ASKING or raw.text.endswith("?"):
                continue
            made = converted(raw)
            if made.word_ends is not None and len(words) == len(made.word_ends):
                found.setdefault(f"kokoro:{raw.voice}", []).append((" ".join(words), made))
    return found


def open_texts() -> list[str]:
    """WordNet's examples of at least ``MIN_WORDS`` words, without the speech stage's held-out ones and without
    questions: a sentence that is told may get a sign of listening, a question wants an answer."""
    split = [_words(t) for t in wordnet_examples() if not held_out(t) and not t.endswith("?")]
    return [" ".join(words) for words in split if len(words) >= MIN_WORDS and words[0] not in ASKING]


def read_aloud(voice: Voice, texts: list[str], scratch: Path) -> list[tuple[str, Spoken]]:
    """Sentences by flite or nano's own voice."""
    scratch.mkdir(parents=True, exist_ok=True)
    return [(text, trim(spoken)) for text, spoken in said_by(voice, texts, scratch)]


def read_wordnet(engine: str, count: int, folder: Path) -> None:
    """So many of WordNet's sentences by each training voice of an engine that has read none; no two read the same."""
    voices = [v for v in load() if v.engine == engine and not v.held_out]
    texts = open_texts() if count else []
    random.Random(engine).shuffle(texts)
    for place, voice in enumerate(voices):
        if count and open_path(voice, folder).exists():
            print(f"{voice.name}: {open_path(voice, folder)} is there", flush=True)
            continue
        mine = texts[place :: len(voices)][:count]
        if mine:
            with tempfile.TemporaryDirectory() as scratch:
                seconds = _keep(voice, folder, read_aloud(voice, mine, Path(scratch)))
            print(f"{voice.name}: {len(mine)} sentences, {seconds:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    """One file a voice: of all the teacher's shards that are there, and of so many sentences by each fast voice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, default=speech.SHARDS)
    parser.add_argument("--folder", type=Path, default=CORPUS)
    parser.add_argument("--flite", type=int, default=0, help="sentences by each flite voice")
    parser.add_argument("--own", type=int, default=0, help="sentences by each speaker of nano's own voice")
    args = parser.parse_args(argv)
    for name, spoken in taught(args.shards).items():
        print(f"{name}: {len(spoken)} sentences, {_keep(Voice(name, False), args.folder, spoken):.0f} s", flush=True)
    if (args.flite or args.own) and not wordnet_ready():
        print("npm is not installed (docs/training.md): open sentences are left out", flush=True)
        return 0
    for engine, count in (("flite", args.flite), ("own", args.own)):
        read_wordnet(engine, count, args.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
