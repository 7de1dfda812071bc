"""What came back of each line that was read aloud: its sound at the client, and the words in the shared context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from infra.eval.heard import loud_stretches
from infra.eval.recording import Recording, TickLog
from infra.eval.scenario import Line, Scenario
from infra.eval.speech import script
from schemas.records import ContextEntry
from schemas.ticks import FRAME_MS, OUTPUT_RATE_HZ

MARGIN_MS = 200.0  # of silence that is kept around a line
STOPS_WITHIN_MS = 1000.0  # of the moment at which "stop" was typed
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Stop:
    """A line's end by command: the tick of the yield, and ``after``, what the client heard from 200 ms after that
    tick's output began until the next line was asked for."""

    tick: int
    after: Pcm

    @property
    def silent(self) -> bool:
        """Nothing above -50 dBFS in any 20 ms."""
        return not loud_stretches(self.after, OUTPUT_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as a client heard it. ``pcm`` (24 kHz) is trimmed to its sound; ``told`` are the words that the shared
    context has (None: nobody could look, or the line was not asked for); ``stop`` is None where it was not broken off
    while it was being said."""

    scenario: str
    voice: str
    line: Line
    text: str
    pcm: Pcm
    told: list[str] | None
    stop: Stop | None = None


def spoken_lines(scenario: Scenario, recording: Recording, sound: Path) -> Iterator[Spoken]:
    """Every line of a session. Raises ``soundfile.SoundFileError``."""
    played, _ = soundfile.read(sound, dtype="int16")
    told = told_lines(scenario.lines, recording.context)
    for line, words in zip(scenario.lines, told, strict=True):
        begin_ms, end_ms = line.from_ms + recording.start_offset_ms, line.to_ms + recording.start_offset_ms
        yield Spoken(
            scenario=scenario.id,
            voice=scenario.model_voice,
            line=line,
            text=scenario.results[line.key],
            pcm=trimmed(_between(played, begin_ms, end_ms)),
            told=words,
            stop=_stop(line, recording, played, end_ms),
        )


def told_lines(lines: Sequence[Line], context: Sequence[ContextEntry] | None) -> list[list[str] | None]:
    """The assistant's words after each line was asked for. What was typed to stop it changes nothing: words that ended
    in that very tick stand behind it."""
    words: list[list[str] | None] = [None] * len(lines)
    now = -1
    for entry in context or []:
        if entry.role == "user_typed":
            later = (n for n in range(now + 1, len(lines)) if script.asked(lines[n].key) == entry.text)
            if entry.text != script.STOP and (found := next(later, None)) is not None:
                now, words[found] = found, []
        elif entry.role == "assistant" and now >= 0:
            words[now] = [*(words[now] or []), *entry.text.split()]
    return words


def trimmed(pcm: Pcm) -> Pcm:
    """Without the silence around it, but for ``MARGIN_MS``; empty where nothing is heard."""
    loud = loud_stretches(pcm, OUTPUT_RATE_HZ)
    return _between(pcm, loud[0].start_ms - MARGIN_MS, loud[-1].end_ms + MARGIN_MS) if loud else pcm[:0]


def _between(pcm: Pcm, begin_ms: float, end_ms: float) -> Pcm:
    return pcm[max(0, round(begin_ms * OUTPUT_RATE_HZ / 1000)) : max(0, round(end_ms * OUTPUT_RATE_HZ / 1000))]


def _stop(line: Line, recording: Recording, played: Pcm, end_ms: float) -> Stop | None:
    if line.stop_ms < 0:
        return None
    asked_ms = line.stop_ms + recording.start_offset_ms
    log = {tick.tick: tick for tick in recording.ticks}
    at = next((tick for tick in recording.ticks if tick.floor == "yield" and _follows(tick, asked_ms)), None)
    before = log.get(at.tick - 1) if at is not None else None
    if at is None or before is None or not before.has_audio:
        return None
    return Stop(at.tick, _between(played, at.played_ms + FRAME_MS, end_ms))


def _follows(tick: TickLog, asked_ms: float) -> bool:
    return 0 <= (tick.tick + 1) * FRAME_MS - asked_ms <= STOPS_WITHIN_MS
