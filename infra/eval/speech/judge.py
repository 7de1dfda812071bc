"""Two listeners: Whisper says which words are to be heard, DNSMOS how good it sounds. What was judged is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from infra.eval.speech.lines import Pcm
from training.speech.listen import OPINION, heard, opinion, recogniser


class Judgement(msgspec.Struct, frozen=True):
    """``heard`` words as they are spoken; ``opinion`` None where there is no sound or no judge."""

    heard: list[str]
    opinion: float | None


class Judge:
    """``cache``: a folder for what was judged, by the sound and the words that were to be heard."""

    def __init__(self, cache: Path) -> None:
        """Raises ``HearingMissing`` where no recogniser is installed."""
        self._cache = cache
        self.name: str = recogniser().name

    def judge(self, pcm: Pcm, wanted: Sequence[str], *, opinions: bool = True) -> Judgement:
        """``pcm`` is 24 kHz mono; ``wanted`` decides only how numbers are written."""
        named = f"{self.name}/{OPINION if opinions else None}/{' '.join(wanted)}/".encode() + pcm.tobytes()
        path = self._cache / f"{hashlib.sha256(named).hexdigest()[:24]}.json"
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=Judgement)
        audio = pcm.astype(np.float32) / np.float32(32768.0)
        made = Judgement(heard(audio, list(wanted)) if len(pcm) else [], _opinion(audio) if opinions else None)
        self._cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(made))
        return made


def _opinion(audio: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float | None:
    if not len(audio):
        return None
    try:
        return opinion(audio)
    except FileNotFoundError:  # speechmos is not installed
        return None
