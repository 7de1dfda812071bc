"""The part of the behaviour report that is about the voice: rows, misheard lines, a picture. Nothing is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.eval.collect import Collected, recorded
from infra.eval.recording import Recording
from infra.eval.rows import Row
from infra.eval.scenario import LineKind, Suite
from infra.eval.speech import cost, pictures, script
from infra.eval.speech.judge import Judge, Judgement
from infra.eval.speech.lines import Spoken, spoken_lines
from infra.eval.speech.rows import rows_of, targets
from infra.eval.speech.score import Judging, score
from infra.eval.stacks import READER
from infra.eval.take import Observation

PICTURE = "voices.png"
TOLD_EVERY = 50
Say = Callable[[str], None]


@dataclass(slots=True)
class Measured:
    """All that the recordings of the reader say. ``facts`` is what the report's JSON has beside its rows."""

    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def measured(root: Path, suite: Suite, drawn: Path, say: Say = print) -> Measured:
    """Listen to what is recorded under ``root``, once, and draw into ``drawn``. Raises ``HearingMissing``."""
    made = Collected(READER)
    recordings: list[Recording] = []
    lines: list[Spoken] = []
    for scenario, recording in recorded(root / READER, suite.scenarios, made):
        recordings.append(recording)
        lines += spoken_lines(scenario, recording, root / READER / scenario.id / "model.wav")
    if not recordings:
        return Measured(facts={"recordings": _facts(made, recordings)})
    teacher = script.teacher()
    voices = list(dict.fromkeys(line.voice for line in lines))
    judge = Judge(root / "judged")
    seen = score(lines, _listening(judge, lines, say), teacher.sentences, teacher.cuts)
    spent = cost.kept(root / READER)
    rows = rows_of(seen, voices, spent)
    shown = {line.voice: line for line in lines if line.line.kind is LineKind.PICTURE}
    facts = {
        "voice": spent.voice if spent is not None else "",
        "voices": voices,
        "recogniser": judge.name,
        "recordings": _facts(made, recordings),
        "teacher": {
            "name": teacher.teacher,
            "recogniser": teacher.recogniser,
            "made_by": teacher.made_by,
            "file": script.TEACHER.name,
            "sentences": len(teacher.sentences),
            "sentences_sha256": teacher.sentences_sha256,
        },
        "targets": targets(rows),
        "misheard": _noted(seen, ("speech_wer", "speech_skill_wer", "speech_lines_whole")),
        "interrupted": _noted(seen, ("interrupt_audio_ended", "interrupt_last_word")),
        "picture": pictures.spectrograms(shown, drawn / PICTURE) if shown else "",
    }
    return Measured(rows, facts)


def _listening(judge: Judge, lines: Sequence[Spoken], say: Say) -> Judging:
    """The judge, who says now and then how far he is."""
    done = 0

    def listen(spoken: Spoken, wanted: Sequence[str]) -> Judgement:
        nonlocal done
        if done % TOLD_EVERY == 0:
            say(f"{READER}: listening, {done} of {len(lines)} lines done")
        done += 1
        return judge.judge(spoken.pcm, wanted, opinions=spoken.line.kind is LineKind.SENTENCE)

    return listen


def _facts(made: Collected, recordings: list[Recording]) -> dict[str, Any]:
    return {
        "scored": len(recordings),
        "missing": len(made.missing),
        "outdated": len(made.outdated),
        "failed": made.failed,
        "ticks": sum(len(one.ticks) for one in recordings),
        "late_ticks": sum(one.late_ticks for one in recordings),
        "underruns": sum(one.underruns for one in recordings),
        "at_once": max((one.at_once for one in recordings), default=0),
        "context_read": sum(one.context is not None for one in recordings),
    }


def _noted(seen: list[Observation], metrics: tuple[str, ...]) -> list[dict[str, Any]]:
    kept = ("metric", "scenario", "note")
    return [{name: asdict(o)[name] for name in kept} for o in seen if o.failed and o.metric in metrics]
