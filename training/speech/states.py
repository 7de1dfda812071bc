"""What the teacher knows of a sentence before its generator makes the sound: durations, F0, states."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from training import kokoro
from training.kokoro_fast import STATES, part
from training.speech import driven, manner_texts, manners, teacher

WIDTH = 512
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sketch:
    """As ``teacher.Take``, with ``states [frames, WIDTH]`` in the place of audio. ``bright_db`` is what its manner adds
    above 2 kHz."""

    text: str
    voice: str
    symbols: str
    durations: npt.NDArray[np.int16]
    f0: Floats
    states: Floats
    manners: tuple[str, ...] = ()
    level_db: float = 0.0
    bright_db: float = 0.0


@lru_cache(maxsize=1)
def _planning() -> Any:
    import onnx

    return kokoro.plain_session(part(onnx.load(str(kokoro.model())), (teacher.DURATIONS, teacher.F0, STATES)))


@lru_cache(maxsize=1)
def _driven() -> Any:
    import onnx

    return kokoro.plain_session(part(onnx.load(str(driven.graph())), (STATES,)))


def _run(session: Any, fed: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    takes = {one.name for one in session.get_inputs()}
    made: list[npt.NDArray[Any]] = session.run(None, {name: array for name, array in fed.items() if name in takes})
    return made


def sketch(text: str, voice: str) -> Sketch:
    """What the teacher would say. Raises ``ValueError`` as ``teacher.inputs`` does."""
    line, fed = teacher.inputs(text, voice)
    steps, f0, states = _run(_planning(), fed)
    flat = np.asarray(f0, dtype=np.float32).reshape(-1)
    return Sketch(text, voice, line, teacher.frames(steps), flat, np.ascontiguousarray(states[0].T))


def in_manner(job: manner_texts.Job) -> Sketch:
    """What it would say in a manner. Raises ``ValueError`` as ``teacher.inputs`` does."""
    planned = manners.planned(job.text, job.voice, job.manner, settles=job.settles)
    (states,) = _run(_driven(), planned.fed)
    delivery = manners.DELIVERIES[job.manner]
    return Sketch(
        job.text,
        job.voice,
        planned.symbols,
        planned.durations,
        planned.f0,
        np.ascontiguousarray(states[0].T),
        manners.of_words(planned.symbols, job.manner, settles=job.settles),
        delivery.level_db,
        delivery.bright_db,
    )
