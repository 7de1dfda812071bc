"""What agents say: speech cut into ticks, and a synthesiser.

The voice is flite's ``slt``, which no evaluation user has. Phrases that are known before they are needed are
synthesised once, for ``build/eval/speech``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from schemas.ticks import OUTPUT_RATE_HZ, OUTPUT_SAMPLES

FOLDER = Path("build/eval/speech")
VOICE = "flite:slt"
QUIET = 0.005  # flite leaves a fifth of a second of silence at either end
LOUDNESS_DBFS = -20.0  # RMS of the whole phrase: far above what counts as audible

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Speech:
    """A spoken text. ``pcm`` is 24 kHz mono; word ``i`` of ``text`` begins at sample ``starts[i]``."""

    text: str
    pcm: Pcm
    starts: tuple[int, ...]

    @property
    def ticks(self) -> int:
        """How many ticks it fills; the last one is padded with silence."""
        return -(-len(self.pcm) // OUTPUT_SAMPLES)

    @property
    def duration_ms(self) -> float:
        return len(self.pcm) * 1000 / OUTPUT_RATE_HZ

    def at(self, tick: int) -> tuple[bytes, str]:
        """Audio of its tick ``tick`` (0 is its first), 4800 samples, and the words that begin there."""
        begin = tick * OUTPUT_SAMPLES
        end = begin + OUTPUT_SAMPLES
        part = self.pcm[begin:end]
        words = [w for w, start in zip(self.text.split(), self.starts, strict=True) if begin <= start < end]
        audio = np.pad(part, (0, OUTPUT_SAMPLES - len(part))).astype("<i2").tobytes()
        return audio, "".join(f" {word}" for word in words)


class Player:
    """Says one speech after another, a tick at a time; ``stop`` drops the rest."""

    def __init__(self) -> None:
        self._speech: Speech | None = None
        self._tick = 0

    @property
    def speaking(self) -> bool:
        """Whether there is something to say in the next tick."""
        return self._speech is not None

    @property
    def said_ticks(self) -> int:
        """Ticks of the current speech that were said."""
        return self._tick

    def say(self, speech: Speech) -> None:
        """Begin with this one in the next tick, dropping what was being said."""
        self._speech, self._tick = (speech, 0) if speech.ticks else (None, 0)

    def stop(self) -> None:
        self._speech, self._tick = None, 0

    def next(self) -> tuple[bytes | None, str]:
        """The next tick's audio and words; ``(None, "")`` when there is nothing to say."""
        if self._speech is None:
            return None, ""
        audio, words = self._speech.at(self._tick)
        self._tick += 1
        if self._tick == self._speech.ticks:
            self.stop()
        return audio, words


def speech_from(text: str, samples: npt.NDArray[np.floating], rate_hz: int, word_ends: list[int] | None) -> Speech:
    """Bring synthesised audio (any scale, ``word_ends`` in its own samples if known) to 24 kHz and one loudness."""
    at_rate = soxr.resample(samples.astype(np.float32), rate_hz, OUTPUT_RATE_HZ)
    level = float(np.sqrt(np.mean(at_rate**2))) if len(at_rate) else 0.0
    gain = 10 ** (LOUDNESS_DBFS / 20) / level if level > 0 else 0.0
    pcm = np.clip(np.rint(at_rate * gain * 32767), -32768, 32767).astype(np.int16)
    ends = None if word_ends is None else [end * OUTPUT_RATE_HZ // rate_hz for end in word_ends]
    return Speech(text, pcm, word_starts(text, len(pcm), ends))


def word_starts(text: str, length: int, ends: list[int] | None) -> tuple[int, ...]:
    """Where each word begins: at its predecessor's end if that is known, else by its share of the letters."""
    words = text.split()
    if ends is None:
        weights = np.cumsum([len(word) + 1 for word in words])
        ends = [int(length * w / weights[-1]) for w in weights]
    return tuple([0, *ends][: len(words)])


def synthesise(text: str, folder: Path = FOLDER) -> Speech:
    """``text`` by flite, from the cache if it was said before (about 40 ms a phrase otherwise; call it off the loop).

    Raises:
        FileNotFoundError: flite is not installed (``make tools``).
        subprocess.CalledProcessError: flite refuses the text.
    """
    path = folder / f"{hashlib.sha256(f'{VOICE}/{text}'.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        _keep(path, _flite(text))
    with np.load(path) as kept:
        return Speech(text, kept["pcm"], tuple(int(start) for start in kept["starts"]))


def _flite(text: str) -> Speech:
    from training import synth
    from training.voices import Voice

    with tempfile.TemporaryDirectory() as scratch:
        spoken = synth.trim(synth.flite(Voice(VOICE, False), text, Path(scratch)))
    return speech_from(text, spoken.pcm.astype(np.float32) / 32768.0, synth.RATE_HZ, spoken.word_ends)


def speak(text: str) -> Speech:
    """``text`` by flite, at once (about 50 ms; call it off the loop); where its words lie is estimated.

    Raises ``FileNotFoundError`` or ``subprocess.CalledProcessError`` as ``synthesise`` does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "o.wav"
        command = ["flite", "-voice", VOICE.partition(":")[2], "-t", text, "-o", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        with wave.open(str(path)) as file:
            rate_hz = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768.0
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    if not len(loud):
        return Speech("", np.zeros(0, np.int16), ())
    return speech_from(text, samples[loud[0] : loud[-1] + 1], rate_hz, None)


def _keep(path: Path, speech: Speech) -> None:
    """Written aside and renamed, so that several processes may do this at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(aside, pcm=speech.pcm, starts=np.array(speech.starts, np.int64))
    aside.replace(path)
