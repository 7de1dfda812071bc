"""What the teacher is made to do in each manner: melody, pace, stress, loudness and brightness.

The teacher knows no manners: it reads a question much like a statement. So its own plan of a sentence is bent, by rules
that phonetics books agree on (questions end high, items are held up, warnings are high, wide, fast and loud, what is
said beside another's speech is low, narrow and soft), and it speaks the bent plan.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from services.interaction.speech.config import RATE_HZ
from services.interaction.speech.g2p import VOWELS
from training.speech import driven, teacher

SUNG_HZ = 50.0  # below, the teacher's F0 is no pitch
_CREAK_HZ = 12.0  # from here up to that, it creaks, as some voices do when they end low
_GLIDE = 6  # frames over which a bent end begins
_BRIGHT_HZ = 2000.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Departures from the teacher's plan. Semitones are above the sentence's mean, ``*_stretch`` factors of time.

    ``end`` is where the voice arrives with the last word, ``item`` with each word before a comma (None: as planned).
    ``stress`` is added on stressed vowels. ``bright_db`` tilts the spectrum above 2 kHz, as effort does.
    """

    semitones: float = 0.0
    spread: float = 1.0
    speed: float = 1.0
    level_db: float = 0.0
    bright_db: float = 0.0
    end: float | None = None
    item: float | None = None
    stress: float = 0.0
    stress_stretch: float = 1.0
    end_stretch: float = 1.0
    pause_stretch: float = 1.0


DELIVERIES: dict[Manner, Delivery] = {
    Manner.STATEMENT: Delivery(),
    Manner.QUESTION: Delivery(semitones=1.0, spread=1.1, end=7.5, end_stretch=1.1),
    Manner.LIST: Delivery(end=2.5, item=2.5, end_stretch=1.3, pause_stretch=1.6),
    Manner.CORRECTION: Delivery(
        spread=1.35, speed=0.9, level_db=1.5, bright_db=1.0, stress=2.0, stress_stretch=1.25, pause_stretch=1.3
    ),
    Manner.BACKCHANNEL: Delivery(semitones=-2.5, spread=0.5, speed=1.1, level_db=-6.0, bright_db=-4.0),
    Manner.WARNING: Delivery(semitones=3.5, spread=1.25, speed=1.2, level_db=4.0, bright_db=3.0, stress=1.0),
}


def _phrases(symbols: str) -> Iterator[tuple[int, int, bool]]:
    """The last word of each phrase, its first symbol and one past its last, and whether the sentence ends with it."""
    for place, symbol in enumerate(symbols):
        if symbol in ",.?!":
            begin = max(symbols.rfind(" ", 0, place), 0) + 1
            yield begin, place, symbol != ","


def _nucleus(symbols: str, begin: int, end: int) -> int:
    """Where the last stressed vowel of a word stands, else its last vowel, else its begin."""
    stressed = symbols.rfind("ˈ", begin, end)
    if stressed >= 0:
        return stressed
    return max((place for place in range(begin, end) if symbols[place] in VOWELS), default=begin)


def stretches(symbols: str, delivery: Delivery, *, settles: bool) -> Floats:
    """A factor of time for each symbol. ``settles``: the last word is a statement's."""
    out = np.ones(len(symbols), dtype=np.float32)
    for place in range(len(symbols) - 1):
        if symbols[place] == "ˈ":
            out[place : place + 2] = delivery.stress_stretch
    for begin, end, last in _phrases(symbols):
        if not (last and settles):
            out[_nucleus(symbols, begin, end) : end] *= delivery.end_stretch
        if not last:
            out[end : end + 2] = delivery.pause_stretch
    return out


