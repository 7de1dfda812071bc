"""Synthesises the phrase bank with every voice: resumable, seeded, one cached file a voice, all cores, low priority."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from training.kokoro import Kokoro, kokoro_ready
from training.phones import Phone, from_flite
from training.phrases import BACKCHANNELS, FREE, HELD_OUT, TRAINING, Phrase
from training.voices import Voice, load

RATE_HZ = 16_000
CORPUS = Path(os.environ.get("MICROTURN_CORPUS", "build/corpus"))
OWN_WEIGHTS = Path("models/speech/speech.safetensors")
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Take:
    """One synthesised phrase: its words' ends in samples, and its phones (None where the engine does not say)."""

    text: str
    start: int
    stop: int
    word_ends: list[int] | None
    phones: list[Phone] | None = None


class Spoken(NamedTuple):
    """What an engine made: audio at 16 kHz, ends of words and phones in samples of it."""

    pcm: Pcm
    word_ends: list[int] | None = None
    phones: list[Phone] | None = None


def shard_path(voice: Voice, folder: Path = CORPUS) -> Path:
    return folder / (re.sub(r"[^A-Za-z0-9]+", "_", voice.name) + ".npz")


# Shares of what is spoken by a voice, by kind: fixed intents, open requests, orders, and free speech. Kokoro is slow;
# espeak's carriers would be of no use, for it does not say where words end. Flite's voices deal the requests out (0).
# The twelve of nano's own voice say every text more than once between them.
_SHARES: dict[str, dict[str, float]] = {
    "flite": {
        "fixed": 1,
        "open": 0,
        "order": 0.6,
        "framed": 0.2,
        "stories": 0.34,
        "carriers": 0.6,
        "countings": 0.6,
        "asides": 0.6,
        "hesitations": 1,
        "signs": 1,
        "leads": 1,
    },
    "espeak": {
        "fixed": 0.4,
        "open": 0.06,
        "order": 0.1,
        "framed": 0.02,
        "stories": 0.04,
        "asides": 0.1,
        "hesitations": 0.6,
        "signs": 0.5,
        "leads": 0.1,
    },
    "own": {
        "fixed": 0.3,
        "open": 0.12,
        "order": 0.12,
        "framed": 0.14,
        "stories": 0.12,
        "carriers": 0.14,
        "countings": 0.3,
        "asides": 0.2,
        "hesitations": 0.7,
        "signs": 0.6,
        "leads": 0.6,
    },
    "kokoro": {
        "fixed": 0.06,
        "open": 0.02,
        "order": 0.012,
        "framed": 0.003,
        "stories": 0.006,
        "carriers": 0.01,
        "countings": 0.04,
        "asides": 0.03,
        "hesitations": 0.3,
        "signs": 0.15,
        "leads": 0.08,
    },
}
# What joined later is dealt to a voice by dice of their own, so that what it said before stays what it says.
_LATER = ("hear", "tally")
_HELD_OUT_TRAINING = {"flite": 150, "espeak": 80, "kokoro": 12}  # nano's own voice has no held-out speakers


def open_path(voice: Voice, folder: Path = CORPUS) -> Path:
    """Beside a voice's shard: open sentences that it said as a teacher of the speech stage (``training.opened``)."""
    return shard_path(voice, folder).with_suffix(".open.npz")


def texts_for(voice: Voice, seed: int = 0) -> list[str]:
    """What this voice says. Slow engines say a seeded share, so that all phrases are covered by several voices."""
    rng = random.Random(f"{seed}/{voice.name}")
    short = list(BACKCHANNELS)
    if voice.held_out:
        return short + _held_out_texts(voice, rng)
    shares = _SHARES[voice.engine]
    chosen = [p.text for p in _first(TRAINING) if rng.random() < shares[_kind(p)]]
    if voice.engine == "flite":
        chosen += _dealt(voice)
    for kind, texts in FREE[False].items():
        chosen += [text for text in texts if rng.random() < shares.get(kind, 0)]
    later = random.Random(f"{seed}/{voice.name}/later")
    joined = [p for p in TRAINING if p.intent in _LATER and not p.framed] + [p for p in TRAINING if p.framed]
    chosen += [p.text for p in joined if later.random() < shares[_kind(p)]]
    return list(dict.fromkeys(short + chosen))


