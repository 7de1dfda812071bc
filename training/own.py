"""nano's own voice as one that it learns from: thirty times faster than a core speaks, with exact words and phones.

The released speech stage (``models/speech``) says each text as a whole. A take has a speaker of its own: mixed from two
of the stage's voices, its mels drawn along the frequencies as by a longer or shorter throat, its F0 and pace its own.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from services.interaction.speech.config import (
    DELAY_FRAMES,
    F0_PLACE,
    FEATURES,
    HOP,
    MELS,
    RATE_HZ,
    TICK_FRAMES,
    VOICED_PLACE,
    SpeechConfig,
)
from services.interaction.speech.g2p import ACCENTS, MARKS, Phonemiser, ids, read_lexicon
from services.interaction.speech.head import SpeechHead, ahead, places
from services.interaction.speech.letters import LetterNet, speak_letters
from services.interaction.speech.speaker import CONFIG, LEXICON, WEIGHTS
from services.interaction.speech.vocoder import F0_SCALE, SILENCE, Vocoder
from training.phones import Phone, from_ipa
from training.synth import OWN_WEIGHTS

MIX = "mix"
BATCH = 8
_END = 6  # frames of silence behind the last sound
_FRAME = 200  # samples of 16 kHz in a frame
Floats = npt.NDArray[np.float32]
Net = TypeVar("Net", bound=nn.Module)


class Speaker(NamedTuple):
    """Who says a take: shares of the stage's voices, and how the mels and F0 are bent."""

    shares: tuple[float, ...]
    accent: str
    throat: float  # frequencies are this times as high
    pitch: float  # so is F0
    pace: float  # over 1 is faster


class Said(NamedTuple):
    """Audio at 24 kHz; ends of words and phones in samples at 16 kHz. No word ends where one is spoken as several."""

    audio: Floats
    word_ends: list[int] | None
    phones: list[Phone]


def speaker_of(voice: str, text: str, names: tuple[str, ...], accents: tuple[str, ...]) -> Speaker:
    """The speaker of ``text`` under the name of one of the stage's voices, or ``mix-N``: a new one each take."""
    rng = random.Random(f"own/{voice}/{text}")
    first = rng.randrange(len(names)) if voice.startswith(MIX) else names.index(voice)
    shares = [0.0] * len(names)
    share = rng.uniform(0.5, 1.0) if voice.startswith(MIX) else 1.0
    shares[first] += share
    shares[rng.randrange(len(names))] += 1.0 - share
    throat = rng.uniform(0.88, 1.14)
    pitch = throat ** rng.uniform(0.5, 2.5) * math.exp(rng.gauss(0.0, 0.08))
    return Speaker(tuple(shares), accents[first], throat, pitch, rng.uniform(0.85, 1.2))


def bent(features: Tensor, throat: float, pitch: float) -> Tensor:
    """``[frames, FEATURES]`` with the mels moved along the frequencies and F0 scaled."""
    out = features.clone()
    top = 2595.0 * math.log10(1.0 + RATE_HZ / 2 / 700.0)
    mels = torch.arange(1, MELS + 1) * (top / (MELS + 1))
    hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    source = 2595.0 * torch.log10(1.0 + hz / throat / 700.0) * ((MELS + 1) / top) - 1.0
    low = source.floor().clamp(0, MELS - 2)
    part = (source - low).clamp(0.0, 1.0)
    place = low.long()
    out[:, :MELS] = features[:, place] * (1.0 - part) + features[:, place + 1] * part
    out[:, F0_PLACE] += math.log(pitch) / F0_SCALE
    return out


def _durations(log_frames: Tensor, pace: float) -> npt.NDArray[np.int64]:
    """Frames of each symbol of a text, the end's being what it takes to fall silent."""
    frames = np.rint(np.exp(log_frames.clamp(0.0, 4.4).numpy()) / pace)
    out: npt.NDArray[np.int64] = np.maximum(1, frames).astype(np.int64)
    out[-1] = _END
    return out


def _filled(net: Net, weights: dict[str, Tensor]) -> Net:
    net.load_state_dict(weights)
    return net.eval()


