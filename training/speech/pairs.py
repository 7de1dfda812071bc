"""Takes with sound together with the states that the teacher made them from, for networks that read the states."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.speech import manner_texts
from training.speech.data import Example, example, trimmed
from training.speech.states import WIDTH, Sketch, in_manner, sketch
from training.speech.synth import Raw, read_shard
from training.speech.teacher import VOICES

GIVEN = WIDTH + 1 + len(VOICES)  # states, F0 and voice of a frame
_STATE_SCALE, _HZ_FLOOR = 3.0, 10.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """Of one take, without the silence around it: ``given [frames, GIVEN]``, in half precision, and what was heard.
    ``level_db`` and ``bright_db`` of it are its manner's and not in the states."""

    given: npt.NDArray[np.float16]
    example: Example
    level_db: float = 0.0
    bright_db: float = 0.0


def inputs(take: Sketch) -> Floats:
    """``[frames, GIVEN]`` of the whole take."""
    out = np.zeros((len(take.f0), GIVEN), dtype=np.float32)
    out[:, :WIDTH] = take.states / _STATE_SCALE
    out[:, WIDTH] = np.log(np.maximum(take.f0, _HZ_FLOOR)) - np.log(100.0)
    out[:, WIDTH + 1 + VOICES.index(take.voice)] = 1.0
    return out


def joined(take: Sketch, raw: Raw) -> Pair:
    """A sketch and the take that was spoken from it."""
    _, first, last = trimmed(raw.durations.astype(np.int64))
    return Pair(inputs(take)[first:last].astype(np.float16), example(raw), take.level_db, take.bright_db)


@lru_cache(maxsize=1)
def _jobs() -> dict[tuple[str, str, str, bool], manner_texts.Job]:
    return {(job.text, job.voice, job.manner, job.settles): job for job in manner_texts.jobs()}


def sketch_of(raw: Raw) -> Sketch | None:
    """The sketch of a spoken take; None where it was planned by another teacher (frames or durations differ)."""
    if raw.manners:
        job = _jobs().get((raw.text, raw.voice, raw.manners[0], len(set(raw.manners)) > 1))
        take = in_manner(job) if job else None
    else:
        take = sketch(raw.text, raw.voice)
    if take is None or len(take.f0) != len(raw.f0) or not np.array_equal(take.durations, raw.durations):
        return None
    return take


def pairs(folder: Path) -> list[Pair]:
    """Of all takes that were spoken. Raises ``FileNotFoundError`` when there is none."""
    raws = (raw for path in sorted(folder.glob("*[0-9].npz")) for raw in read_shard(path))
    found = [joined(take, raw) for raw in raws if (take := sketch_of(raw)) is not None]
    if not found:
        raise FileNotFoundError(f"{folder}: no takes to learn from (python -m training.speech.synth)")
    return found
