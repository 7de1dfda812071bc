"""Held-out sentences through the served ``Speaker``, word by word: word errors, opinion scores, level, pitch, cost.

The same sentences by the teacher beside it. Writes ``models/speech/evaluation.json`` and pictures; every figure of the
model card and of the README's speech rows comes from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.eval.machine import facts
from schemas.ticks import FRAME_MS, OUTPUT_SAMPLES
from services.interaction.protocol import SayInput
from services.interaction.speech.speaker import Speaker
from training.phrases import TRAINING
from training.speech import teacher, texts
from training.speech.data import LEVEL, level
from training.speech.delivery import by_manner
from training.speech.export import MODEL
from training.speech.listen import (
    OPINION,
    border_steps,
    heard,
    opinion,
    pairwise_distance,
    plain_words,
    recogniser,
    word_errors,
)
from training.speech.saying import say

Floats = npt.NDArray[np.float32]


def by_teacher(text: str, voice: str) -> Floats:
    """The teacher's audio at the level of ours."""
    audio = teacher.speak(text, voice).audio
    scaled: Floats = (audio * np.float32(LEVEL / max(level(audio), 1e-4))).astype(np.float32)
    return np.clip(scaled, -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """One spoken sentence: what was heard, DNSMOS (None without ``speechmos``), level of its speech in dBFS."""

    text: str
    heard: list[str]
    opinion: float | None
    level_dbfs: float

    @classmethod
    def of(cls, text: str, audio: Floats) -> Judged:
        judge = importlib.util.find_spec("speechmos") is not None
        loud = 20 * float(np.log10(max(level(audio), 1e-5)))
        return cls(text, heard(audio, plain_words(text)), opinion(audio) if judge else None, loud)

    @property
    def right(self) -> bool:
        return not word_errors(plain_words(self.text), self.heard)


def row(judged: list[Judged]) -> dict[str, Any]:
    """Figures of some sentences."""
    wanted = [plain_words(one.text) for one in judged]
    errors = sum(word_errors(words, one.heard) for words, one in zip(wanted, judged, strict=True))
    count = sum(map(len, wanted))
    opinions = [one.opinion for one in judged if one.opinion is not None]
    return {
        "wer": round(errors / max(1, count), 4),
        "words": count,
        "level_dbfs": round(float(np.mean([one.level_dbfs for one in judged])), 2),
    } | ({"dnsmos": round(float(np.mean(opinions)), 3)} if opinions else {})


def of_teacher(text: str, voice: str, folder: Path = texts.CACHE / "judged") -> Judged:
    """The teacher's sentence, judged once and kept: it does not change with our weights."""
    path = folder / f"{voice}-{zlib.crc32(f'{OPINION}/{text}'.encode()):08x}.json"
    if path.exists():
        return Judged(**json.loads(path.read_text()))
    judged = Judged.of(text, by_teacher(text, voice))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(judged)))
    return judged


@lru_cache(maxsize=1)
def held_out_lines() -> tuple[list[str], list[str]]:
    """All held-out sentences in one order for every model: WordNet's, and those with numbers and names."""
    rng = np.random.default_rng(99)
    opened, filled = (
        [t for t in lines if texts.held_out(t) and len(t.split()) >= 4 and teacher.knows(t)]
        for lines in (texts.wordnet_examples(), texts.assistant_texts(4000, seed=99))
    )
    return [opened[i] for i in rng.permutation(len(opened))], [filled[i] for i in rng.permutation(len(filled))]