class OwnVoice:
    """The stage's networks, offline. Raises ``FileNotFoundError`` without its weights."""

    rate_hz = RATE_HZ

    def __init__(self, folder: Path = OWN_WEIGHTS.parent) -> None:
        config = SpeechConfig.load(folder / CONFIG)
        self.names, self.accents = config.voices, config.accents
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in load_file(folder / WEIGHTS).items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor.float()
        self._head = _filled(SpeechHead(config), parts["head"])
        self._vocoder = _filled(Vocoder(config), parts["vocoder"])
        self._embedding = self._head.voices.weight.detach().clone()
        guess = speak_letters(_filled(LetterNet(), parts["letters"]))
        self._speak = {a: Phonemiser(read_lexicon(folder / LEXICON, a), a, guess) for a in ACCENTS}

    def word(self, word: str, accent: str) -> str:
        """A word's phonemes, said by itself; guessed from its letters where nothing else is known."""
        return self._speak[accent].word(word).phones

    def symbols(self, text: str, accent: str) -> tuple[str, list[int] | None]:
        """``^…$``, and how many symbols there are up to each word's end (None where a word is spoken as several)."""
        tokens = text.split()
        speak, line, borders = self._speak[accent], "^", []
        neighbours = zip(["", *tokens], tokens, [*tokens[1:], None], strict=False)
        for place, (before, token, after) in enumerate(neighbours):
            word = speak.word(token, before, after)
            line += (" " if place else "") + word.phones
            borders.append(len(line))
            line += word.mark
        single = line.count(" ") == len(tokens) - 1
        return (line if line[-1] in MARKS else f"{line}.") + "$", borders if single else None

    @torch.inference_mode()
    def say(self, jobs: list[tuple[str, str]]) -> list[Said]:
        """``(text, voice)`` each, in one batch."""
        speakers = [speaker_of(voice, text, self.names, self.accents) for text, voice in jobs]
        lines = [self.symbols(text, s.accent) for (text, _), s in zip(jobs, speakers, strict=True)]
        numbers = [np.array(ids(line), dtype=np.int64) for line, _ in lines]
        longest = max(map(len, numbers))
        following = np.zeros((len(jobs), longest, ahead(numbers[0], numbers[0]).shape[1]), dtype=np.int64)
        for row, one in enumerate(numbers):
            following[row, : len(one)] = ahead(one, np.full(len(one), len(one) + following.shape[2]))
        self._head.voices.weight = nn.Parameter(torch.tensor([s.shares for s in speakers]) @ self._embedding, False)
        who = torch.arange(len(jobs))
        encoded = self._head.encode(torch.from_numpy(following), who, torch.zeros(len(jobs), longest, dtype=torch.long))
        durations = [
            _durations(encoded.log_frames[row, : len(one)], s.pace)
            for row, (one, s) in enumerate(zip(numbers, speakers, strict=True))
        ]
        frames = -(-(max(int(d.sum()) for d in durations) + DELAY_FRAMES) // TICK_FRAMES) * TICK_FRAMES
        features = self._features(encoded.codes, durations, frames, who, speakers)
        sound, _ = self._vocoder.advance(features, self._vocoder.empty(len(jobs)))
        out = []
        for row, (line, borders) in enumerate(lines):
            length = int(durations[row].sum()) * HOP
            audio = sound[row, DELAY_FRAMES * HOP : DELAY_FRAMES * HOP + length].numpy()
            ends = [int(end) * _FRAME for end in np.cumsum(durations[row])]
            words = None if borders is None else [ends[border - 1] for border in borders]
            out.append(Said(audio, words, from_ipa(line, ends)))
        return out

    def _features(
        self, codes: Tensor, durations: list[npt.NDArray[np.int64]], frames: int, who: Tensor, speakers: list[Speaker]
    ) -> Tensor:
        """What the vocoder gets, ``[n, frames, FEATURES]``: silence behind each text. No details: those of a voice that
        is bent would be another's."""
        spread = codes.new_zeros(len(durations), frames, codes.shape[2])
        where = codes.new_zeros(len(durations), frames, places(durations[0], durations[0]).shape[1])
        for row, counts in enumerate(durations):
            total = int(counts.sum())
            spread[row, :total] = codes[row, : len(counts)].repeat_interleave(torch.from_numpy(counts), dim=0)
            at = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            where[row, :total] = torch.from_numpy(places(np.repeat(counts, counts), at))
        decoded = self._head.decode(spread, where, who)
        features = torch.zeros(len(durations), frames, FEATURES)
        features[..., :MELS] = SILENCE
        for row, (counts, speaker) in enumerate(zip(durations, speakers, strict=True)):
            total = int(counts.sum())
            drawn = decoded[row, :total]
            features[row, :total, :VOICED_PLACE] = bent(drawn, speaker.throat, speaker.pitch)[:, :VOICED_PLACE]
            features[row, :total, VOICED_PLACE] = (drawn[:, VOICED_PLACE] > 0.0).float()
        return features


@lru_cache(maxsize=1)
def own_voice() -> OwnVoice:
    """The released one, on one thread."""
    torch.set_num_threads(1)
    return OwnVoice()
