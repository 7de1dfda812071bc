"""Full-Duplex-Bench v1.0: takeover, pauses, smooth turn taking, user interruption, backchannels.

A *takeover* (TOR 1) is speech by its words: none is 0; less than 1 s from the first word's begin to the last one's end
with at most three words is 0 (a backchannel); anything else is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import jensenshannon

from infra.eval.heard import Said, Speech, Stretch
from infra.eval.scenario import Expectation, Want
from infra.eval.take import Observation, Take, UserTurn, begin_ms

SHORT_MS, SHORT_WORDS = 1000.0, 3
BACKCHANNEL_WORDS = 2
EARLY_MS = 500.0  # a reply that begins so much before the user's end still is one
LATE_MS = 2000.0  # listed as a failure, counted as what it is
BIN_MS = 200.0
_TINY = 1e-10
_RANDOM_DRAWS = 50


def takeover(words: Sequence[Said]) -> bool:
    """TOR of these words."""
    if not words:
        return False
    span = max(word.end_ms for word in words) - min(word.start_ms for word in words)
    return not (span < SHORT_MS and len(words) <= SHORT_WORDS)


def score(take: Take) -> Iterator[Observation]:
    if take.counts_for(1, 2):
        yield from _turns(take)
    if take.counts_for(3):
        yield from _backchannels(take)
    if take.counts_for(6):
        yield from _interruptions(take)


# --- smooth turn taking and pauses --------------------------------------------------------------------------------


def onset(speech: Speech, turn: UserTurn) -> Stretch | None:
    """The segment that answers a turn: it begins after the turn's last clip does and goes on beyond the turn's end."""
    segments = speech.starts_in(begin_ms(turn.clips[-1]), turn.until_ms)
    return next((segment for segment in segments if segment.end_ms > turn.end_ms), None)


def _turns(take: Take) -> Iterator[Observation]:
    for wanted in take.wants(Want.REPLY):
        turn = take.turn_of(wanted.clip)
        if turn is None:
            continue
        taken = takeover(take.speech.words_in(turn.end_ms - EARLY_MS, turn.until_ms))
        yield take.see("tor", taken, turn.end_ms, failed=not taken, note="" if taken else "no takeover")
        begun = onset(take.speech, turn)
        if taken and begun is not None:
            yield from latencies(take, "turn_latency", begun.start_ms - turn.end_ms, turn.end_ms)
            nominal = onset(take.nominal, turn)
            if nominal is not None:
                yield take.see("turn_latency_ticks_s", (nominal.start_ms - turn.end_ms) / 1000, turn.end_ms)
        if turn.pauses:
            yield _pause(take, turn)
        broken = takeover(take.speech.words_in(turn.start_ms, turn.end_ms - EARLY_MS))
        in_time = begun is not None and turn.end_ms - EARLY_MS <= begun.start_ms <= wanted.to_ms
        yield take.see("smooth_turns", taken and in_time and not broken, turn.end_ms)


def latencies(take: Take, name: str, latency_ms: float, at_ms: float) -> Iterator[Observation]:
    """The signed latency, and the one that FDB clamps at 0."""
    late = latency_ms > LATE_MS
    note = f"{latency_ms / 1000:.1f} s after the user's end" if late else ""
    yield take.see(f"{name}_s", latency_ms / 1000, at_ms, failed=late, note=note)
    yield take.see(f"{name}_clamped_s", max(latency_ms, 0.0) / 1000, at_ms)


def _pause(take: Take, turn: UserTurn) -> Observation:
    first = turn.pauses[0][0]
    taken = takeover(take.speech.words_in(first, turn.end_ms - EARLY_MS))
    return take.see("pause_tor", taken, first, failed=taken, note="took the floor in a pause" if taken else "")


# --- user interruption --------------------------------------------------------------------------------------------


def _interruptions(take: Take) -> Iterator[Observation]:
    """What follows the interruption's end: takeover, latency of the first word, and whether it is to the point."""
    for wanted in take.wants(Want.RESPOND):
        turn = take.turn_of(wanted.clip)
        if turn is None:
            continue
        words = take.speech.words_in(turn.end_ms, turn.until_ms)
        taken = takeover(words)
        yield take.see("interrupt_tor", taken, turn.end_ms)
        if taken:
            yield from latencies(take, "interrupt_latency", words[0].start_ms - turn.end_ms, turn.end_ms)
        if wanted.meanings:
            answered = take.mentioned(wanted.meanings, turn.end_ms - EARLY_MS, turn.until_ms)
            yield take.see("interrupt_relevance", bool(answered), turn.end_ms)


