"""Where quality is lost: sentences to develop with at each stage between the teacher and what is served.

These sentences are held out of training and are none of those that ``evaluate`` reports on: what is chosen or tuned is
chosen by them, so that the report's sentences stay new to every choice.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.ticks import OUTPUT_SAMPLES
from services.interaction.protocol import SayInput
from services.interaction.speech.config import DETAILS_PLACE
from services.interaction.speech.speaker import Speaker
from training.speech import details, teacher
from training.speech.data import Example
from training.speech.evaluate import Judged, by_teacher, by_voice, held_out_lines, misheard, row, shared_out
from training.speech.export import MODEL
from training.speech.listen import surprise
from training.speech.pairs import joined
from training.speech.saying import say
from training.speech.singing import sung
from training.speech.states import sketch
from training.speech.synth import Raw
from training.speech.texts import CACHE
from training.speech.tune import drawn

REPORTED = 300  # so many held-out sentences are the reports'; those that follow are to develop with
Floats = npt.NDArray[np.float32]
Stage = Callable[[str, str], Floats]
"""Text and voice to audio."""


def sentences(count: int) -> list[str]:
    """Held-out sentences that no report is made of, four fifths from WordNet, the rest with numbers and names."""
    opened, filled = held_out_lines()
    first, rest = REPORTED - REPORTED // 5, REPORTED // 5
    return opened[first : first + count - count // 5] + filled[rest : rest + count // 5]


@lru_cache(maxsize=1)
def _reader() -> details.DetailNet:
    return details.load()


@lru_cache(maxsize=1000)
def taken(text: str, voice: str) -> Example:
    """The teacher's take as training would have it, with the details that the released vocoder knows."""
    take = teacher.speak(text, voice)
    pcm = np.round(take.audio * 32767 * 0.7).astype(np.int16)
    raw = Raw(text, voice, take.symbols, take.durations, take.f0, pcm, (), 0.0)
    return details.told(_reader(), joined(sketch(text, voice), raw))


def at_once(speaker: Speaker, text: str, voice: str) -> Floats:
    """The text known as a whole before the first sound."""
    speaker.open("whole", voice)
    item, out, left = SayInput("whole", f" {text}"), [], 1
    while left:
        output = speaker.step([item])[0]
        out.append(np.frombuffer(output.audio or bytes(2 * OUTPUT_SAMPLES), dtype="<i2"))
        item, left = SayInput("whole"), output.left_ms
    speaker.close("whole")
    return np.concatenate(out).astype(np.float32) / 32767.0


def stages(speaker: Speaker) -> dict[str, Stage]:
    """Each adds one thing of ours to what the one before takes from the teacher."""
    head, vocoder = speaker._head, speaker._vocoder

    def sing(one: Example) -> Floats:
        features = one.features.copy()
        if not speaker.config.details:  # weights of before would make of them what chance has left there
            features[:, DETAILS_PLACE:] = 0.0
        return sung(vocoder, features)

    return {
        "teacher": by_teacher,
        "vocoder": lambda text, voice: sing(taken(text, voice)),
        "mels": lambda text, voice: sing(drawn(head, taken(text, voice))),
        "whole": lambda text, voice: at_once(speaker, text, voice),
        "served": lambda text, voice: say(speaker, text, voice),
    }


def judge(name: str, stage: Stage, jobs: list[tuple[str, str]], *, words: bool) -> dict[str, Any]:
    """Figures of one stage, by voice too: surprise, and with ``words`` also word errors and DNSMOS, which take long."""
    spoken = [(text, voice, stage(text, voice)) for text, voice in jobs]
    lines = [{"voice": voice, "text": text, "surprise": surprise(audio, text)} for text, voice, audio in spoken]
    made: dict[str, Any] = {"stage": name, "surprise": mean_by_voice(lines), "lines": lines}
    if words:
        judged = [(voice, Judged.of(text, audio)) for text, voice, audio in spoken]
        made |= row([one for _, one in judged]) | {"voices": by_voice(judged), "misheard": misheard(judged)}
    return made


def mean_by_voice(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Mean surprise of all, and of each voice."""
    voices = dict.fromkeys(line["voice"] for line in lines)
    groups = {"all": lines} | {voice: [line for line in lines if line["voice"] == voice] for voice in voices}
    return {name: round(float(np.mean([line["surprise"] for line in group])), 4) for name, group in groups.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--sentences", type=int, default=48)
    parser.add_argument("--stages", default="teacher,vocoder,mels,whole,served")
    parser.add_argument("--words", action="store_true", help="word errors and DNSMOS, too")
    parser.add_argument("--out", type=Path, default=CACHE / "stages")
    args = parser.parse_args(argv)
    speaker = Speaker.load(args.folder)
    jobs, known = shared_out(speaker.voices, sentences(args.sentences)), stages(speaker)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.stages.split(","):
        made = judge(name, known[name], jobs, words=args.words)
        (args.out / f"{speaker.config.version}-{name}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False))
        heard = f"; word errors {made['wer']:.4f}, DNSMOS {made.get('dnsmos', 0):.3f}" if args.words else ""
        by = " ".join(f"{voice} {nats:.3f}" for voice, nats in made["surprise"].items())
        print(f"{name}: surprise {by}{heard}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
