"""The teacher's figures on the held-out sentences: what the voice is measured against where Kokoro is not installed.

``python -m training.speech.teacher_figures`` speaks every sentence with the teacher, listens to it as the report
listens to ours, and writes ``tests/behaviour/teacher.json``: the sentences of suite ``speech`` with their voices, and
of each the teacher's edits, words and opinion score. It can be stopped: what was judged is kept (``MICROTURN_SPEECH``),
a sentence without figures is in the file without them, and the next call goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.speech import teacher
from training.speech.evaluate import Judged, of_teacher, sentences, shared_out
from training.speech.listen import OPINION, plain_words, recogniser, word_errors

FILE = Path(__file__).parents[2] / "tests" / "behaviour" / "teacher.json"
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


def write(path: Path, jobs: Sequence[tuple[str, str]], judged: Sequence[Judged]) -> None:
    """The file with the figures of the first sentences, those that were judged."""
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
    body = ",\n".join(f"  {json.dumps(line, ensure_ascii=False)}" for line in lines)
    aside = path.with_suffix(".part")
    aside.write_text(f'{head},\n "sentences": [\n{body}\n ]\n}}\n', encoding="utf-8")
    os.replace(aside, path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--judge", type=int, default=SENTENCES, help="no more than so many, the first ones")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(argv)
    jobs = shared_out(teacher.VOICES, sentences(args.sentences))
    judged: list[Judged] = []
    for text, voice in jobs[: args.judge]:
        judged.append(of_teacher(text, voice))
        if len(judged) % EVERY == 0:
            write(args.out, jobs, judged)
            print(f"{len(judged)} of {len(jobs)} judged", flush=True)
    write(args.out, jobs, judged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