# --- backchannels -------------------------------------------------------------------------------------------------


def _backchannels(take: Take) -> Iterator[Observation]:
    windows = take.wants(Want.BACKCHANNEL)
    for turn in take.turns:
        inside = [w for w in windows if turn.start_ms <= w.from_ms < turn.end_ms]
        if inside:
            yield from _monologue(take, turn, inside)


def _monologue(take: Take, turn: UserTurn, windows: list[Expectation]) -> Iterator[Observation]:
    segments = [s for s in take.speech.segments if s.start_ms < turn.end_ms and s.end_ms > turn.start_ms]
    signs = [s.start_ms for s in segments if not _takes_floor(take.speech, s)]
    taken = len(signs) < len(segments)
    note = "took the floor in a monologue" if taken else ""
    yield take.see("backchannel_tor", taken, turn.start_ms, failed=taken, note=note)
    hits = _hits(signs, windows)
    every = len(segments) + len(windows)  # 2 TP + FP + FN
    missed = hits < len(windows)
    note = f"{hits} of {len(windows)} windows met by {len(segments)} segments"
    length_ms = turn.end_ms - turn.start_ms
    chance = sum(1 - (1 - _width(w, turn) / length_ms) ** len(signs) for w in windows)
    yield _ratio(take, "backchannel_f1", 2 * hits, every, turn.start_ms, missed, note)
    yield _ratio(take, "backchannel_f1_random", 2 * chance, every, turn.start_ms)
    yield _ratio(take, "backchannel_per_min", len(signs), length_ms / 60_000, turn.start_ms)
    yield take.see("backchannel_jsd", _jsd(signs, windows, turn), turn.start_ms)
    rng = np.random.default_rng(take.scenario.seed)
    draws = [rng.uniform(turn.start_ms, turn.end_ms, len(signs)).tolist() for _ in range(_RANDOM_DRAWS if signs else 1)]
    yield take.see("backchannel_jsd_random", float(np.mean([_jsd(d, windows, turn) for d in draws])), turn.start_ms)


def _ratio(
    take: Take, metric: str, value: float, weight: float, at_ms: float, failed: bool = False, note: str = ""
) -> Observation:
    return Observation(metric, take.scenario.id, float(value), weight, "", at_ms, failed, note if failed else "")


def _takes_floor(speech: Speech, segment: Stretch) -> bool:
    words = speech.words_in(segment.start_ms, segment.end_ms)
    return segment.length_ms >= SHORT_MS or len(words) > BACKCHANNEL_WORDS


def _hits(signs: list[float], windows: list[Expectation]) -> int:
    """Windows that a sign begins in; each sign meets one window."""
    left = sorted(signs)
    hits = 0
    for window in windows:
        sign = next((s for s in left if window.from_ms <= s <= window.to_ms), None)
        if sign is not None:
            left.remove(sign)
            hits += 1
    return hits


def _width(window: Expectation, turn: UserTurn) -> float:
    return min(float(window.to_ms), turn.end_ms) - max(float(window.from_ms), turn.start_ms)


def _jsd(signs: list[float], windows: list[Expectation], turn: UserTurn) -> float:
    """Jensen-Shannon distance, 0 to 1, of when signs come and when they are welcome; 1 when there are none."""
    if not signs:
        return 1.0
    bins = max(1, int(np.ceil((turn.end_ms - turn.start_ms) / BIN_MS)))
    edges = turn.start_ms + BIN_MS * np.arange(bins + 1)
    centres = edges[:-1] + BIN_MS / 2
    given = np.histogram(np.clip(signs, edges[0], edges[-1]), edges)[0] + _TINY
    welcome: npt.NDArray[np.float64] = np.full(bins, _TINY)
    for window in windows:
        welcome += (centres >= window.from_ms) & (centres <= window.to_ms)
    return float(jensenshannon(given, welcome, base=2))