def _first(phrases: Iterable[Phrase]) -> list[Phrase]:
    return [p for p in phrases if p.intent not in _LATER and not p.framed]


def _kind(phrase: Phrase) -> str:
    return "framed" if phrase.framed else "order" if phrase.task else "open" if phrase.delegate else "fixed"


def _dealt(voice: Voice) -> list[str]:
    """This voice's part of the open requests: no two voices of its engine say the same one."""
    engine = [v.name for v in load() if v.engine == voice.engine and not v.held_out]
    return [p.text for p in TRAINING if p.delegate and not p.framed][engine.index(voice.name) :: len(engine)]


def _held_out_texts(voice: Voice, rng: random.Random) -> list[str]:
    """New phrasings and free speech, and some training ones: what changes with the voice, and what with the words."""
    slow = voice.engine == "kokoro"
    held = [p.text for p in _first(HELD_OUT) if not slow or rng.random() < (0.25 if _kind(p) == "fixed" else 0.08)]
    known = rng.sample([p.text for p in _first(TRAINING)], _HELD_OUT_TRAINING[voice.engine])
    free = [text for texts in FREE[True].values() for text in texts if not slow or rng.random() < 0.08]
    later = [p.text for p in HELD_OUT if (p.intent in _LATER or p.framed) and (not slow or rng.random() < 0.08)]
    return list(dict.fromkeys([*held, *known, *free, *later]))