def _bend(bent: npt.NDArray[np.float64], sung: npt.NDArray[np.bool_], first: int, last: int, target: float) -> None:
    """Lead the melody (semitones above the mean) to ``target`` at the last pitch between two frames."""
    end = last - int(np.argmax(sung[first:last][::-1]))
    if not sung[first:last].any():
        return
    start = min(float(bent[first]), 0.4 * target)
    ramp = np.minimum(1.0, 1.2 * np.linspace(0.0, 1.0, end - first))
    bent[first:end] = start + (target - start) * ramp
    bent[end:last] = target
    lead = np.arange(max(0, first - _GLIDE), first)
    weight = (lead - first + _GLIDE) / _GLIDE
    bent[lead] += weight * (start - bent[lead])


def melody(symbols: str, durations: npt.NDArray[np.int16], f0: Floats, delivery: Delivery, *, settles: bool) -> Floats:
    """F0 in Hz as the manner wants it; where the teacher has no pitch it stays as it is."""
    sung = f0 >= SUNG_HZ
    if not sung.any():
        return f0
    planned = 12 * np.log2(np.interp(np.arange(len(f0)), np.flatnonzero(sung), f0[sung]))
    mean = float(planned[sung].mean())
    bent = (planned - mean) * delivery.spread
    begins = np.concatenate([[0], np.cumsum(durations)]).astype(int)
    for place in range(len(symbols) - 1):
        if symbols[place] == "ˈ" and delivery.stress:
            bent[begins[place] : begins[place + 2]] += delivery.stress
    for begin, end, last in _phrases(symbols):
        target = delivery.end if last else delivery.item
        if target is not None and not (last and settles):
            first, over = begins[_nucleus(symbols, begin, end)], begins[end + 1]
            sung[first:over] |= f0[first:over] >= _CREAK_HZ
            _bend(bent, sung, first, over, target)
    lifted = np.exp2((bent + mean + delivery.semitones) / 12)
    return np.where(sung, np.clip(lifted, SUNG_HZ + 1, 500.0), f0).astype(np.float32)


def shelf(hz: npt.NDArray[np.floating[Any]], db: float) -> npt.NDArray[np.float64]:
    """What ``brightened`` multiplies the amplitude at these frequencies by."""
    gains: npt.NDArray[np.float64] = 10 ** (db / 20 / (1 + (_BRIGHT_HZ / np.maximum(hz, 1.0)) ** 4))
    return gains


def brightened(audio: Floats, db: float) -> Floats:
    """A shelf above 2 kHz."""
    if not db:
        return audio
    spectrum = np.fft.rfft(audio)
    hz = np.fft.rfftfreq(len(audio), 1 / RATE_HZ)
    return np.fft.irfft(spectrum * shelf(hz, db), n=len(audio)).astype(np.float32)


def planned(text: str, voice: str, manner: Manner, *, settles: bool = False) -> driven.Planned:
    """A take in a manner before it is sung. Raises ``ValueError`` as ``teacher.inputs`` does."""
    delivery = DELIVERIES[manner]
    line = teacher.symbols(text, teacher.accent(voice))
    return driven.plan(
        text,
        voice,
        delivery.speed,
        lambda symbols: stretches(symbols, delivery, settles=settles),
        lambda durations, f0: melody(line, durations, f0, delivery, settles=settles),
    )


def of_words(symbols: str, manner: Manner, *, settles: bool) -> tuple[Manner, ...]:
    """The manner of each word of a take."""
    return (manner,) * (symbols.count(" ") + 1 - settles) + (Manner.STATEMENT,) * settles


def speak(text: str, voice: str, manner: Manner, *, settles: bool = False) -> teacher.Take:
    """A take in a manner. With ``settles`` its last word is a statement's, as that of a list is.

    Raises:
        ValueError: as ``teacher.inputs`` does.
    """
    delivery = DELIVERIES[manner]
    take = driven.sung(text, voice, planned(text, voice, manner, settles=settles))
    return dataclasses.replace(
        take,
        audio=brightened(take.audio, delivery.bright_db),
        manners=of_words(take.symbols, manner, settles=settles),
        level_db=delivery.level_db,
    )
