"""tau-voice: response, yield and selectivity on 200 ms ticks; no judge and no recognised word is needed.

A tick counts as spoken when speech fills at least half of it. Gaps of the model up to 0.5 s are breaths.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.scenario import SPEECH_TO_MODEL, Clip, Role, Want
from infra.eval.take import Observation, Take, UserTurn, begin_ms, finish_ms
from schemas.ticks import FRAME_MS

YIELD_WITHIN_MS = 2000.0
HOLD_FOR_MS = 1000.0
QUIET_FOR_MS = 2000.0
SELECTIVITY = {Role.BACKCHANNEL: "S_BC", Role.TIC: "S_VT", Role.ASIDE: "S_ND", Role.BACKGROUND: "S_ND"}


def score(take: Take) -> Iterator[Observation]:
    if take.counts_for(1, 2):
        yield from _responses(take)
        yield from _interruptions_by_agent(take)
    if take.counts_for(4):
        yield from _selectivity(take)
    if take.counts_for(5):
        yield from yields(take, "R_Y", "L_Y_s")


def _responses(take: Take) -> Iterator[Observation]:
    """R_R and L_R: turns that end with the model silent, and whether it begins before the next one does."""
    for wanted in take.wants(Want.REPLY, Want.RESPOND):
        turn = take.turn_of(wanted.clip)
        if turn is None:
            continue
        last = take.tick_at(turn.end_ms - 1)
        if take.agent_ticks[last]:
            continue
        answer = _answer(take, turn, last)
        note = "" if answer is not None else "no response before the next turn"
        yield take.see("R_R", answer is not None, turn.end_ms, failed=answer is None, note=note)
        if answer is not None:
            yield take.see("L_R_s", (answer - last - 1) * FRAME_MS / 1000, turn.end_ms)


def _answer(take: Take, turn: UserTurn, last: int) -> int | None:
    until = turn.until_ms / FRAME_MS
    return next((k for k in take.agent_onsets if last < k <= until), None)


def _interruptions_by_agent(take: Take) -> Iterator[Observation]:
    """I_A: of all times that the model begins to speak, how many are while the user speaks. Welcome signs of listening
    (inside a ``BACKCHANNEL`` window) are neither."""
    welcome = take.wants(Want.BACKCHANNEL)
    for tick in take.agent_onsets:
        at_ms = tick * FRAME_MS
        if any(w.from_ms - FRAME_MS <= at_ms <= w.to_ms for w in welcome):
            continue
        over = take.user_ticks[tick]
        yield take.see("I_A", over, at_ms, failed=over, note="began while the user spoke" if over else "")


def yields(take: Take, rate: str, latency: str) -> Iterator[Observation]:
    """R_Y and L_Y: the user begins while the model speaks; yielded when a tick within 2 s has the model silent."""
    for clip in take.clips(SPEECH_TO_MODEL):
        start_ms = begin_ms(clip)
        if not take.agent_speaking_at(start_ms):
            continue
        silent = first_silent(take, start_ms, YIELD_WITHIN_MS)
        note = "" if silent is not None else "did not yield within 2 s"
        yield take.see(rate, silent is not None, start_ms, failed=silent is None, note=note)
        if silent is not None:
            yield take.see(latency, (silent - take.tick_at(start_ms)) * FRAME_MS / 1000, start_ms)


def first_silent(take: Take, from_ms: float, within_ms: float) -> int | None:
    first = take.tick_at(from_ms)
    last = min(first + int(within_ms // FRAME_MS), take.ticks - 1)
    return next((k for k in range(first, last + 1) if not take.agent_ticks[k]), None)


def _selectivity(take: Take) -> Iterator[Observation]:
    """S_BC, S_VT, S_ND: 1 - error. An error is to stop within 1 s of the event's begin; or, where the model was silent,
    to begin before 2 s after its end (tics and speech to others only)."""
    for clip in take.clips(SELECTIVITY):
        if take.agent_speaking_at(begin_ms(clip)):
            wrong = first_silent(take, begin_ms(clip), HOLD_FOR_MS) is not None
            note = f"stopped: {clip.role}"
        elif clip.role != Role.BACKCHANNEL and not _owes(take, clip):
            wrong = _begins_for(take, clip)
            note = f"began to speak: {clip.role}"
        else:
            continue
        yield take.see(SELECTIVITY[clip.role], not wrong, begin_ms(clip), failed=wrong, note=note if wrong else "")


def _owes(take: Take, clip: Clip) -> bool:
    """Whether the last turn before this event still waits for its answer: what comes then may be that."""
    before = [turn for turn in take.turns if turn.start_ms < begin_ms(clip)]
    if not before or not any(before[-1].clips[-1].id == e.clip for e in take.wants(Want.REPLY, Want.RESPOND)):
        return False
    return not take.speech.starts_in(begin_ms(before[-1].clips[-1]), begin_ms(clip))


def _begins_for(take: Take, clip: Clip) -> bool:
    """Whether the model begins between the event's begin and 2 s after its end, or the user's next word to it."""
    next_word = (begin_ms(c) for c in take.clips(SPEECH_TO_MODEL) if begin_ms(c) >= begin_ms(clip))
    until = min(finish_ms(clip) + QUIET_FOR_MS, next(next_word, float(take.scenario.duration_ms)))
    return bool(take.speech.starts_in(begin_ms(clip), until))
