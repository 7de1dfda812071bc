"""Full-Duplex-Bench v1.5 by the rule judge: after an overlap, does the model RESPOND, RESUME, or neither?

In place of a judging model: RESPOND says the interruption's planted slot word; RESUME goes on with the reply that was
being said, found by the longest common subsequence of words. Anything else is UNCERTAIN, nothing is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.eval.heard import Stretch, merge
from infra.eval.meaning import Token, numbers, plain
from infra.eval.scenario import SPEECH_TO_MODEL, Clip, Expectation, Role, Want
from infra.eval.take import Observation, Take, begin_ms, finish_ms

USER_GAP_MS = 600.0
JUDGED_WORDS = 12  # so many words of the new segment are compared with the reply
ALIKE = 0.5
COUNT_ON = 100


class Reaction(StrEnum):
    RESPOND = "respond"
    RESUME = "resume"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judged:
    """``error_words``: how far from the word after the last one the model went on, where it stopped and resumed."""

    reaction: Reaction
    error_words: int | None = None


def score(take: Take) -> Iterator[Observation]:
    if take.counts_for(6):
        yield from _reactions(take)
    if take.counts_for(5, 6):
        yield from _overlaps(take)


def _reactions(take: Take) -> Iterator[Observation]:
    for wanted in take.wants(Want.RESPOND, Want.RESUME):
        try:
            clip = take.scenario.clip(wanted.clip)
        except KeyError:
            continue
        if not take.agent_speaking_at(begin_ms(clip)):
            continue
        judged = judge(take, clip, wanted)
        right = judged.reaction == Reaction(wanted.want.value)
        name, event = ("respond", "interruption") if wanted.want == Want.RESPOND else ("resume", "event")
        yield take.see(f"{name}_rate", right, begin_ms(clip), failed=not right, note="" if right else judged.reaction)
        for other in (Reaction.UNCERTAIN, Reaction.UNKNOWN):
            yield take.see(f"{event}_{other.value}_rate", judged.reaction == other, begin_ms(clip))
        if judged.error_words is not None:
            yield take.see("resume_position_error_words", judged.error_words, begin_ms(clip))


def judge(take: Take, clip: Clip, wanted: Expectation) -> Judged:
    """The reaction to ``clip``, from the words between its begin and ``wanted.to_ms`` or the user's next turn."""
    start_ms = begin_ms(clip)
    later = (turn.start_ms for turn in take.turns if turn.start_ms > start_ms)
    until = min(float(wanted.to_ms), next(later, float(take.scenario.duration_ms)))
    new = [s for s in take.speech.segments if start_ms < s.start_ms < until]
    meanings = [m for e in take.wants(Want.RESPOND) if e.clip == clip.id for m in e.meanings]
    if take.mentioned(meanings, start_ms, until):
        return Judged(Reaction.RESPOND)
    if not new:
        running = take.speech.at(start_ms)  # speech that goes on past the event without a break is the reply itself
        goes_on = running is not None and running.end_ms > finish_ms(clip)
        return Judged(Reaction.RESUME if goes_on else Reaction.UNKNOWN)
    before, after = take.said_in(_spoken_from(take, start_ms), new[0].start_ms), take.said_in(new[0].start_ms, until)
    error = resumed(before, after[:JUDGED_WORDS], references(take, before))
    if error is not None:
        return Judged(Reaction.RESUME, error)
    return Judged(Reaction.UNCERTAIN)


def _spoken_from(take: Take, ms: float) -> float:
    """Where the reply began that is interrupted at ``ms``: at the end of the user's last turn before."""
    return max((turn.end_ms for turn in take.turns if turn.start_ms < ms and turn.end_ms <= ms), default=0.0)


def references(take: Take, before: Sequence[Token]) -> list[list[str]]:
    """What the uninterrupted reply may have been: the script's, a background result, or counting on."""
    texts = [take.scenario.spoken_reply, *take.scenario.results.values(), *(r.text for r in take.recording.results)]
    found = [words for words in map(plain, texts) if words]
    counted = [token.number for token in numbers(before)]
    if len(counted) >= 2 and counted[-1] == counted[-2] + 1:
        found.append([str(number) for number in range(counted[0], counted[-1] + COUNT_ON)])
    return found


def resumed(before: Sequence[Token], after: Sequence[Token], replies: Sequence[Sequence[str]]) -> int | None:
    """How many words from the right place the model went on with one of these replies; None when it did not.

    The right place is the word after the last one said before the stop. At least half of ``after`` (and of ``before``)
    must lie in the reply in order.
    """
    errors: list[int] = []
    for reply in replies:
        said = common([t.text for t in before], reply)
        more = common([t.text for t in after], reply)
        if not said or not more or 2 * len(said) < len(before) or len(more) < ALIKE * len(after):
            continue
        errors.append(abs(more[0] - (said[-1] + 1)))
    return min(errors, default=None)


def common(words: Sequence[str], reply: Sequence[str]) -> list[int]:
    """The places in ``reply`` of its longest common subsequence with ``words``, the earliest of equally long ones."""
    table = [[0] * (len(reply) + 1) for _ in range(len(words) + 1)]
    for i in reversed(range(len(words))):
        for j in reversed(range(len(reply))):
            same = table[i + 1][j + 1] + 1 if words[i] == reply[j] else 0
            table[i][j] = max(same, table[i + 1][j], table[i][j + 1])
    places: list[int] = []
    i = j = 0
    while i < len(words) and j < len(reply):
        if words[i] == reply[j] and table[i][j] == table[i + 1][j + 1] + 1:
            places.append(j)
            i, j = i + 1, j + 1
        elif table[i][j] == table[i + 1][j]:
            i += 1
        else:
            j += 1
    return places


def _overlaps(take: Take) -> Iterator[Observation]:
    """Stop latency: the length of each overlap that an interruption makes. Response latency: from its end to the
    model's next begin. User gaps up to 0.6 s are closed."""
    user = merge([Stretch(begin_ms(c), finish_ms(c)) for c in take.clips(SPEECH_TO_MODEL)], USER_GAP_MS)
    for clip in take.clips([Role.INTERRUPTION]):
        start_ms, running = begin_ms(clip), take.speech.at(begin_ms(clip))
        if running is None:
            continue
        end_ms = next(said.end_ms for said in user if said.start_ms <= start_ms < said.end_ms)
        yield take.see("stop_latency_s", (min(running.end_ms, end_ms) - start_ms) / 1000, start_ms)
        until = min((u.start_ms for u in user if u.start_ms > start_ms), default=float(take.scenario.duration_ms))
        begun = take.speech.starts_in(start_ms + 1, until)
        if begun:
            yield take.see("response_latency_s", (begun[0].start_ms - end_ms) / 1000, end_ms)
