"""Takes as arrays to train on: level made equal, silence trimmed, mels, F0 and durations per frame of 12.5 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from schemas.records import Manner
from services.interaction.speech.config import F0_PLACE, FEATURES, HOP, MELS, RATE_HZ, VOICED_PLACE
from services.interaction.speech.vocoder import F0_MEAN, F0_SCALE, log_mel
from training.speech.synth import SHARDS, Raw, read_shard

LEVEL = 0.07  # root mean square of the speaking frames: every voice, every sentence
VOICED_HZ = 50.0
LEAD, MARK, TAIL = 6, 14, 6  # frames kept before the first sound, of the last mark, and after it
_MANNERS = tuple(Manner)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """``features [frames, FEATURES]`` belong to ``audio [frames * HOP]``; ``durations`` sum to frames; ``manners``
    holds one a symbol, as its place in ``Manner``; ``turns`` are the periods that the teacher's source has gone through
    as each frame ends."""

    text: str
    voice: str
    symbols: str
    durations: npt.NDArray[np.int64]
    audio: Floats
    features: Floats
    manners: npt.NDArray[np.int64]
    turns: npt.NDArray[np.float64]


def speaking(audio: Floats) -> npt.NDArray[np.bool_]:
    """Which frames are speech rather than silence: within 26 dB of the loudest."""
    rms = np.sqrt(np.mean(np.square(audio[: len(audio) // HOP * HOP].reshape(-1, HOP)), axis=1))
    return np.asarray(rms > 0.05 * rms.max())


def level(audio: Floats) -> float:
    """Root mean square of the speaking frames."""
    frames = audio[: len(audio) // HOP * HOP].reshape(-1, HOP)[speaking(audio)]
    return float(np.sqrt(np.mean(np.square(frames))))


def trimmed(durations: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int, int]:
    """Durations with short ends, the first frame that is kept, and one past the last."""
    kept = durations.copy()
    kept[0] = min(durations[0], LEAD)
    kept[-2] = min(durations[-2], MARK)
    kept[-1] = min(durations[-2] + durations[-1] - kept[-2], TAIL)
    first = int(durations[0] - kept[0])
    return kept, first, first + int(kept.sum())


def pitch(f0: Floats, loud: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Normalised log F0, drawn straight through what is not voiced, and the flag."""
    voiced = (f0 >= VOICED_HZ) & loud
    if not voiced.any():
        return np.zeros_like(f0), np.zeros_like(f0)
    at = np.arange(len(f0))
    log = np.interp(at, at[voiced], np.log(f0[voiced]))
    return ((log - F0_MEAN) / F0_SCALE).astype(np.float32), voiced.astype(np.float32)


def source_turns(f0: Floats) -> npt.NDArray[np.float64]:
    """Periods of the teacher's source at the end of each frame, from the take's begin on. It sums F0 frame by frame,
    also where it is no pitch, and has come to the sum in the middle of the frame: the rest is half the next one's."""
    after = np.concatenate([f0[1:], f0[-1:]]).astype(np.float64)
    turns: npt.NDArray[np.float64] = (np.cumsum(f0, dtype=np.float64) + 0.5 * after) * (HOP / RATE_HZ)
    return turns


def features(audio: Floats, f0: Floats) -> Floats:
    """``[frames, FEATURES]`` of audio with its F0 per frame.

    A frame's F0 is what our source comes to at its end, gliding from the last frame's. The teacher's runs at a frame's
    F0 from its middle to the next one's: so ours gets the next frame's.
    """
    rms = np.sqrt(np.mean(np.square(audio.reshape(-1, HOP)), axis=1))
    log, voiced = pitch(f0, np.asarray(rms > 0.003 * max(float(rms.max()), 1e-6)))
    out = np.zeros((len(f0), FEATURES), dtype=np.float32)
    with torch.inference_mode():
        out[:, :MELS] = log_mel(torch.from_numpy(audio)[None])[0].numpy()
    out[:, F0_PLACE], out[:, VOICED_PLACE] = np.append(log[1:], log[-1:]), voiced
    return out


def manners_of(symbols: str, words: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """One a symbol, from one a word: a word begins with the space before it, and the last one owns the end."""
    if not words:
        return np.zeros(len(symbols), dtype=np.int64)
    places = np.array([_MANNERS.index(Manner(name)) for name in words], dtype=np.int64)
    words_before = np.cumsum([symbol == " " for symbol in symbols])
    return np.asarray(places[words_before])


def example(take: Raw) -> Example:
    """From a take as it lies in a shard; its level is that of all takes, but for what its manner adds."""
    kept, first, last = trimmed(take.durations.astype(np.int64))
    audio = take.pcm.astype(np.float32)[first * HOP : last * HOP] / 32767.0
    audio = audio * np.float32(LEVEL * 10 ** (take.level_db / 20) / max(level(audio), 1e-4))
    f0 = take.f0[first:last]
    manners, turns = manners_of(take.symbols, take.manners), source_turns(take.f0)[first:last]
    return Example(take.text, take.voice, take.symbols, kept, audio, features(audio, f0), manners, turns)


def spoken(path: Path) -> list[Example]:
    """All takes of a shard."""
    return [example(take) for take in read_shard(path)]


def seconds(examples: Iterable[Example]) -> float:
    """Of speech, all together."""
    return sum(len(one.features) for one in examples) * HOP / RATE_HZ


def read(
    folder: Path = SHARDS,
    known: dict[Path, list[Example]] | None = None,
    shard: Callable[[Path], list[Example]] = spoken,
) -> list[Example]:
    """All shards that are there. With ``known``, only new ones are read, and added to it."""
    cache: dict[Path, list[Example]] = {} if known is None else known
    for path in sorted(folder.glob("*[0-9].npz")):
        if path not in cache:
            cache[path] = shard(path)
    return [one for path in sorted(cache) for one in cache[path]]
