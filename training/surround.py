"""What surrounds the voices of a session: rooms, other people, coughs, noise, filters, lost packets."""

from __future__ import annotations

import random

import numpy as np

from training.bank import Bank, stretched
from training.script import TICK, Recipe, Samples, Script
from training.synth import RATE_HZ


def surround(rng: random.Random, script: Script, bank: Bank, recipe: Recipe) -> None:
    """Room, other people, noise, filters, lost packets."""
    audio = script.audio
    generator = np.random.default_rng(rng.randrange(2**32))
    if rng.random() < recipe.reverb:
        tail = int(rng.uniform(0.05, 0.25) * RATE_HZ)
        decay = generator.standard_normal(tail).astype(np.float32) * np.exp(-6.0 * np.arange(tail) / tail)
        size = 1 << (len(audio) + tail).bit_length()
        wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(decay, size), size)[: len(audio)]
        audio += (wet * (rng.uniform(0.02, 0.06))).astype(np.float32)
    if rng.random() < recipe.babble:
        _babble(rng, audio, bank)
    for _ in range(rng.choice((1, 1, 2)) if rng.random() < recipe.cough else 0):
        at = rng.randrange(len(audio) - RATE_HZ)
        sound = cough(rng, generator) * np.float32(10 ** (rng.uniform(-24, -6) / 20))
        audio[at : at + len(sound)] += sound[: len(audio) - at]
    audio += _background(rng, generator, audio, recipe)
    if rng.random() < recipe.equaliser:
        audio[:] = _equalised(generator, audio)
    tilt = np.float32(rng.uniform(-0.35, 0.35))
    audio[1:] += tilt * audio[:-1].copy()
    if rng.random() < recipe.gaps:
        for _ in range(rng.randint(1, 3)):
            tick, lost = rng.randrange(script.ticks), rng.choice((20, 40, 60, 100))
            at = tick * TICK + rng.randrange(0, TICK - lost * 16 + 1)
            audio[at : at + lost * 16] = 0.0
            script.gaps[tick] = lost
    if rng.random() < recipe.stalls:
        _stall(rng, script)


def _babble(rng: random.Random, audio: Samples, bank: Bank) -> None:
    """Somebody far away, or a radio: a voice, or several, that nobody here answers."""
    near = rng.random() < 0.35
    for _ in range(1 if near else rng.choice((1, 2, 3))):
        other = stretched(bank.any_take(rng), rng.uniform(0.9, 1.1)).samples
        at = rng.randrange(max(1, len(audio) - len(other)))
        level = np.float32(10 ** (rng.uniform(-18, -12) / 20) if near else 10 ** (rng.uniform(-34, -24) / 20))
        audio[at : at + len(other)] += other[: len(audio) - at] * level


def cough(rng: random.Random, generator: np.random.Generator) -> Samples:
    """A burst or some of shaped noise: coughs, sniffs, throats, knocks."""
    length = int(rng.uniform(0.12, 0.5) * RATE_HZ)
    sound = _noise(generator, length, rng.choice((0.0, 0.5, 0.8, 0.93)))
    at = np.arange(length) / length
    rise, fall = rng.uniform(0.01, 0.3), rng.uniform(2.0, 7.0)
    shape = np.minimum(at / rise, 1.0) * np.exp(-fall * at)
    if rng.random() < 0.4:
        shape *= 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(15, 70) * at)
    burst: Samples = (sound * shape / 3).astype(np.float32)
    if rng.random() < 0.5:
        return burst
    pause = np.zeros(int(rng.uniform(0.05, 0.25) * RATE_HZ), dtype=np.float32)
    return np.concatenate([burst, pause, burst * np.float32(rng.uniform(0.4, 1.0))])


def _stall(rng: random.Random, script: Script) -> None:
    """A client that sends nothing for a while: whole frames are gaps. Only where nobody speaks."""
    first, count = rng.randrange(script.ticks), rng.randint(2, 15)
    for tick in range(first, min(script.ticks, first + count)):
        begin, end = tick * TICK, (tick + 1) * TICK
        if any(start < end and begin < stop for turn in script.turns for start, stop in turn.pieces):
            break
        script.audio[begin:end] = 0.0
        script.gaps[tick] = 200


def _background(
    rng: random.Random, generator: np.random.Generator, audio: Samples, recipe: Recipe
) -> Samples:
    """Noise around the voices; often none at all: muted and gated microphones send exact zeros between words."""
    draw = rng.random()
    if draw < recipe.digital_silence:
        return np.zeros_like(audio)
    level = np.float32(10 ** (rng.uniform(*recipe.noise_db) / 20))
    noise = _noise(generator, len(audio), rng.choice((0.0, 0.7, 0.95))) * level
    if draw < recipe.digital_silence + recipe.noise_gate:
        loud = np.abs(audio).reshape(-1, 800).max(axis=1) > 1e-3  # gates open and close in steps of 50 ms
        loud[1:] |= loud[:-1].copy()
        noise = noise * np.repeat(loud, 800)
    return noise


def _equalised(generator: np.random.Generator, audio: Samples) -> Samples:
    """The audio through a smooth random curve of some decibels: microphones, and a little of other throats."""
    spectrum = np.fft.rfft(audio)
    octaves = np.log2(np.maximum(np.linspace(0, RATE_HZ / 2, len(spectrum)), 62.5))
    knots = np.linspace(octaves[0], octaves[-1], 9)
    curve = 10 ** (np.interp(octaves, knots, generator.normal(0, 3.0, len(knots))) / 20)
    return np.fft.irfft(spectrum * curve, len(audio)).astype(np.float32)


def _noise(generator: np.random.Generator, length: int, colour: float) -> Samples:
    """Noise of unit variance; ``colour`` 0 is white, towards 1 it darkens."""
    white = generator.standard_normal(length, dtype=np.float32)
    if colour == 0.0:
        return white
    taps = (colour ** np.arange(64)).astype(np.float32)
    dark = np.convolve(white, taps, mode="same")
    return np.asarray(dark / dark.std(), dtype=np.float32)
