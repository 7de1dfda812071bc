"""Listening by measurement: words by Whisper, opinion scores by DNSMOS. Extras ``eval`` and ``voices``."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from infra.eval.recognise import load, transcribe
from services.interaction.speech.config import RATE_HZ
from services.interaction.speech.speller import spell
from training.edits import edit_distance

Floats = npt.NDArray[np.float32]
_MOS_SAMPLES = 144_160  # 9.01 s at 16 kHz
_OVERALL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])  # DNSMOS P.835's own map to the scale of opinion scores


@lru_cache(maxsize=1)
def recogniser() -> Any:
    """Whisper base, else tiny.en. Raises ``HearingMissing``."""
    return load()


def plain_words(text: str) -> list[str]:
    """Words as they are spoken: numbers spelt out, no marks, no case."""
    tokens = re.sub(r"(?<=\d)-(?=\d)", " ", text).split()
    spoken = [
        spell(token, before, after).words
        for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False)
    ]
    plain = [word.strip(".").replace("'", "").replace("metre", "meter") for words in spoken for word in words]
    return ["okay" if word == "ok" else word for word in plain]


def heard(audio: Floats, wanted: list[str]) -> list[str]:
    """What Whisper hears in 24 kHz audio. Numbers may be written as digits or not, whichever comes nearer: with digits
    1 2 3 becomes 123, and without them it loses the way in long ones."""
    samples = soxr.resample(audio, RATE_HZ, 16_000)
    free = " ".join(w.text for w in transcribe(dataclasses.replace(recogniser(), digits=()), samples))
    spelt = " ".join(w.text for w in transcribe(recogniser(), samples)) if re.search(r"\d", free) else free
    return min((plain_words(free), plain_words(spelt)), key=lambda got: word_errors(wanted, got))


def word_errors(wanted: list[str], got: list[str]) -> int:
    """Edits from one to the other; words written together or apart count as the same."""
    if "".join(wanted) == "".join(got):
        return 0
    return edit_distance(wanted, got)


@lru_cache(maxsize=1)
def _mos() -> Any:
    import onnxruntime

    spec = importlib.util.find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package speechmos is not installed: pip install 'microturn[voices]'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(spec.submodule_search_locations[0]) / "dnsmos_models/sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def sounding(audio: Floats) -> Floats:
    """Without the digital silence around it."""
    at = np.flatnonzero(np.abs(audio) > 1.5 / 32_767)
    return audio[at[0] : at[-1] + 1] if len(at) else audio


def opinion(audio: Floats) -> float:
    """DNSMOS P.835 overall of 24 kHz audio, repeated up to 9 s as its authors do; mean over seconds beyond. Speech that
    begins and ends within ticks has digital silence around it, which no recording has and which costs 0.06 of a
    point: it is left out."""
    samples = soxr.resample(sounding(audio), RATE_HZ, 16_000)
    while len(samples) < _MOS_SAMPLES:
        samples = np.concatenate([samples, samples])
    last = (len(samples) - _MOS_SAMPLES) // 16_000
    scores = []
    for second in range(last + 1):
        piece = np.clip(samples[second * 16_000 : second * 16_000 + _MOS_SAMPLES], -1, 1).astype(np.float32)
        scores.append(float(_OVERALL(_mos().run(None, {"input_1": piece[None]})[0][0][2])))
    return float(np.mean(scores))


def border_steps(audio: Floats, tick: int, offset: int = 0) -> float:
    """Steps between neighbouring samples at tick borders (or ``offset`` samples behind each) against those around them:
    a ratio of means, 1 where the place is like any other."""
    steps = np.abs(np.diff(audio))
    at = np.arange(tick - 1 + offset, len(steps), tick)
    near = [np.r_[steps[max(0, a - 40) : a], steps[a + 1 : a + 41]].mean() for a in at]
    pairs = [(steps[a], n) for a, n in zip(at, near, strict=True) if n > 1e-4]
    return float(np.mean([s for s, _ in pairs]) / np.mean([n for _, n in pairs])) if pairs else 1.0


def pairwise_distance(values: list[float]) -> float:
    """The widest gap between two of some values."""
    return max((abs(a - b) for a, b in itertools.combinations(values, 2)), default=0.0)
