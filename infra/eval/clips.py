"""The spoken clips of the scenarios: committed beside them, lossless, so that playing them needs no voice engine.

``tests/behaviour/speech/`` holds one FLAC file a voice and ``takes.json``, which says where each take lies. A take
is one text in one voice; a clip of a scenario is a take, or a piece of one (a turn with a pause is cut at a word's
border). Samples are PCM16 at 16 kHz with 11 significant bits: a third smaller, noise at -71 dBFS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile

from infra.eval.scenario import RATE_HZ, Clip, Word

FOLDER = Path(__file__).parents[2] / "tests" / "behaviour" / "speech"
FADE_SAMPLES = RATE_HZ // 100  # 10 ms on the cut side of a piece
STEP = 32  # the lowest five bits are zero

Pcm = npt.NDArray[np.int16]


class SpeechMissing(RuntimeError):
    """A clip that is not in the folder, or whose samples are not those that the scenario was made with."""


class TakeInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a take lies in its voice's file, and its words' places (only where the engine tells them exactly)."""

    voice: str
    text: str
    start: int
    stop: int
    words: list[Word] = []


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """One text in one voice."""

    voice: str
    text: str
    pcm: Pcm
    words: list[Word] = []


def digest(pcm: Pcm) -> str:
    """sha256 of the samples as little endian PCM16."""
    return hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()


def quantised(samples: npt.NDArray[np.float64]) -> Pcm:
    """Floats of +-1 to PCM16 with 11 significant bits."""
    steps = np.rint(samples * (32768 / STEP))
    limit = 32768 // STEP - 1
    return (np.clip(steps, -limit, limit) * STEP).astype(np.int16)


def piece(pcm: Pcm, begin: int, end: int) -> Pcm:
    """Samples ``[begin, end)`` with a linear fade of 10 ms where the take was cut."""
    out = pcm[begin:end].astype(np.float64)
    fade = min(FADE_SAMPLES, len(out) // 2)
    ramp = np.arange(fade) / FADE_SAMPLES
    if begin > 0 and fade:
        out[:fade] *= ramp
    if end < len(pcm) and fade:
        out[-fade:] *= ramp[::-1]
    return (np.rint(out / STEP) * STEP).astype(np.int16)


def shard_name(voice: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", voice) + ".flac"


class Clips:
    """The takes of a folder. Files are read when they are first needed."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Raises ``SpeechMissing`` when the folder's index cannot be read."""
        self.folder = folder
        index = folder / "takes.json"
        try:
            infos = msgspec.json.decode(index.read_bytes(), type=list[TakeInfo])
        except (OSError, msgspec.DecodeError) as error:
            raise SpeechMissing(f"{index}: {error}") from None
        self._infos = {(info.voice, info.text): info for info in infos}
        self._shards: dict[str, Pcm] = {}

    @property
    def names(self) -> list[tuple[str, str]]:
        """(voice, text) of all takes."""
        return list(self._infos)

    def take(self, voice: str, text: str) -> Take:
        """Raises ``SpeechMissing``."""
        info = self._infos.get((voice, text))
        if info is None:
            raise SpeechMissing(f"{self.folder} has no {text!r} by {voice}")
        return Take(voice=voice, text=text, pcm=self._shard(voice)[info.start : info.stop], words=info.words)

    def clip(self, clip: Clip) -> Pcm:
        """A clip's samples without its gain.

        Raises:
            SpeechMissing: it is not there, or differs from what the scenario was made with.
        """
        pcm = self.take(clip.voice, clip.take or clip.text).pcm
        if clip.take:
            pcm = piece(pcm, clip.take_begin, clip.take_end)
        if clip.sha256 and digest(pcm) != clip.sha256:
            raise SpeechMissing(f"{clip.text!r} by {clip.voice} in {self.folder} is not what {clip.id} was made with")
        return pcm

    def _shard(self, voice: str) -> Pcm:
        if voice not in self._shards:
            path = self.folder / shard_name(voice)
            try:
                samples, rate_hz = soundfile.read(path, dtype="int16")
            except (soundfile.SoundFileError, OSError) as error:
                raise SpeechMissing(f"{path}: {error}") from None
            if rate_hz != RATE_HZ or samples.ndim != 1:
                raise SpeechMissing(f"{path}: {rate_hz} Hz, {samples.ndim} channels; wanted {RATE_HZ} Hz, mono")
            self._shards[voice] = samples
        return self._shards[voice]


@lru_cache(maxsize=1)
def committed() -> Clips:
    """The speech that lies beside the scenarios. Raises ``SpeechMissing``."""
    return Clips()


def write(takes: Iterable[Take], folder: Path = FOLDER) -> None:
    """Write a folder anew: takes in the order of voice and text."""
    folder.mkdir(parents=True, exist_ok=True)
    infos: list[TakeInfo] = []
    shards: dict[str, list[Pcm]] = {}
    for take in sorted(takes, key=lambda t: (t.voice, t.text)):
        pieces = shards.setdefault(take.voice, [])
        start = sum(len(p) for p in pieces)
        pieces.append(take.pcm)
        info = TakeInfo(
            voice=take.voice, text=take.text, start=start, stop=start + len(take.pcm), words=take.words
        )
        infos.append(info)
    kept = {shard_name(voice) for voice in shards}
    for voice, pieces in shards.items():
        path = folder / shard_name(voice)
        aside = path.with_suffix(".part")
        soundfile.write(aside, np.concatenate(pieces), RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=1.0)
        aside.replace(path)
    for old in folder.glob("*.flac"):
        if old.name not in kept:
            old.unlink()
    lines = ",\n".join(msgspec.json.encode(info).decode() for info in infos)
    (folder / "takes.json").write_text(f"[\n{lines}\n]\n")
