"""Whether a single expectation of a script was met, for the eyes: timelines colour their windows by it.

The figures of the report come from the scorers alone; this asks them the same questions about one window.
"""

from __future__ import annotations

from infra.eval.scenario import Clip, Expectation, Want
from infra.eval.scorers import cues, delegation, fdb15, fdbench, tau
from infra.eval.take import Take, begin_ms


def satisfied(take: Take, wanted: Expectation) -> bool | None:
    """None where it could not be asked: the model was not speaking when it should have been interrupted."""
    clip = next((c for c in take.scenario.clips if c.id == wanted.clip), None)
    if wanted.want in (Want.GO_ON, Want.YIELD, Want.RESPOND, Want.RESUME):
        return None if clip is None else _while_speaking(take, wanted, clip)
    if wanted.want == Want.REPLY:
        return _replied(take, wanted)
    if wanted.want == Want.SILENCE:
        return not take.speech.starts_in(wanted.from_ms, wanted.to_ms)
    if wanted.want == Want.BACKCHANNEL:
        return bool(take.speech.starts_in(wanted.from_ms, wanted.to_ms + 1))
    if wanted.want == Want.DELEGATE:
        return any(wanted.from_ms <= at <= wanted.to_ms for at, _ in delegation.delegations(take))
    if wanted.want == Want.SAY:
        return cues.judge(take, wanted)[0]
    mentioned = bool(take.mentioned(wanted.meanings, wanted.from_ms, wanted.to_ms))
    return not mentioned if wanted.want == Want.DROP else mentioned


def _while_speaking(take: Take, wanted: Expectation, clip: Clip) -> bool | None:
    if not take.agent_speaking_at(begin_ms(clip)):
        return None
    if wanted.want == Want.GO_ON:
        return tau.first_silent(take, begin_ms(clip), tau.HOLD_FOR_MS) is None
    if wanted.want == Want.YIELD:
        return tau.first_silent(take, begin_ms(clip), tau.YIELD_WITHIN_MS) is not None
    return fdb15.judge(take, clip, wanted).reaction == fdb15.Reaction(wanted.want.value)


def _replied(take: Take, wanted: Expectation) -> bool:
    turn = take.turn_of(wanted.clip)
    if turn is None:
        return False
    return all(fdbench.replied(take, turn, wanted))
