"""The teacher's figures on the held-out sentences: what the voice is measured against where Kokoro is not installed.

``python -m training.speech.teacher_figures`` speaks every sentence with the teacher, listens to it as the report
listens to ours, and writes ``tests/behaviour/teacher.json``: the sentences of suite ``speech`` with their voices, and
of each the teacher's edits, words and opinion score. It can be stopped: what was judged is kept (``MICROTURN_SPEECH``),
a sentence without figures is in the file without them, and the next call goes on.

With them stand the lines that suite ``speech`` breaks off, each ended after one of the teacher's own words: what a
recogniser makes of the last word of perfect speech that stops, which is less than one thinks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.interaction.speech.config import HOP, RATE_HZ
from training.speech import teacher
from training.speech.evaluate import Judged, of_teacher, sentences, shared_out
from training.speech.listen import OPINION, heard, plain_words, recogniser, word_errors

BEHAVIOUR = Path(__file__).parents[2] / "tests" / "behaviour"
FILE, SUITE = BEHAVIOUR / "teacher.json", BEHAVIOUR / "aloud" / "speech.json"
FADE_MS, QUIET_MS = 25, 200  # behind a word after which the teacher is stopped; as ours fades between words
FEWEST = 3  # words before it is
SENTENCES = 200
EVERY = 10  # sentences, then the file is written


def list_sha256(jobs: Sequence[tuple[str, str]]) -> str:
    """Names exactly these sentences, in this order, by these voices."""
    return hashlib.sha256("\n".join(f"{voice}\t{text}" for text, voice in jobs).encode()).hexdigest()


def figures(text: str, voice: str, judged: Judged | None) -> dict[str, Any]:
    """One sentence's line in the file."""
    wanted = plain_words(text)
    known = {"voice": voice, "text": text, "words": len(wanted)}
    if judged is None:
        return known
    return known | {
        "edits": word_errors(wanted, judged.heard),
        "dnsmos": None if judged.opinion is None else round(judged.opinion, 4),
        "heard": " ".join(judged.heard),
    }


def broken_off(suite: Path = SUITE) -> list[tuple[str, str]]:
    """``(text, voice)`` of the lines that the suite breaks off."""
    scenarios = json.loads(suite.read_text(encoding="utf-8"))["scenarios"]
    return [
        (scenario["results"][line["key"]], scenario["model_voice"])
        for scenario in scenarios
        for line in scenario["lines"]
        if line["kind"] == "interruption"
    ]


def stopped_after(take: teacher.Take, count: int) -> npt.NDArray[np.float32]:
    """The take's sound to the end of its ``count``-th word, a short fade, and silence."""
    spoken = teacher.words(take.text, teacher.accent(take.voice))[:count]
    symbols = len(" ".join(word.phones + word.mark for word in spoken if word.phones)) + 1  # and the begin, ^
    mark = len(spoken[-1].mark)
    end = int(take.durations[: symbols - mark].sum()) * HOP
    fade = take.audio[end : end + FADE_MS * RATE_HZ // 1000]
    falling = np.linspace(1.0, 0.0, len(fade), dtype=np.float32)
    quiet = np.zeros(QUIET_MS * RATE_HZ // 1000, dtype=np.float32)
    return np.concatenate([take.audio[:end], fade * falling, quiet])


def cut(text: str, voice: str) -> dict[str, str]:
    """One broken line as it stands in the file: what was said of it, after a word drawn by its name, and heard."""
    tokens = text.split()
    count = random.Random(f"{voice}/{text}").randint(FEWEST, len(tokens) - 1)
    said = plain_words(" ".join(tokens[:count]))
    got = heard(stopped_after(teacher.speak(text, voice), count), said)
    return {"voice": voice, "text": text, "said": " ".join(said), "heard": " ".join(got)}


def kept_cuts(path: Path, lines: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Those of the file, if they are of these lines and were heard by this recogniser; else none."""
    made = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known: list[dict[str, str]] = made.get("cuts", [])
    alike = [(one["text"], one["voice"]) for one in known] == list(lines)
    return known if alike and made["recogniser"] == recogniser().name else []


def write(
    path: Path, cuts: Sequence[dict[str, str]], jobs: Sequence[tuple[str, str]], judged: Sequence[Judged]
) -> None:
    """The file with the broken lines and the figures of the first sentences, those that were judged."""
    made = {
        "made_by": "python -m training.speech.teacher_figures",
        "teacher": "Kokoro-82M v1.0 (int8 ONNX)",
        "recogniser": recogniser().name,
        "opinion": OPINION,
        "sentences_from": "WordNet 3.1 examples (Princeton's licence) and training.speech.texts, held out of training",
        "sentences_sha256": list_sha256(jobs),
    }
    known = [*judged, *[None] * (len(jobs) - len(judged))]
    lines = [figures(text, voice, one) for (text, voice), one in zip(jobs, known, strict=True)]
    head = json.dumps(made, indent=1, ensure_ascii=False)[:-2]
    body, ended = (",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in part) for part in (lines, cuts))
    aside = path.with_suffix(".part")
    aside.write_text(f'{head},\n "sentences": [\n{body}\n ],\n "cuts": [\n{ended}\n ]\n}}\n', encoding="utf-8")
    os.replace(aside, path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--judge", type=int, default=SENTENCES, help="no more than so many, the first ones")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(argv)
    jobs, lines = shared_out(teacher.VOICES, sentences(args.sentences)), broken_off()
    cuts = kept_cuts(args.out, lines) or [cut(text, voice) for text, voice in lines]
    judged: list[Judged] = []
    for text, voice in jobs[: args.judge]:
        judged.append(of_teacher(text, voice))
        if len(judged) % EVERY == 0:
            write(args.out, cuts, jobs, judged)
            print(f"{len(judged)} of {len(jobs)} judged", flush=True)
    write(args.out, cuts, jobs, judged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
