"""Recordings from disk, as takes to be scored: the asked models and suites, made with the scripts of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from infra.eval import recording as recordings
from infra.eval.heard import audible, audible_with_text, from_audio, from_text, nominal
from infra.eval.recognise import Recogniser
from infra.eval.recording import Recording
from infra.eval.scenario import Scenario, Suite, fingerprint
from infra.eval.take import Take

TOLD_EVERY = 40


@dataclass(frozen=True, slots=True)
class Played:
    """A take with its folder. ``by_text`` is the same with the words that the model wrote, where it has a voice."""

    take: Take
    folder: Path
    by_text: Take | None = None


@dataclass(slots=True)
class Collected:
    """What there is of one model. ``outdated``: played with another script than today's; ``failed``: with why."""

    model: str
    played: list[Played] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def voiced(self) -> bool:
        return any(one.take.recording.speaks for one in self.played)


def collect(
    root: Path, model: str, suites: Iterable[Suite], recogniser: Recogniser, say: Callable[[str], None] = print
) -> Collected:
    """All takes of one model. Sound that was not recognised before is recognised now, and kept beside it."""
    made = Collected(model)
    scenarios = [scenario for suite in suites for scenario in suite.scenarios]
    loaded = list(recorded(root / model, scenarios, made))
    voiced = any(recording.speaks for _, recording in loaded)
    unheard = [scenario.id for scenario, recording in loaded if voiced and recording.heard is None]
    for scenario, recording in loaded:
        if scenario.id in unheard[::TOLD_EVERY]:
            say(f"{model}: listening to {len(unheard) - unheard.index(scenario.id)} recordings")
        folder = root / model / scenario.id
        made.played.append(_played(scenario, recording, folder, recogniser if voiced else None))
    return made


def recorded(folder: Path, scenarios: Sequence[Scenario], made: Collected) -> Iterator[tuple[Scenario, Recording]]:
    """The usable recordings in ``folder``; what is missing, outdated or failed is noted in ``made``."""
    for scenario in scenarios:
        try:
            recording = recordings.load(folder / scenario.id)
        except FileNotFoundError:
            made.missing.append(scenario.id)
            continue
        except msgspec.DecodeError as error:
            made.failed[scenario.id] = f"unreadable: {error}"
            continue
        if recording.error:
            made.failed[scenario.id] = recording.error
        elif recording.script != fingerprint(scenario):
            made.outdated.append(scenario.id)
        else:
            yield scenario, recording


def _played(scenario: Scenario, recording: Recording, folder: Path, recogniser: Recogniser | None) -> Played:
    """A model with a voice is judged by its sound, also where it kept quiet; one without by its words."""
    if recogniser is None:
        return Played(Take(scenario, recording, from_text(recording), nominal(recording)), folder)
    sound = folder / "model.wav"
    if recording.heard is None:
        recording = recogniser.fill(recording, sound)
        recordings.save(recording, folder)
    stretches = audible(sound)
    take = Take(scenario, recording, from_audio(recording, stretches), nominal(recording))
    return Played(take, folder, replace(take, speech=audible_with_text(recording, stretches)))
