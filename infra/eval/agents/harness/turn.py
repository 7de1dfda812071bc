"""The user's open turn: its audio, and the examination of it that starts at every pause."""

from __future__ import annotations

import asyncio

from infra.eval.agents.harness.stages import Stages
from infra.eval.agents.harness.vad import WINDOW
from schemas.ticks import INPUT_RATE_HZ, SAMPLE_BYTES

LEAD = INPUT_RATE_HZ // 2  # a turn's audio begins half a second before its first voice
TAIL = INPUT_RATE_HZ // 5  # and ends with the quiet that raised the question
KEPT = 30 * INPUT_RATE_HZ


class Channel:
    """The last 30 s of the user's audio, by sample numbers from the begin of the conversation."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._first = 0  # number of the first sample kept

    def append(self, pcm: bytes) -> None:
        self._pcm += pcm
        surplus = len(self._pcm) // SAMPLE_BYTES - KEPT
        if surplus > INPUT_RATE_HZ:
            del self._pcm[: surplus * SAMPLE_BYTES]
            self._first += surplus

    def cut(self, begin: int, end: int) -> bytes:
        """PCM16 of the samples ``[begin, end)``, as far as they are kept."""
        low, high = (max(0, n - self._first) * SAMPLE_BYTES for n in (begin, end))
        return bytes(self._pcm[low:high])


class OpenTurn:
    """From its first voice until it is answered or given up. ``begin`` is a sample number."""

    def __init__(self, began_window: int) -> None:
        self.before = ""
        """Words of a turn that this one goes on with."""
        self.begin = max(0, began_window * WINDOW - LEAD)
        self._examination: asyncio.Task[tuple[bool, str]] | None = None

    def examine(self, stages: Stages, channel: Channel, ended_window: int) -> None:
        """At a pause: is it over, and what was said? Both at once, so that the words are there when it is."""
        self.drop_examination()
        pcm = channel.cut(self.begin, ended_window * WINDOW + TAIL)
        self._examination = asyncio.create_task(_examine(stages, pcm))

    def drop_examination(self) -> None:
        """The user goes on: what was found out about less is worth nothing."""
        if self._examination is not None:
            self._examination.cancel()
            self._examination = None

    def found(self) -> tuple[bool, str] | None:
        """``(over, words)`` once both are known; raises what went wrong."""
        if self._examination is None or not self._examination.done():
            return None
        return self._examination.result()

    @property
    def task(self) -> asyncio.Task[tuple[bool, str]] | None:
        return self._examination


async def _examine(stages: Stages, pcm: bytes) -> tuple[bool, str]:
    over, words = await asyncio.gather(stages.complete(pcm), stages.transcribe(pcm))
    return over, words
