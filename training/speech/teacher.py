"""Kokoro as the teacher: audio, one duration a phoneme and the F0 that it used itself, from our own phonemes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.interaction.speech.g2p import ACCENTS, Phonemiser, Word, read_lexicon
from training import kokoro
from training.speech.lexicon import LEXICON
from training.voices import load

VOICES = ("af_heart", "am_fenrir", "bf_isabella", "bm_fable")  # none of the held-out ones; the first is "default"
DURATIONS = "/encoder/Clip_output_0"
F0 = "/encoder/F0_proj/Conv_output_0"
STEP_FRAMES = 2  # a duration step of 25 ms is two frames of 12.5 ms


@dataclass(frozen=True, slots=True)
class Take:
    """One sentence: ``audio`` float32 24 kHz, ``symbols`` with ``^`` before and ``$`` behind, durations in frames (300
    samples) of each, ``f0`` in Hz per frame as the teacher drove its own source (below 10: unvoiced)."""

    text: str
    voice: str
    symbols: str
    durations: npt.NDArray[np.int16]
    f0: npt.NDArray[np.float32]
    audio: npt.NDArray[np.float32]
    manners: tuple[str, ...] = ()  # of each spoken word; none: statements
    level_db: float = 0.0  # above the level that all takes are brought to


def accent(voice: str) -> str:
    return "gb" if voice.startswith("b") else "us"


@lru_cache(maxsize=2)
def phonemiser(which: str) -> Phonemiser:
    return Phonemiser(read_lexicon(LEXICON, which), which, lambda word, _: f"<{word}>")


def words(text: str, which: str) -> list[Word]:
    tokens = text.split()
    speak = phonemiser(which)
    ahead: list[str | None] = [*tokens[1:], None]
    return [
        speak.word(token, tokens[i - 1] if i else "", after)
        for i, (token, after) in enumerate(zip(tokens, ahead, strict=True))
    ]


def symbols(text: str, which: str) -> str:
    """``^hˈW ˈɑɹ ju?$``: the whole sentence; a mark stands before its space; without one at the end, a full stop."""
    joined = " ".join(w.phones + w.mark for w in words(text, which) if w.phones)
    return f"^{joined}$" if joined[-1:] in ".?!" else f"^{joined.rstrip(',')}.$"


def knows(text: str) -> bool:
    """Whether the dictionary has all its words in both accents: nothing is guessed from letters."""
    return all("<" not in symbols(text, which) for which in ACCENTS)


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnx

    path = Path(kokoro.CACHE) / "kokoro-f0.onnx"
    if not path.exists():
        graph = onnx.load(str(kokoro.model()))
        graph.graph.output.extend([onnx.ValueInfoProto(name=F0)])
        onnx.save(graph, str(path))
    return kokoro.session(path)


def inputs(text: str, voice: str, speed: float = 1.0) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """The symbols of a sentence, and what the graph is fed with for it.

    Raises:
        ValueError: a held-out voice, or a symbol that the teacher does not know.
    """
    if any(v.voice == voice and v.held_out for v in load()):
        raise ValueError(f"{voice} is held out")
    line = symbols(text, accent(voice))
    tokens = kokoro._tokenizer().tokenize(line[1:-1])
    if len(tokens) != len(line) - 2:
        raise ValueError(f"not all of {line!r} is known to the teacher")
    return line, {
        "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
        "style": kokoro._style(voice)[len(tokens)],
        "speed": np.array([speed], dtype=np.float32),
    }


def frames(steps: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """The graph's durations as frames of each symbol."""
    return np.asarray(np.round(steps).reshape(-1) * STEP_FRAMES, dtype=np.int16)


def speak(text: str, voice: str) -> Take:
    """A sentence as the teacher says it. Raises ``ValueError`` as ``inputs`` does."""
    line, fed = inputs(text, voice)
    audio, durations, f0 = _session().run(None, fed)
    return Take(
        text=text,
        voice=voice,
        symbols=line,
        durations=frames(durations),
        f0=np.asarray(f0, dtype=np.float32).reshape(-1),
        audio=np.asarray(audio, dtype=np.float32).reshape(-1),
    )
