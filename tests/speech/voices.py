"""Speakers with weights that nobody trained, always the same ones: every path carries signal, none a word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view

from schemas.records import Manner
from services.interaction.protocol import SayInput, SayOutput
from services.interaction.speech.config import FEATURES, VOICED_PLACE, SpeechConfig, StackSize
from services.interaction.speech.g2p import ACCENTS, Phonemiser, read_lexicon
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.letters import LetterNet, speak_letters
from services.interaction.speech.speaker import Speaker
from services.interaction.speech.vocoder import Vocoder

LEXICON = Path("models/speech/lexicon.tsv.xz")
SMALL = SpeechConfig(
    voices=("anna", "bert", "carla"),
    accents=("us", "gb", "us"),
    embedding=16,
    encoder=StackSize(32, 64, 2, 5),
    decoder=StackSize(32, 64, 3, 7),
    vocoder=StackSize(32, 64, 2, 7),
)


@lru_cache(maxsize=1)
def phonemisers() -> dict[str, Phonemiser]:
    torch.manual_seed(2)
    guess = speak_letters(LetterNet())
    return {accent: Phonemiser(read_lexicon(LEXICON, accent), accent, guess) for accent in ACCENTS}


def networks(config: SpeechConfig = SMALL) -> tuple[SpeechHead, Vocoder]:
    torch.manual_seed(1)
    head, vocoder = SpeechHead(config), Vocoder(config)
    with torch.no_grad():
        head.encoder.leave.bias[config.encoder.width] = 1.6  # about five frames a symbol
        head.manners.weight.normal_(std=0.5)
    return head.eval(), vocoder.eval()


def speaker(config: SpeechConfig = SMALL) -> Speaker:
    return Speaker(config, *networks(config), phonemisers())


def features(n: int, frames: int, seed: int = 0) -> torch.Tensor:
    """Random but possible inputs of a vocoder."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, frames, FEATURES)).astype(np.float32) * 0.5
    values[..., VOICED_PLACE] = rng.random((n, frames)) > 0.3
    return torch.from_numpy(values)


def ticks(
    text: str,
    *,
    every: int = 1,
    cut: int | None = None,
    length: int = 40,
    session: str = "s",
    manners: Sequence[Manner] = (Manner.STATEMENT,),
) -> list[SayInput]:
    """One word every so many ticks, the manners by turns, perhaps a cut at one of them."""
    words = text.split()
    return [
        SayInput(
            session,
            f" {words[t // every]}" if t % every == 0 and t // every < len(words) else "",
            cut=t == cut,
            manner=manners[t % len(manners)],
        )
        for t in range(length)
    ]


def say(voice: Speaker, items: list[SayInput], name: str = "default") -> list[SayOutput]:
    """One session alone, from silence."""
    voice.open(items[0].session_id, name)
    out = [voice.step([item])[0] for item in items]
    voice.close(items[0].session_id)
    return out


def samples(outputs: list[SayOutput]) -> npt.NDArray[np.int16]:
    return np.frombuffer(b"".join(o.audio or bytes(9600) for o in outputs), dtype="<i2")


CLICK = 2.2  # of ``lone_step``: the released voice stays below 2, vowels that are cut off without a fade reach 4 to 13
_AROUND, _FLOOR = 36, 40  # samples on each side (1.5 ms), and a step of the 16 bit scale that nobody hears


def lone_step(values: npt.NDArray[np.int_]) -> float:
    """How much the step between two samples exceeds every other one within 1.5 ms, at the place where it does so most.
    A sibilant has steps that are as large as a click's, but in company."""
    steps = np.abs(np.diff(values.astype(int)))
    around = sliding_window_view(np.pad(steps, _AROUND), 2 * _AROUND + 1).copy()
    around[:, _AROUND] = 0
    return float((steps / (around.max(axis=1) + _FLOOR)).max())
