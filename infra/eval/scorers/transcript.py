"""Own transcript: the words that the model wrote of its user, against what the user said.

Two figures: of what is said *to* the model (requests and their like) and of free speech (stories, the long sentences
that cues lie in). A written word belongs to the clip that was heard last when it was written. The user's signs of
listening and words to somebody else are clips, too: what is written of them is scored by neither figure, and no error
of the turn before. What is written of other people, or of noise, is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.eval.scenario import Clip, Role
from infra.eval.take import Observation, Take, begin_ms
from schemas.ticks import FRAME_MS
from training.edits import edit_distance

_SPOKEN = (Role.TURN, Role.CONTINUATION, Role.INTERRUPTION)
_SAID = (*_SPOKEN, Role.BACKCHANNEL, Role.ASIDE)
_TOLD = "backchannel"  # the suite of stories
_CUED = "cue-speak"


def score(take: Take) -> Iterator[Observation]:
    """Word errors of the scenario, weighed by the words that were said."""
    clips = take.clips(_SAID)
    written = _written(take, clips)
    for metric, free in (("transcript_skill_wer", False), ("transcript_wer", True)):
        errors = words = 0
        for place, clip in enumerate(clips):
            if clip.role in _SPOKEN and _is_free(take, clip, place) == free and clip.text:
                said = _plain(clip.text)
                errors += edit_distance(said, written[place])
                words += len(said)
        if words:
            yield Observation(metric, take.scenario.id, float(errors), float(words))


def _is_free(take: Take, clip: Clip, place: int) -> bool:
    suite = take.scenario.suite
    return suite == _TOLD or (suite == _CUED and clip.role == Role.TURN and place > 0)


def _written(take: Take, clips: list[Clip]) -> list[list[str]]:
    """Words by clip: one that is written in a tick was heard before that tick began."""
    found: list[list[str]] = [[] for _ in clips]
    for tick in take.recording.ticks:
        if tick.user_text.strip() and clips:
            begun_ms = tick.tick * FRAME_MS - take.recording.start_offset_ms
            place = sum(begin_ms(clip) <= begun_ms for clip in clips) - 1
            found[max(place, 0)] += _plain(tick.user_text)
    return found


def _plain(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
