"""TimeSpeak and CueSpeak style: one expected meaning, one window, credit only when both hold.

CueSpeak items must be said while the user speaks. So that repeating everything is no way to win, an item is void when
its meaning was said more than once since the former window for it: once may be an acknowledgement of the request.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.meaning import Mention, any_mention
from infra.eval.scenario import Expectation, Want
from infra.eval.take import Observation, Take

ACKNOWLEDGEMENTS = 1


def score(take: Take) -> Iterator[Observation]:
    for wanted in take.wants(Want.SAY):
        metric = "cue_speak" if wanted.simultaneous else "time_speak"
        if take.counts_for(7 if wanted.simultaneous else 8):
            right, note = judge(take, wanted)
            group = take.scenario.template or take.scenario.suite
            yield Observation(metric, take.scenario.id, right, 1.0, group, wanted.from_ms, not right, note)


def judge(take: Take, wanted: Expectation) -> tuple[bool, str]:
    """Credit for one item, and why not."""
    inside = take.mentioned(wanted.meanings, wanted.from_ms, wanted.to_ms)
    if not inside:
        return False, _distance(any_mention(take.said, wanted.meanings), wanted)
    if wanted.simultaneous and not any(take.user_speaks(m.start_ms, m.start_ms + 1) for m in inside):
        return False, "said, but not while the user spoke"
    if len(_before(take, wanted)) > ACKNOWLEDGEMENTS:
        return False, "said again and again before"
    return True, ""


def _before(take: Take, wanted: Expectation) -> list[Mention]:
    """The mentions since the former window for the same meaning."""
    shared = set(wanted.meanings)
    former = [e.to_ms for e in take.wants(Want.SAY) if e.to_ms < wanted.from_ms and shared & set(e.meanings)]
    since = max(former, default=-1)
    return any_mention(take.said_in(since + 1, wanted.from_ms), wanted.meanings)


def _distance(every: list[Mention], wanted: Expectation) -> str:
    if not every:
        return "never said"
    nearest = min(every, key=lambda m: min(abs(m.start_ms - wanted.from_ms), abs(m.start_ms - wanted.to_ms)))
    early = nearest.start_ms < wanted.from_ms
    off = wanted.from_ms - nearest.start_ms if early else nearest.start_ms - wanted.to_ms
    return f"said {off / 1000:.1f} s too {'early' if early else 'late'}"