def trim(spoken: Spoken) -> Spoken:
    """Cut silence at both ends (below -40 dB of the peak, in 10 ms steps), keeping words and phones in step."""
    pcm = spoken.pcm
    blocks = np.abs(pcm[: len(pcm) // 160 * 160].astype(np.int32)).reshape(-1, 160).max(axis=1)
    loud = np.flatnonzero(blocks > max(60, int(blocks.max() * 0.02)))
    first, last = int(loud[0]) * 160, int(loud[-1] + 1) * 160

    def moved(at: int) -> int:
        return min(max(at - first, 0), last - first)

    ends = None if spoken.word_ends is None else [moved(e) for e in spoken.word_ends]
    phones = None if spoken.phones is None else [(p, moved(e)) for p, e in spoken.phones]
    return Spoken(pcm[first:last], ends, phones)


def _resampled(samples: npt.NDArray[np.float32], rate_hz: int) -> Pcm:
    at_rate = soxr.resample(samples, rate_hz, RATE_HZ) if rate_hz != RATE_HZ else samples
    peak = float(np.abs(at_rate).max()) or 1.0
    return np.asarray(np.round(at_rate * (0.35 / peak) * 32767), dtype=np.int16)


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@lru_cache(maxsize=4096)
def _flite_phones(word: str) -> int:
    """Phones of a word alone: their sum over a phrase tells whether the phrase's segments can be shared out."""
    phones = _run(["flite", "-voice", "kal", "-ps", "-t", word, "-o", "/dev/null"]).decode().split()
    return sum(p != "pau" for p in phones)


_PITCH_HZ = {"kal": (75, 150), "kal16": (75, 150), "slt": (125, 230)}


def prosody(voice: Voice, text: str) -> list[str]:
    """Options that give each take of a flite training voice a pitch, range and pace of its own; none for others."""
    if voice.voice not in _PITCH_HZ or voice.held_out:
        return []
    rng = random.Random(f"{voice.name}/{text}")
    features = {
        "int_f0_target_mean": rng.uniform(*_PITCH_HZ[voice.voice]),
        "int_f0_target_stddev": rng.uniform(8, 30),
        "duration_stretch": rng.uniform(0.85, 1.25),
    }
    return [part for name, value in features.items() for part in ("--setf", f"{name}={value:.3f}")]


def flite(voice: Voice, text: str, scratch: Path) -> Spoken:
    """Flite's audio with its phones, and exact word ends where the phones add up."""
    out = scratch / "flite.wav"
    command = ["flite", "-voice", voice.voice, *prosody(voice, text), "-psdur", "-t", text, "-o", str(out)]
    printed = _run(command).decode()
    samples, rate_hz = soundfile.read(out, dtype="float32")
    timed = [part.split(":") for part in printed.split()]
    phones = from_flite([name for name, _ in timed], [round(float(end) * RATE_HZ) for _, end in timed])
    ends = [float(end) for name, end in timed if name != "pau"]
    counts = [_flite_phones(word) for word in text.split()]
    exact = sum(counts) == len(ends)
    word_ends = [round(ends[n - 1] * RATE_HZ) for n in np.cumsum(counts)] if exact else None
    return Spoken(_resampled(samples, rate_hz), word_ends, phones)


def espeak(voice: Voice, text: str) -> Spoken:
    """espeak-ng's audio; it does not say where words end."""
    speed, pitch = voice.number(2, 165), voice.number(3, 50)
    command = ["espeak-ng", "-v", voice.voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    samples, rate_hz = soundfile.read(BytesIO(_run(command)), dtype="float32")
    return Spoken(_resampled(samples, rate_hz))


def said_by(voice: Voice, texts: list[str], scratch: Path) -> Iterator[tuple[str, Spoken]]:
    """Each text with its sound, in an order that the engine likes."""
    if voice.engine == "own":
        yield from _own(voice, texts)
    elif voice.engine == "kokoro":
        kokoro = Kokoro(voice.voice)
        for text in texts:
            samples, ends, phones = kokoro.speak(text, pace(voice, text))
            yield text, Spoken(_resampled(samples, kokoro.rate_hz), ends, phones)
    else:
        for text in texts:
            yield text, flite(voice, text, scratch) if voice.engine == "flite" else espeak(voice, text)


def _own(voice: Voice, texts: list[str]) -> Iterator[tuple[str, Spoken]]:
    """In batches of about one length, which are said at once."""
    from training.own import BATCH, own_voice  # torch: infra.eval.generate speaks without it

    speaker, ordered = own_voice(), sorted(texts, key=len)
    for first in range(0, len(ordered), BATCH):
        batch = ordered[first : first + BATCH]
        for text, said in zip(batch, speaker.say([(text, voice.voice) for text in batch]), strict=True):
            yield text, Spoken(_resampled(said.audio, speaker.rate_hz), said.word_ends, said.phones)


def pace(voice: Voice, text: str) -> float:
    """How fast a human-like training voice says a take; 1 for held-out ones."""
    return 1.0 if voice.held_out else random.Random(f"pace/{voice.name}/{text}").uniform(0.85, 1.2)


def wanted(voice: Voice, limit: int | None) -> list[str]:
    """What a voice's shard should hold: all of its texts, or so many: backchannels, and then the same ones first
    whatever the limit."""
    texts = texts_for(voice)
    if limit is None:
        return texts
    rest = [text for text in texts if text not in BACKCHANNELS]
    random.Random(voice.name).shuffle(rest)
    return [*(text for text in texts if text in BACKCHANNELS), *rest][:limit]


def missing(voice: Voice, folder: Path, limit: int | None) -> list[str]:
    """Of what is wanted, what its shard does not have yet."""
    path = shard_path(voice, folder)
    there = {take.text for take in read_takes(path)} if path.exists() else set()
    return [text for text in wanted(voice, limit) if text not in there]


def synthesise(name: str, held_out: bool, folder: str, texts: list[str]) -> tuple[str, float]:
    """Adds takes to one voice's shard; returns its name and the seconds of audio that it has now. Written aside and
    renamed: never half there."""
    voice = Voice(name, held_out)
    path = shard_path(voice, Path(folder))
    scratch = path.with_suffix(".tmp")
    scratch.mkdir(parents=True, exist_ok=True)
    pieces: list[Pcm] = []
    takes: list[Take] = []
    if path.exists():
        before, takes = read_shard(path)
        pieces.append(before)
    at = sum(map(len, pieces))
    for text, spoken in said_by(voice, texts, scratch):
        spoken = trim(spoken)
        takes.append(Take(text, at, at + len(spoken.pcm), spoken.word_ends, spoken.phones))
        pieces.append(spoken.pcm)
        at += len(spoken.pcm)
    save_shard(path, pieces, takes, scratch)
    return name, at / RATE_HZ


def save_shard(path: Path, pieces: list[Pcm], takes: list[Take], scratch: Path) -> None:
    """Written in ``scratch``, which goes with it, and renamed."""
    aside = scratch / "shard.npz"
    np.savez(aside, pcm=np.concatenate(pieces), takes=np.array(json.dumps([asdict(t) for t in takes])))
    aside.replace(path)
    for left in scratch.iterdir():
        left.unlink()
    scratch.rmdir()


def read_takes(path: Path) -> list[Take]:
    """What a shard holds, without its audio. Raises ``FileNotFoundError`` when the voice has not been synthesised."""
    with np.load(path) as shard:
        return _takes(shard)


def _takes(shard: Mapping[str, Any]) -> list[Take]:
    takes: list[dict[str, Any]] = json.loads(str(shard["takes"]))
    return [Take(**t) for t in takes]


def read_shard(path: Path) -> tuple[Pcm, list[Take]]:
    """Raises ``FileNotFoundError`` when the voice has not been synthesised."""
    with np.load(path) as shard:
        return shard["pcm"], _takes(shard)


def own_ready() -> bool:
    """Whether nano's own voice can speak: torch is installed, and there is a release of the speech stage."""
    return importlib.util.find_spec("torch") is not None and OWN_WEIGHTS.is_file()


def _nice() -> None:
    os.nice(5)


def build(voices: list[Voice], folder: Path, limit: int | None = None, workers: int | None = None) -> None:
    """Synthesise what is missing, saying how far it is."""
    folder.mkdir(parents=True, exist_ok=True)
    lacking = {voice: missing(voice, folder, limit) for voice in voices}
    todo = [voice for voice, texts in lacking.items() if texts]
    if any(v.engine == "kokoro" for v in todo) and not kokoro_ready():
        print("kokoro is not installed (docs/training.md): its voices are left out", flush=True)
        todo = [v for v in todo if v.engine != "kokoro"]
    if any(v.engine == "own" for v in todo) and not own_ready():
        print(f"no torch, or no {OWN_WEIGHTS}: nano's own voice is left out", flush=True)
        todo = [v for v in todo if v.engine != "own"]
    started = time.monotonic()
    with ProcessPoolExecutor(workers or os.cpu_count(), initializer=_nice) as pool:
        jobs = [pool.submit(synthesise, v.name, v.held_out, str(folder), lacking[v]) for v in todo]
        for count, job in enumerate(as_completed(jobs), 1):
            name, seconds = job.result()
            spent = time.monotonic() - started
            print(f"[{count}/{len(todo)}] {name}: {seconds:.0f} s of speech, {spent:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=CORPUS)
    parser.add_argument("--engines", default="flite,espeak,own,kokoro")
    parser.add_argument("--limit", type=int, help="phrases a voice, for a quick try")
    parser.add_argument("--workers", type=int)
    args = parser.parse_args(argv)
    engines, known = args.engines.split(","), sorted({v.engine for v in load()})
    if unknown := set(engines) - set(known):
        parser.error(f"--engines: no engine is called {', '.join(sorted(unknown))}; these are: {', '.join(known)}")
    voices = [v for v in load() if v.engine in engines]
    build(voices, args.folder, args.limit, args.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
