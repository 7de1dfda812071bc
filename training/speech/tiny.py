"""The whole road in small: takes of a stand-in teacher that hums, every network for some steps, export, a spoken word.

What comes out is no speech. The teacher's packages are not needed: each symbol is a chord of its own for a fixed time.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from schemas.records import Manner
from services.interaction.speech.config import HOP, RATE_HZ, SpeechConfig, StackSize
from services.interaction.speech.g2p import ids
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.letters import LetterNet
from services.interaction.speech.speaker import Speaker
from services.interaction.speech.vocoder import Vocoder
from training.speech import details, head, letters, mels, sketches, teacher, vocoder
from training.speech.export import export
from training.speech.loop import Plan
from training.speech.pairs import Pair, joined
from training.speech.states import WIDTH, Sketch
from training.speech.synth import read_shard, save_shard
from training.speech.texts import skill_texts

STEPS = 8
MELS_SIZE = DETAILS_SIZE = StackSize(32, 64, 2, 7)


def config() -> SpeechConfig:
    """The served design with a few thousand weights."""
    return dataclasses.replace(
        vocoder.config(),
        embedding=16,
        encoder=StackSize(32, 64, 2, 5),
        decoder=StackSize(32, 64, 2, 7),
        vocoder=StackSize(32, 64, 2, 7),
    )


def hum(text: str, voice: str) -> teacher.Take:
    """A take of the stand-in: 75 ms a symbol, a chord above 100 to 160 Hz; silence for pauses and ends."""
    symbols = teacher.symbols(text, teacher.accent(voice))
    durations = np.full(len(symbols), 6, dtype=np.int16)
    durations[[0, -2, -1]] = 16
    places = np.repeat(np.array(ids(symbols)), durations)
    silent = np.repeat(np.array([s in "^$ ,.?!" for s in symbols]), durations)
    f0 = np.where(silent, 0.0, 100.0 + 20.0 * teacher.VOICES.index(voice) + places % 7).astype(np.float32)
    phase = np.cumsum(np.repeat(f0, HOP)) / RATE_HZ
    audio = np.zeros(len(phase))
    for harmonic in range(1, 13):
        audio += np.repeat(~silent / (1.0 + (places * harmonic) % 5), HOP) * np.sin(2 * np.pi * harmonic * phase)
    return teacher.Take(text, voice, symbols, durations, f0, (0.05 * audio).astype(np.float32))


def murmured(take: teacher.Take) -> teacher.Take:
    """The take as a backchannel: at half the level."""
    manners = (Manner.BACKCHANNEL,) * (take.symbols.count(" ") + 1)
    return dataclasses.replace(take, manners=manners, level_db=-6.02)


def imagined(take: teacher.Take) -> Sketch:
    """What the stand-in knows before it hums: which symbol, and how far into it."""
    states = np.zeros((len(take.f0), WIDTH), dtype=np.float32)
    states[np.arange(len(states)), np.repeat(np.array(ids(take.symbols)), take.durations)] = 3.0
    return Sketch(
        take.text, take.voice, take.symbols, take.durations, take.f0, states, take.manners, take.level_db
    )


def joined_takes(shard: Path) -> list[Pair]:
    """The takes of a shard with what the stand-in knew before."""
    return [joined(imagined(hum(raw.text, raw.voice)), raw) for raw in read_shard(shard)]


def sketched(folder: Path, takes: list[teacher.Take], plan: Plan) -> None:
    """Mels, and details with the vocoder, are learned from the spoken takes of ``folder``, and told of others."""
    known = joined_takes(folder / "shards/0000.npz")
    torch.manual_seed(0)
    singer = vocoder.Singer(Vocoder(config()), details.DetailNet(DETAILS_SIZE))
    vocoder.learn(singer, known, plan, 2, folder / "vocoder.safetensors")
    mels.learn(mels.MelNet(MELS_SIZE), known, plan, 2, folder / "mels.safetensors")
    nets = sketches.Readers(
        mels.load(folder / "mels.safetensors", MELS_SIZE),
        details.load(folder / "vocoder.safetensors", DETAILS_SIZE),
        singer.vocoder.eval(),
    )
    (folder / "sketches").mkdir(exist_ok=True)
    sketches.save_shard(folder / "sketches/0000.npz", [sketches.example(imagined(take), nets) for take in takes])


def tiny_run(folder: Path) -> Speaker:
    """Walk it in ``folder``; returns the speaker that was trained. What is there is gone on from."""
    shards, small = folder / "shards", config()
    shards.mkdir(parents=True, exist_ok=True)
    takes = [hum(text, teacher.VOICES[i % len(teacher.VOICES)]) for i, text in enumerate(skill_texts()[:16])]
    save_shard(shards / "0000.npz", takes[:12])
    save_shard(shards / "manner-0000.npz", [murmured(take) for take in takes[12:]])
    plan = Plan(STEPS, 3e-3, warm=2, save_every=4, log_every=4)
    sketched(folder, [hum(text, teacher.VOICES[0]) for text in skill_texts()[16:20]], plan)
    torch.manual_seed(0)
    head.learn(SpeechHead(small), folder, plan, 400, folder / "head.safetensors")
    letters.learn(LetterNet(), plan, folder / "letters.safetensors", words=2000)
    export(folder, folder / "model", small)
    return Speaker.load(folder / "model")