def sentences(count: int) -> list[str]:
    """Held-out sentences, the same for every model: four fifths from WordNet, the rest with numbers and names."""
    opened, filled = held_out_lines()
    return opened[: count - count // 5] + filled[: count // 5]


def shared_out(voices: tuple[str, ...], lines: list[str]) -> list[tuple[str, str]]:
    """``(text, voice)``: voices take turns."""
    return [(text, voices[place % len(voices)]) for place, text in enumerate(lines)]


def misheard(spoken: list[tuple[str, Judged]]) -> list[dict[str, str]]:
    return [
        {"voice": voice, "text": one.text, "heard": " ".join(one.heard)} for voice, one in spoken if not one.right
    ]


def by_voice(spoken: list[tuple[str, Judged]]) -> dict[str, Any]:
    """A row for each voice."""
    return {voice: row([one for v, one in spoken if v == voice]) for voice in dict.fromkeys(v for v, _ in spoken)}


def interruptions(speaker: Speaker, count: int, seed: int = 5) -> dict[str, Any]:
    """Cuts at random ticks of long sentences: is there sound after the tick of the cut, and is the last word that the
    turns tell of the last one that is heard?"""
    rng = np.random.default_rng(seed)
    long = [t for t in sentences(300) if len(t.split()) >= 8]
    silent, same, near = 0, 0, 0
    for number in range(count):
        words, out = long[number % len(long)].split(), []
        cut, told, left, session = int(rng.integers(5, 14)), [], 0, "cut"
        speaker.open(session, speaker.voices[number % len(speaker.voices)])
        for tick in range(cut + 5):
            word = f" {words.pop(0)}" if words and left < 600 and tick < cut else ""
            output = speaker.step([SayInput(session, word, cut=tick == cut)])[0]
            left = output.left_ms
            told += [w.text for w in output.words if w.end_ms is not None and not w.cut]
            out.append(output.audio)
        speaker.close(session)
        silent += all(audio is None for audio in out[cut + 1 :]) or out[cut] is None
        sound = np.frombuffer(b"".join(a or bytes(2 * OUTPUT_SAMPLES) for a in out), dtype="<i2")
        wanted = plain_words(" ".join(told))
        got = heard(sound.astype(np.float32) / 32767.0, wanted)
        same += got[-1:] == wanted[-1:]
        near += wanted[-1] in got[-2:] if wanted else not got
    counts = {"last_word_told_is_last_heard": same, "or_last_but_one": near}
    return {"n": count, "silent_after_the_tick": silent} | counts


def cost(speaker: Speaker, ticks: int = 60) -> float:
    """Median processor time of a tick of one speaking session, as a share of the tick."""
    speaker.open("cost", "default")
    spent = []
    for _ in range(ticks):
        began = time.process_time()
        speaker.step([SayInput("cost", " wonderful")])
        spent.append(time.process_time() - began)
    speaker.close("cost")
    return round(float(np.median(spent[5:])) * 1000 / FRAME_MS, 4)


_OF_TEACHER = ("speech_wer_teacher", "speech_dnsmos_teacher", "teacher", "misheard_of_teacher")


def teacher_figures(jobs: list[tuple[str, str]], known: dict[str, Any] | None) -> dict[str, Any]:
    """The teacher's share of the report: ``known`` from an earlier one of the same sentences by the same listeners
    (the teacher does not change with our weights), else measured."""
    judged_so = (len(jobs), recogniser().name, OPINION)
    if known is not None and (known["sentences"], known["recogniser"], known.get("opinion")) == judged_so:
        return {name: known[name] for name in _OF_TEACHER}
    theirs = [(voice, of_teacher(text, voice)) for text, voice in jobs]
    everything = row([one for _, one in theirs])
    figures = (everything["wer"], everything.get("dnsmos"), by_voice(theirs), misheard(theirs))
    return dict(zip(_OF_TEACHER, figures, strict=True))


def evaluate(folder: Path, count: int, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """All figures of the voice in ``folder``, the teacher's from an earlier report where it is ``known``."""
    speaker = Speaker.load(folder)
    jobs = shared_out(speaker.voices, sentences(count))
    replies = shared_out(speaker.voices, list(dict.fromkeys(" ".join(p.reply) for p in TRAINING)))
    ours = [(voice, Judged.of(text, say(speaker, text, voice))) for text, voice in jobs]
    own = [(voice, Judged.of(text, say(speaker, text, voice))) for text, voice in replies]
    all_ours, all_own = (row([one for _, one in spoken]) for spoken in (ours, own))
    voices = by_voice(ours)
    long = say(speaker, " ".join(sentences(24)), speaker.voices[0])
    return {
        "model": speaker.name,
        "sentences": count,
        "recogniser": recogniser().name,
        "opinion": OPINION,
        "speech_wer": all_ours["wer"],
        "speech_skill_wer": all_own["wer"],
        "speech_dnsmos": all_ours.get("dnsmos"),
        "speech_rtf": cost(speaker),
        "processor": facts()["processor"],
        "level_spread_db": round(pairwise_distance([one["level_dbfs"] for one in voices.values()]), 2),
        "border_step_ratio": round(border_steps(long, OUTPUT_SAMPLES), 3),
        "step_ratio_elsewhere": [round(border_steps(long, OUTPUT_SAMPLES, at), 3) for at in range(600, 4800, 600)],
        "interruptions": interruptions(speaker, max(4, count // 2)),
        "manners": by_manner(lambda text, voice, manner: say(speaker, text, voice, manner=manner), speaker.voices),
        "voices": voices,
        "skills": all_own,
        "misheard": misheard(ours),
        "skills_misheard": misheard(own),
    } | teacher_figures(jobs, known) | {k: v for k, v in (known or {}).items() if k == "flow"}


def picture(folder: Path) -> None:
    """``spectrogram.png``: one held-out sentence by every voice, the teacher's above ours."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    speaker = Speaker.load(folder)
    text = next(t for t in sentences(20) if 6 <= len(t.split()) <= 9)
    figure, axes = pyplot.subplots(2, len(speaker.voices), figsize=(4 * len(speaker.voices), 5), sharey=True)
    for column, voice in enumerate(speaker.voices):
        for row, audio in enumerate((by_teacher(text, voice), say(speaker, text, voice))):
            place = axes[row][column]
            place.specgram(audio + 1e-7, NFFT=1024, noverlap=768, Fs=24_000, vmin=-140, vmax=-40, cmap="magma")
            place.set(title=f"{voice}: {('teacher', 'microturn')[row]}", ylim=(0, 12_000), xlabel="s")
    figure.suptitle(text)
    figure.tight_layout()
    figure.savefig(folder / "spectrogram.png", dpi=80)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--sentences", type=int, default=200)
    args = parser.parse_args(argv)
    path = args.folder / "evaluation.json"
    report = evaluate(args.folder, args.sentences, json.loads(path.read_text()) if path.exists() else None)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    picture(args.folder)
    print(json.dumps({k: v for k, v in report.items() if "misheard" not in k}, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
