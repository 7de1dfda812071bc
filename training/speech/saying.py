"""A voice says a text as the service would let it: word by word, at the pace of its queue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from schemas.ticks import OUTPUT_SAMPLES
from services.interaction.protocol import READY_BELOW_MS, SayInput
from services.interaction.speech.speaker import Speaker

Floats = npt.NDArray[np.float32]


def say(
    speaker: Speaker, text: str, voice: str, every: int = 1, manner: Manner | Sequence[Manner] = Manner.STATEMENT
) -> Floats:
    """A text as nano writes it: a word every so many ticks while the voice is not busy, from silence to silence. All in
    one manner, or in one a word."""
    session, words = "evaluation", text.split()
    manners = [manner] * len(words) if isinstance(manner, Manner) else list(manner)
    out: list[npt.NDArray[np.int16]] = []
    speaker.open(session, voice)
    left, tick = 0, 0
    while words or left or not out:
        item = SayInput(session)
        if words and left < READY_BELOW_MS and tick % every == 0:
            item = SayInput(session, f" {words.pop(0)}", manner=manners.pop(0))
        output = speaker.step([item])[0]
        left, tick = output.left_ms, tick + 1
        out.append(np.frombuffer(output.audio or bytes(2 * OUTPUT_SAMPLES), dtype="<i2"))
    speaker.close(session)
    return np.concatenate(out).astype(np.float32) / 32767.0
