"""FD-Bench: does it reply, does it let itself be interrupted, does it cut in early, and how long does that take."""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.scenario import Expectation, Role, Want
from infra.eval.scorers.fdb1 import EARLY_MS, takeover
from infra.eval.take import Observation, Take, UserTurn, begin_ms

STOP_WITHIN_MS = 2000.0


def score(take: Take) -> Iterator[Observation]:
    if take.counts_for(1, 2):
        yield from _replies(take)
    if take.counts_for(5, 6):
        yield from _interrupts(take)


def _replies(take: Take) -> Iterator[Observation]:
    """Success: the floor is taken in the window (with one of the meanings, where the script has any). Early: it was
    taken more than 0.5 s before the user's end."""
    for wanted in take.wants(Want.REPLY):
        turn = take.turn_of(wanted.clip)
        if turn is None:
            continue
        from_ms = turn.end_ms - EARLY_MS
        begun, meant = replied(take, turn, wanted)
        success = begun and meant
        note = "" if success else "said something else" if begun else "no reply in the window"
        yield take.see("success_reply_rate", success, turn.end_ms, failed=not success, note=note)
        early = takeover(take.speech.words_in(turn.start_ms, from_ms))
        yield take.see("early_interrupt_rate", early, turn.start_ms, failed=early, note="cut in" if early else "")


def replied(take: Take, turn: UserTurn, wanted: Expectation) -> tuple[bool, bool]:
    """Whether words were begun in the window, and whether one of the meanings (if there are any) was said."""
    from_ms = turn.end_ms - EARLY_MS
    meant = not wanted.meanings or bool(take.mentioned(wanted.meanings, from_ms, turn.until_ms))
    return bool(take.speech.words_in(from_ms, wanted.to_ms + 1)), meant


def _interrupts(take: Take) -> Iterator[Observation]:
    """Success: the model stops within 2 s of the interruption's begin and speaks again before the user's next turn."""
    for clip in take.clips([Role.INTERRUPTION]):
        turn = take.turn_of(clip.id)
        running = take.speech.at(begin_ms(clip))
        if turn is None or running is None:
            continue
        begun = take.speech.starts_in(turn.start_ms + 1, turn.until_ms)
        success = running.end_ms <= turn.start_ms + STOP_WITHIN_MS and bool(begun)
        yield take.see("success_interrupt_rate", success, turn.start_ms, failed=not success)
        if success:
            yield take.see("interrupt_response_delay_s", (begun[0].start_ms - turn.end_ms) / 1000, turn.end_ms)
