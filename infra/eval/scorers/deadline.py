"""The deadline: what a tick brings is due at the tick's end plus the budget. Read from the client's clock alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from infra.eval.recording import TickLog
from infra.eval.take import Observation, Take
from schemas.ticks import FRAME_MS

BUDGET_MS = 200.0


def wait_ms(tick: TickLog) -> float:
    """How long after the tick's end the client got its turn."""
    return tick.arrived_ms - (tick.tick + 1) * FRAME_MS


def score(take: Take) -> Iterator[Observation]:
    log = {tick.tick: tick for tick in take.recording.ticks}
    ticks = max(max(log, default=-1) + 1, len(log) + take.recording.missing_ticks)
    if not ticks:
        return
    late = [k not in log or wait_ms(log[k]) > BUDGET_MS for k in range(ticks)]
    missing = len(late) - len(log)
    note = f"{sum(late)} of {len(late)} ticks late or lost ({missing} lost)" if any(late) else ""
    name = take.scenario.id
    yield Observation("deadline_miss_rate", name, sum(late), len(late), "", 0.0, False, note)
    yield take.see("deadline_longest_run_ticks", longest_run(late), 0.0)
    yield take.see("ticks_lost", missing, 0.0)
    middle = float(np.median([wait_ms(tick) for tick in log.values()])) if log else 0.0
    for tick in log.values():
        yield take.see("jitter_ms", wait_ms(tick) - middle, tick.tick * FRAME_MS)
    minutes = sum(stretch.length_ms for stretch in take.speech.stretches) / 60_000
    if take.recording.speaks and minutes > 0:
        yield Observation("underruns_per_min", name, take.recording.underruns, minutes)


def longest_run(flags: list[bool]) -> int:
    """The longest stretch of true flags."""
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest
