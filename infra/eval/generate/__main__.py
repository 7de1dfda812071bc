"""``python -m infra.eval.generate``: all suites from their templates; ``--voices`` synthesises what is not there yet.

Without ``--voices`` only the committed speech is used, and the result is the same files again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from infra.eval import clips
from infra.eval.clips import Clips, SpeechMissing, Take
from infra.eval.generate import aloud, engines, senses, suites
from infra.eval.generate.compose import VOICES, Takes
from infra.eval.scenario import Scenario, Suite
from infra.eval.speech import script
from training.voices import SPLIT_PATH

FOLDER = Path(__file__).parents[3] / "tests" / "behaviour" / "scenarios"
SCHEMA = FOLDER.parent / "scenario.schema.json"
SUITES: dict[str, Callable[[Takes], Iterator[Scenario]]] = {
    "turn-taking": suites.turn_taking,
    "backchannel": suites.backchannel,
    "selectivity": suites.selectivity,
    "barge-in": suites.barge_in,
    "cue-speak": senses.cue_speak,
    "time-speak": senses.time_speak,
    "visual": senses.visual,
    "delegation": suites.delegation,
}


class Studio:
    """Takes from the committed speech, or spoken now; remembers which were used."""

    def __init__(self, known: Clips | None, *, speak: bool) -> None:
        self._known, self._speak = known, speak
        self.used: dict[tuple[str, str], Take] = {}
        self.spoken = 0

    def __call__(self, voice: str, text: str) -> Take:
        """Raises ``SpeechMissing`` when it is neither there nor to be synthesised."""
        name = (voice, text)
        if name not in self.used:
            self.used[name] = self._get(voice, text)
        return self.used[name]

    def known(self) -> dict[tuple[str, str], Take]:
        """All committed takes, used or not."""
        known = self._known
        return {name: known.take(*name) for name in known.names} if known is not None else {}

    def _get(self, voice: str, text: str) -> Take:
        if self._known is not None:
            try:
                return self._known.take(voice, text)
            except SpeechMissing:
                if not self._speak:
                    raise
        elif not self._speak:
            raise SpeechMissing("there is no committed speech; --voices makes it")
        self.spoken += 1
        if self.spoken % 20 == 0:
            print(f"{self.spoken} takes spoken, the last by {voice}", flush=True)
        return engines.synthesise(voice, text)


def generate(takes: Takes) -> list[Suite]:
    """All suites; the same takes give the same suites."""
    return [Suite(name=name, scenarios=list(make(takes))) for name, make in SUITES.items()]


def suite_file(suite: Suite) -> bytes:
    """As it lies in its file: one scenario a paragraph, for the eyes and for diffs."""
    return msgspec.json.format(msgspec.json.encode(suite), indent=1) + b"\n"


def schema_file() -> bytes:
    """The JSON Schema of a suite's file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(Suite)
    return json.dumps(schema, indent=1, ensure_ascii=False).encode() + b"\n"


def phrasings(made: list[Suite]) -> list[str]:
    """All that is said in the suites, as whole takes."""
    spoken = (clip for suite in made for scenario in suite.scenarios for clip in scenario.clips)
    return sorted({clip.take or clip.text for clip in spoken if not clip.voice.startswith("noise:")})


def videos(made: list[Suite]) -> list[str]:
    """Kinds of drawings, with their colours."""
    events = (event for suite in made for scenario in suite.scenarios for event in scenario.video)
    return sorted({" ".join([e.kind, str(e.params["colour"])] if "colour" in e.params else [e.kind]) for e in events})


def split_section(made: list[Suite]) -> dict[str, object]:
    """What training reads to keep off it (``evaluation`` in training/split.json)."""
    return {"voices": list(VOICES), "videos": videos(made), "phrasings": phrasings(made)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.eval.generate", description=__doc__)
    parser.add_argument("--voices", action="store_true", help="synthesise missing takes (extra voices, flite, Piper)")
    arguments = parser.parse_args(argv)
    known = Clips() if (clips.FOLDER / "takes.json").exists() else None
    if arguments.voices:
        os.nice(5)
    studio = Studio(known, speak=arguments.voices)
    try:
        made = generate(studio)
    except BaseException:
        if studio.spoken:  # so that the next try begins where this one ended
            clips.write({**studio.known(), **studio.used}.values())
        raise
    if arguments.voices:
        clips.write(studio.used.values())
    FOLDER.mkdir(parents=True, exist_ok=True)
    spoken = aloud.speech()
    script.FILE.parent.mkdir(parents=True, exist_ok=True)
    script.FILE.write_bytes(suite_file(spoken))
    print(f"{spoken.name}: {len(spoken.scenarios)} sessions, {sum(len(s.lines) for s in spoken.scenarios)} lines")
    for suite in made:
        (FOLDER / f"{suite.name}.json").write_bytes(suite_file(suite))
        seconds = sum(s.duration_ms for s in suite.scenarios) / 1000
        print(f"{suite.name}: {len(suite.scenarios)} scenarios, {seconds:.0f} s")
    SCHEMA.write_bytes(schema_file())
    split = json.loads(SPLIT_PATH.read_text())
    split["evaluation"] = split_section(made)
    SPLIT_PATH.write_text(json.dumps(split, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
