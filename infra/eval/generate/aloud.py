"""Suite ``speech``: what the reader reads aloud. Sessions of one voice each; voices take turns.

200 held-out sentences, 50 by each voice; nano's own phrases; sentences that are broken off at a random moment; and one
sentence by every voice for the eyes.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Sequence
from itertools import cycle, islice

from infra.eval.scenario import Line, LineKind, Scenario, Suite, Typed
from infra.eval.speech import script
from infra.eval.speech.script import TeacherLine
from schemas.ticks import FRAME_MS
from training.phrases import TRAINING
from training.speech.listen import plain_words

ROW = 13
SESSIONS = 20
CUTS = 5  # of each session
LONG_WORDS, LONG_LETTERS = 8, 40  # a sentence that can be broken off
PHRASES_MOST = 160
FIRST_MS = 800
ANSWER_MS = 1400  # from the keyboard to the first sound, with room
REST_MS = 1000  # from the last sound to the next line, with room
WORD_MS, LETTER_MS = 130, 50  # a slow reader's
CUT_FROM_MS, CUT_TO_MS = 1900, 3300  # after a line was asked for: its speech has begun
BEGUN_MS, SURELY_MS = 900, 40  # when it begins at the soonest, and how long a letter lasts at least
AFTER_CUT_MS = 2200

Task = tuple[LineKind, str, str]
"""What for, which key, which text."""


def phrases() -> list[str]:
    """Everything that nano answers of itself."""
    return list(dict.fromkeys(" ".join(phrase.reply) for phrase in TRAINING))


def speech() -> Suite:
    """The whole suite; a pure function of the teacher's file and nano's phrases."""
    lines = script.teacher().sentences
    voices = list(dict.fromkeys(line.voice for line in lines))
    texts = list(dict.fromkeys([*(line.text for line in lines), *phrases()]))
    keys = {text: f"line {number}" for number, text in enumerate(texts, 1)}
    share = SESSIONS // len(voices)
    sessions: dict[int, Scenario] = {}
    for place, voice in enumerate(voices):
        tasks = _tasks(voice, place, lines, keys)
        for turn in range(share):
            number = turn * len(voices) + place
            sessions[number] = _session(number, voice, tasks[turn::share])
    return Suite(name=script.SUITE, scenarios=[sessions[number] for number in sorted(sessions)])


def _tasks(voice: str, place: int, lines: Sequence[TeacherLine], keys: dict[str, str]) -> list[Task]:
    """All that one voice says, in such an order that every so-manieth is a fair share."""
    sentences = [line.text for line in lines if line.voice == voice]
    texts = phrases()
    times = max(1, min(4, PHRASES_MOST // len(texts)))  # by how many voices each phrase is said
    said = [text for number, text in enumerate(texts) if (place - number) % 4 < times]
    long = [t for t in (line.text for line in lines) if len(t.split()) >= LONG_WORDS and len(t) >= LONG_LETTERS]
    cut = list(islice(cycle(long), place * len(long) // 4, place * len(long) // 4 + CUTS * SESSIONS // 4))
    return [
        (LineKind.PICTURE, keys[picture(lines)], picture(lines)),
        *_spread(LineKind.SENTENCE, sentences, keys),
        *_spread(LineKind.PHRASE, said, keys),
        *_spread(LineKind.INTERRUPTION, cut, keys),
    ]


def picture(lines: Sequence[TeacherLine]) -> str:
    """The sentence that all voices say."""
    return next(line.text for line in lines if 6 <= len(line.text.split()) <= 9)


def _spread(kind: LineKind, texts: Iterable[str], keys: dict[str, str]) -> list[Task]:
    return [(kind, keys[text], text) for text in texts]


def _session(number: int, voice: str, tasks: Sequence[Task]) -> Scenario:
    name = f"{script.SUITE}-{number:03d}"
    rng = random.Random(name)
    order = list(tasks)
    rng.shuffle(order)
    lines: list[Line] = []
    typed: list[Typed] = []
    at_ms = FIRST_MS
    for kind, key, text in order:
        at_ms += rng.randrange(FRAME_MS)  # on no border of anything
        typed.append(Typed(at_ms=at_ms, text=script.asked(key)))
        stop_ms = -1
        if kind is LineKind.INTERRUPTION:
            stop_ms = at_ms + rng.randrange(CUT_FROM_MS, min(CUT_TO_MS, BEGUN_MS + SURELY_MS * len(text)))
            typed.append(Typed(at_ms=stop_ms, text=script.STOP))
        end_ms = stop_ms + AFTER_CUT_MS if stop_ms >= 0 else at_ms + ANSWER_MS + _length_ms(text) + REST_MS
        lines.append(Line(key=key, kind=kind, from_ms=at_ms, to_ms=end_ms, stop_ms=stop_ms))
        at_ms = end_ms
    texts = {key: text for _, key, text in order} | {script.STOP: script.STOPPED}
    return Scenario(
        id=name,
        suite=script.SUITE,
        template=voice,
        rows=[ROW],
        seed=zlib.crc32(name.encode()),
        duration_ms=-(-at_ms // FRAME_MS) * FRAME_MS,
        typed=typed,
        results=texts,
        delays_ms=dict.fromkeys(texts, 0),
        model_voice=voice,
        lines=lines,
    )


def _length_ms(text: str) -> int:
    return sum(WORD_MS + LETTER_MS * len(word) for word in plain_words(text))
