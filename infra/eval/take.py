"""One scenario as one model played it: the script, what the client heard, and what all scorers ask of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from infra.eval.heard import Speech, Stretch
from infra.eval.meaning import Mention, Token, any_mention, tokens
from infra.eval.recording import Recording
from infra.eval.scenario import SPEECH_TO_MODEL, Clip, Expectation, Role, Scenario, Want, sample_to_ms
from schemas.ticks import FRAME_MS


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was counted. ``value`` of ``weight`` 1 for a rate or a latency; see ``infra.eval.stats.ratio``.

    ``at_ms`` is where to look in the scenario; ``failed`` lists it among the failures, ``note`` says what happened.
    """

    metric: str
    scenario: str
    value: float
    weight: float = 1.0
    group: str = ""
    at_ms: float = 0.0
    failed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """A turn or an interruption with its continuations. ``until_ms``: the next one's begin, or the scenario's end."""

    clips: tuple[Clip, ...]
    until_ms: float

    @property
    def start_ms(self) -> float:
        return begin_ms(self.clips[0])

    @property
    def end_ms(self) -> float:
        return finish_ms(self.clips[-1])

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """Between its clips, in ms."""
        return [(finish_ms(a), begin_ms(b)) for a, b in zip(self.clips, self.clips[1:], strict=False)]


def begin_ms(clip: Clip) -> float:
    return sample_to_ms(clip.start_sample)


def finish_ms(clip: Clip) -> float:
    return sample_to_ms(clip.end_sample)


@dataclass(frozen=True)
class Take:
    """``speech`` is what counts as the model's speech; ``nominal`` the same as if every tick had come at once."""

    scenario: Scenario
    recording: Recording
    speech: Speech
    nominal: Speech

    def counts_for(self, *rows: int) -> bool:
        return any(row in self.scenario.rows for row in rows)

    @cached_property
    def turns(self) -> list[UserTurn]:
        groups: list[list[Clip]] = []
        for clip in self.clips(SPEECH_TO_MODEL):
            if clip.role == Role.CONTINUATION and groups:
                groups[-1].append(clip)
            else:
                groups.append([clip])
        ends = [*(begin_ms(group[0]) for group in groups[1:]), float(self.scenario.duration_ms)]
        return [UserTurn(tuple(group), end) for group, end in zip(groups, ends, strict=False)]

    def clips(self, roles: Iterable[Role]) -> list[Clip]:
        """The clips of these roles, in order."""
        wanted = set(roles)
        return sorted((c for c in self.scenario.clips if c.role in wanted), key=lambda c: c.start_sample)

    def wants(self, *kinds: Want) -> list[Expectation]:
        return sorted((e for e in self.scenario.expect if e.want in kinds), key=lambda e: e.from_ms)

    def turn_of(self, clip_id: str) -> UserTurn | None:
        """The turn that has this clip."""
        return next((t for t in self.turns if any(c.id == clip_id for c in t.clips)), None)

    def user_speaks(self, from_ms: float, to_ms: float) -> bool:
        """Whether the user speaks to the model at some time in ``[from_ms, to_ms)``."""
        return any(begin_ms(c) < to_ms and finish_ms(c) > from_ms for c in self.clips(SPEECH_TO_MODEL))

    @cached_property
    def said(self) -> list[Token]:
        return tokens(self.speech.words)

    def said_in(self, from_ms: float, to_ms: float) -> list[Token]:
        """The normalised words that begin in ``[from_ms, to_ms)``."""
        return [token for token in self.said if from_ms <= token.start_ms < to_ms]

    def mentioned(self, meanings: Iterable[str], from_ms: float, to_ms: float) -> list[Mention]:
        """The mentions of any of these meanings that begin in ``[from_ms, to_ms]``; they may end later."""
        later = self.said_in(from_ms, float("inf"))
        return [mention for mention in any_mention(later, meanings) if mention.start_ms <= to_ms]

    @cached_property
    def ticks(self) -> int:
        return -(-self.scenario.duration_ms // FRAME_MS)

    @cached_property
    def agent_ticks(self) -> list[bool]:
        """Per tick of scenario time: does the model speak in at least half of it?"""
        return covered(self.speech.segments, self.ticks)

    @cached_property
    def user_ticks(self) -> list[bool]:
        """Per tick of scenario time: does the user speak to the model in at least half of it?"""
        clips = self.clips(SPEECH_TO_MODEL)
        return covered([Stretch(begin_ms(c), finish_ms(c)) for c in clips], self.ticks)

    @cached_property
    def agent_onsets(self) -> list[int]:
        """The ticks in which the model begins to speak."""
        flags = self.agent_ticks
        return [k for k, speaks in enumerate(flags) if speaks and (k == 0 or not flags[k - 1])]

    def tick_at(self, ms: float) -> int:
        return min(max(int(ms // FRAME_MS), 0), self.ticks - 1)

    def agent_speaking_at(self, ms: float) -> bool:
        """Whether the model was speaking when something began: at that moment and in the tick before."""
        return self.agent_ticks[max(self.tick_at(ms) - 1, 0)] and self.speech.at(ms) is not None

    def see(self, metric: str, value: float, at_ms: float, *, failed: bool = False, note: str = "") -> Observation:
        """An observation of weight 1 in this scenario."""
        return Observation(metric, self.scenario.id, float(value), at_ms=at_ms, failed=failed, note=note)


def covered(stretches: Iterable[Stretch], ticks: int) -> list[bool]:
    """Per tick: do these stretches cover at least half of it? They must not overlap."""
    cover = [0.0] * ticks
    for stretch in stretches:
        first, last = max(int(stretch.start_ms // FRAME_MS), 0), min(int(stretch.end_ms // FRAME_MS), ticks - 1)
        for tick in range(first, last + 1):
            begin, end = tick * FRAME_MS, (tick + 1) * FRAME_MS
            cover[tick] += max(0.0, min(stretch.end_ms, end) - max(stretch.start_ms, begin))
    return [share * 2 >= FRAME_MS for share in cover]
