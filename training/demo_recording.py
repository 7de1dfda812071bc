"""Makes ``tests/fixtures/demo.wav`` (16 kHz) with its script, and ``hello.wav`` (48 kHz), from held-out voices."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from training.bank import Bank, Utterance
from training.scenes import cut_places
from training.synth import CORPUS, RATE_HZ

FIXTURES = Path("tests/fixtures")
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said. ``gap_s`` of quiet comes before it; ``cut_after`` words a pause of ``pause_s`` is put in."""

    voice: str
    text: str
    gap_s: float
    expect: str
    cut_after: int = 0
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line's place in the recording, in seconds, as ``demo.json`` tells it."""

    voice: str
    text: str
    start_s: float
    stop_s: float
    expect: str
    pause_from_s: float | None = None
    pause_to_s: float | None = None


DEMO = (
    Line("kokoro:af_bella", "hello there", 1.2, "answers the greeting"),
    Line("kokoro:af_bella", "can you hear me", 2.6, "answers"),
    Line("kokoro:am_michael", "what is your name", 2.6, "holds through the pause, then says its name", 2, 1.0),
    Line("kokoro:bf_emma", "what is the capital of france", 3.0, "delegates, weaves the result in when it comes"),
    Line("kokoro:bm_george", "can you count to ten", 9.5, "counts"),
    Line("kokoro:bm_george", "stop", 1.8, "yields, says okay"),
    Line("kokoro:af_bella", "thank you", 2.4, "answers"),
    Line("kokoro:am_michael", "goodbye", 2.6, "says goodbye"),
)
HELLO = (
    Line("kokoro:bf_emma", "hello", 1.0, "answers the greeting"),
    Line("kokoro:bf_emma", "what can you do", 2.2, "answers"),
)


def _find(bank: Bank, voice: str, text: str) -> Utterance:
    """This voice's take, or synthesised now when the corpus does not hold it."""
    for take in bank.takes.get(text, []):
        if take.voice.name == voice:
            return take
    from training.kokoro import Kokoro
    from training.synth import Spoken, _resampled, trim
    from training.voices import load

    speaker = next(v for v in load() if v.name == voice)
    samples, ends, phones = Kokoro(speaker.voice).speak(text)
    made = trim(Spoken(_resampled(samples, Kokoro.rate_hz), ends, phones))
    return Utterance(text, speaker, made.pcm, made.word_ends, made.phones)


def record(lines: tuple[Line, ...], bank: Bank, tail_s: float) -> tuple[Samples, list[Spoken]]:
    """The recording and what is where in it; a faint room noise lies under all of it."""
    pieces: list[Samples] = []
    spoken: list[Spoken] = []
    at = 0
    for line in lines:
        take = _find(bank, line.voice, line.text)
        if not take.voice.held_out:
            raise ValueError(f"{line.voice} is a training voice: the demo must not be heard before")
        samples = take.pcm.astype(np.float32) / 32768.0
        pause = None
        quiet = np.zeros(int(line.gap_s * RATE_HZ), dtype=np.float32)
        at += len(quiet)
        if line.cut_after:
            if take.word_ends is None or line.cut_after not in cut_places(take):
                raise ValueError(f"{line.text!r} cannot be cut after {line.cut_after} words")
            border = take.word_ends[line.cut_after - 1]
            silence = np.zeros(int(line.pause_s * RATE_HZ), dtype=np.float32)
            pause = ((at + border) / RATE_HZ, (at + border + len(silence)) / RATE_HZ)
            samples = np.concatenate([samples[:border], silence, samples[border:]])
        times = [round(t, 3) for t in (at / RATE_HZ, (at + len(samples)) / RATE_HZ, *(pause or ()))]
        spoken.append(Spoken(line.voice, line.text, times[0], times[1], line.expect, *times[2:]))
        pieces += [quiet, samples]
        at += len(samples)
    pieces.append(np.zeros(int(tail_s * RATE_HZ), dtype=np.float32))
    audio = np.concatenate(pieces)
    audio += np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32) * np.float32(0.0008)
    return audio, spoken


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--folder", type=Path, default=FIXTURES)
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    bank = Bank(held_out=True, folder=args.corpus)
    for name, lines, tail_s, rate_hz in (("demo", DEMO, 3.0, RATE_HZ), ("hello", HELLO, 3.0, 48_000)):
        audio, spoken = record(lines, bank, tail_s)
        samples = audio if rate_hz == RATE_HZ else soxr.resample(audio, RATE_HZ, rate_hz)
        soundfile.write(args.folder / f"{name}.wav", samples, rate_hz, subtype="PCM_16")
        script = {"rate_hz": rate_hz, "seconds": round(len(audio) / RATE_HZ, 3), "turns": [asdict(s) for s in spoken]}
        (args.folder / f"{name}.json").write_text(json.dumps(script, indent=1) + "\n")
        print(f"{args.folder / name}.wav: {script['seconds']} s, {len(spoken)} turns")
    return 0


if __name__ == "__main__":
    sys.exit(main())
