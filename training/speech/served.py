"""How far a sentence's text is known to each of its symbols when it is served: the line itself is asked.

Learning to speak with more or less of the text ahead than there will be costs words: so the words of a take come as
the service would let them come, one a tick while the voice is not busy or all at once, and last as long as its own.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from services.interaction.protocol import READY_BELOW_MS
from services.interaction.speech.g2p import Phonemiser
from services.interaction.speech.head import UNKNOWN_ID
from services.interaction.speech.line import Line, Piece

Ints = npt.NDArray[np.int64]


def pieces(phonemiser: Phonemiser, symbols: str, durations: Ints, text: str, at_once: int) -> list[Piece]:
    """What the line wants encoded, in order, when ``at_once`` words of ``text`` come with each tick that has room. A
    word takes the frames that it takes in the take of ``symbols``."""
    line, waiting, taken = Line(phonemiser), deque(text.split()), 0
    out: list[Piece] = []
    while waiting or line.sounding or line.queue:
        words: list[str] = []
        while waiting and len(words) < at_once and line.left_before < READY_BELOW_MS:
            words.append(waiting.popleft())
        line.hear(" ".join(words))
        if line.sounding:
            while (piece := line.wants()) is not None:
                count = len(piece.following)
                frames = [int(d) for d in durations[taken : taken + count]]
                line.give(piece, frames + [1] * (count - len(frames)))
                out.append(piece)
                taken += count
            line.deal()
            line.end_tick()
        line.report()
    return out


def horizons(phonemiser: Phonemiser, symbols: str, durations: Ints, text: str, at_once: int) -> Ints | None:
    """For each symbol of a take the place from which on the text is unknown to it; None where the line makes other
    pieces of the text than the take has (several sentences in one)."""
    out = np.empty(len(symbols), dtype=np.int64)
    begin = 0
    for piece in pieces(phonemiser, symbols, durations, text, at_once):
        count = len(piece.following)
        if begin + count > len(symbols) or (begin and piece.first):
            return None
        for place in range(count):
            seen = int(np.count_nonzero(piece.following[place] != UNKNOWN_ID))
            out[begin + place] = begin + place + seen
        begin += count
    return out if begin == len(symbols) else None
