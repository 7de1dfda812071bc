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
    for _ in range(rng.choice((1, 1, 2, 3)) if rng.random() < recipe.cough else 0):
        lay_cough(rng, audio, rng.randrange(len(audio) - RATE_HZ))
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


def lay_cough(rng: random.Random, audio: Samples, at: int) -> None:
    """Somebody coughs, or the like, at this place."""
    sound = cough(rng, np.random.default_rng(rng.randrange(2**32))) * np.float32(10 ** (rng.uniform(-24, -6) / 20))
    audio[at : at + len(sound)] += sound[: len(audio) - at]


def cough(rng: random.Random, generator: np.random.Generator) -> Samples:
    """A sound that says nothing: coughs, throats, sneezes, laughter, knocks, clicks, a telephone."""
    kinds = (_burst, _throat, _sneeze, _laughter, _clicks, _ringing)
    return rng.choices(kinds, (0.42, 0.16, 0.12, 0.12, 0.12, 0.06))[0](rng, generator).astype(np.float32)


def _burst(rng: random.Random, generator: np.random.Generator) -> Samples:
    """Shaped noise, once or twice: coughs, sniffs, knocks."""
    length = int(rng.uniform(0.12, 0.5) * RATE_HZ)
    sound = _noise(generator, length, rng.choice((0.0, 0.5, 0.8, 0.93)))
    at = np.arange(length) / length
    rise, fall = rng.uniform(0.01, 0.3), rng.uniform(2.0, 7.0)
    shape = np.minimum(at / rise, 1.0) * np.exp(-fall * at)
    if rng.random() < 0.4:
        shape *= 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(15, 70) * at)
    burst: Samples = (sound * shape / 3).astype(np.float32)
    return burst if rng.random() < 0.5 else _again(rng, burst, 1)


def _again(rng: random.Random, sound: Samples, times: int) -> Samples:
    """The sound, and so many times more, each with a pause before it and a level of its own."""
    parts = [sound]
    for _ in range(times):
        parts += [np.zeros(int(rng.uniform(0.05, 0.25) * RATE_HZ), dtype=np.float32), sound * rng.uniform(0.4, 1.0)]
    return np.concatenate(parts)


def _voiced(rng: random.Random, generator: np.random.Generator, length: int, pitch_hz: float) -> Samples:
    """A rough voice without a word: harmonics of an unsteady pitch under two broad resonances, and breath. Of about
    unit level."""
    wander = np.cumsum(generator.standard_normal(length)) / np.sqrt(length)
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.08 * wander)) / RATE_HZ
    resonances = (rng.uniform(300, 800), rng.uniform(1000, 2300))
    sound = np.zeros(length)
    for number in range(1, int(4000 / pitch_hz)):
        near = sum(np.exp(-(((number * pitch_hz - at) / 350) ** 2)) for at in resonances)
        sound += (near + 0.05) / np.sqrt(number) * np.sin(number * phase)
    rough = sound / (sound.std() + 1e-9) + rng.uniform(0.2, 1.0) * _noise(generator, length, 0.5)
    return np.asarray(rough, dtype=np.float32)


def _throat(rng: random.Random, generator: np.random.Generator) -> Samples:
    """One, two or three short voiced scrapes."""
    length = int(rng.uniform(0.12, 0.35) * RATE_HZ)
    at = np.arange(length) / length
    rattle = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(20, 45) * np.arange(length) / RATE_HZ)
    shape = (np.sin(np.pi * at) ** rng.uniform(0.5, 2) * rattle / 4).astype(np.float32)
    return _again(rng, _voiced(rng, generator, length, rng.uniform(70, 220)) * shape, rng.choice((0, 1, 1, 2)))


def _sneeze(rng: random.Random, generator: np.random.Generator) -> Samples:
    """Breath drawn in, a short vowel, and a sharp hiss that dies away."""
    drawn, hiss = int(rng.uniform(0.1, 0.4) * RATE_HZ), int(rng.uniform(0.15, 0.4) * RATE_HZ)
    breath = _noise(generator, drawn, 0.5) * np.linspace(0, rng.uniform(0.1, 0.4), drawn)
    vowel = _voiced(rng, generator, int(rng.uniform(0.05, 0.12) * RATE_HZ), rng.uniform(120, 300)) * 0.6
    sharp = _noise(generator, hiss, 0.0) * np.exp(-rng.uniform(3, 7) * np.arange(hiss) / hiss)
    return np.asarray(np.concatenate([breath, vowel, sharp]) / 3, dtype=np.float32)


def _laughter(rng: random.Random, generator: np.random.Generator) -> Samples:
    """Syllables of breath and voice, four to six a second, falling."""
    pitch, step, parts = rng.uniform(120, 380), rng.uniform(0.15, 0.25), []
    for number in range(rng.randint(2, 7)):
        length = int(step * RATE_HZ)
        at = np.arange(length) / length
        shape = np.exp(-4 * at) * np.minimum(at / 0.1, 1) * rng.uniform(0.6, 1.0) * 0.9**number
        parts.append(_voiced(rng, generator, length, pitch * 0.96**number) * shape)
    return np.asarray(np.concatenate(parts) / 3, dtype=np.float32)


def _clicks(rng: random.Random, generator: np.random.Generator) -> Samples:
    """Keys, cups, steps: some very short sounds."""
    sound = np.zeros(int(rng.uniform(0.3, 1.6) * RATE_HZ), dtype=np.float32)
    for _ in range(rng.randint(2, 9)):
        length = int(rng.uniform(0.005, 0.04) * RATE_HZ)
        begin = rng.randrange(len(sound) - length)
        fall = np.exp(-6 * np.arange(length) / length) * rng.uniform(0.3, 1.0)
        sound[begin : begin + length] += _noise(generator, length, rng.choice((0.0, 0.7))) * fall / 2
    return sound


def _ringing(rng: random.Random, _generator: np.random.Generator) -> Samples:
    """Tones: a telephone, a door bell, something that beeps."""
    length = int(rng.uniform(0.1, 0.5) * RATE_HZ)
    at = np.arange(length) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * rng.uniform(400, 2500) * at) for _ in range(rng.randint(1, 3)))
    fall = np.exp(-rng.uniform(0, 6) * at) * np.minimum(1, np.minimum(at, at[::-1]) / 0.005)
    return _again(rng, np.asarray(sound * fall / 4, dtype=np.float32), rng.choice((0, 1, 2)))


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
