"""Held-out figures in closed loop: voices (and phrasings) never trained on, through the services' own classes."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.records import Floor
from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from services.interaction.speech.speaker import Speaker
from training.bank import Bank
from training.closed_loop import Played, play
from training.edits import edit_distance
from training.evaluate_skills import score_skills
from training.oracle import Oracle
from training.scenes import Composer
from training.script import TICK, Recipe, UserTurn
from training.synth import CORPUS

DIGITAL_SILENCE = "digital silence"
SPOKEN = "spoken overlaps"
COUNTS = "counts"
_PLAIN = Recipe(
    pause=0.0,
    interrupt=0.0,
    backchannel=0.0,
    typed=0.0,
    story=0.0,
    order=0.0,
    lead=0.0,
    aside=0.0,
    overheard=0.0,
    cough=0.0,
    delays=0.0,
    video=0.0,
    digital_silence=0.1,
    voiced=0.0,
    faults=0.0,
)
SKILLS: dict[str, Recipe] = {
    "turns": replace(_PLAIN, typed=0.15, video=0.3),
    "pauses": replace(_PLAIN, pause=1.0, lead=0.5),
    "overlaps": replace(_PLAIN, interrupt=0.45, backchannel=0.4),
    # The same when nano's words are spoken: it is heard for longer than it writes.
    SPOKEN: replace(_PLAIN, interrupt=0.45, backchannel=0.4, voiced=1.0),
    # Counts to their end, by the pace of the voice.
    COUNTS: replace(_PLAIN, kinds={"count": 0.8, "fixed": 0.2}, voiced=1.0),
    "stories": replace(_PLAIN, story=0.5, aside=0.25, overheard=0.15, cough=0.5, voiced=1.0),
    "orders": replace(_PLAIN, order=1.0, brief=0.0, sight=0.0, voiced=1.0),
    "sight": replace(_PLAIN, order=0.9, sight=1.0, voiced=1.0),
    # Nothing but exact zeros around the voice, and stalls: what muted or gated microphones and bad links send.
    DIGITAL_SILENCE: replace(_PLAIN, pause=0.3, digital_silence=1.0, babble=0.0, reverb=0.0, stalls=0.5),
}
# Overlaps need something to talk over: counting and results last long enough.
_LONG = {"fixed": 0.1, "count": 0.5, "open": 0.4}
TICKS = 90
VOICE = Path("models/speech")
SPOKEN_WORDS_LEFT = 6  # so it would not have ended by itself meanwhile
STOPS_WITHIN, GOES_ON = 10, 5  # ticks after somebody begins to speak over nano's voice, as in the behaviour report
COUNT_TICKS, COUNT_TICKS_BEYOND = 2, 8  # time for each number of a count, and for one that should not come
MIN_CASES = 10


class Scores:
    """Hits and cases by name."""

    def __init__(self) -> None:
        self.cases: dict[str, list[bool]] = defaultdict(list)
        self.latencies_ms: list[float] = []
        self.word_errors, self.words = 0, 0
        self.false_words, self.quiet_ticks = 0, 0

    def add(self, name: str, hit: bool) -> None:
        self.cases[name].append(hit)

    def report(self) -> dict[str, Any]:
        """Rates with their n and a 95 % bootstrap interval; the rate is left out when n < 10."""
        rows: dict[str, Any] = {}
        rng = random.Random(0)
        for name, hits in sorted(self.cases.items()):
            row: dict[str, Any] = {"n": len(hits)}
            if len(hits) >= MIN_CASES:
                draws = sorted(sum(rng.choices(hits, k=len(hits))) / len(hits) for _ in range(400))
                rate, low, high = (round(x, 4) for x in (sum(hits) / len(hits), draws[10], draws[389]))
                row |= {"rate": rate, "low": low, "high": high}
            rows[name] = row
        latencies = sorted(self.latencies_ms)
        if len(latencies) >= MIN_CASES:
            p50, p90 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.9))
            rows["answer latency"] = {"n": len(latencies), "p50_ms": round(p50), "p90_ms": round(p90)}
        if self.words >= MIN_CASES:
            rows["own transcript"] = {"n_words": self.words, "word_error_rate": round(self.word_errors / self.words, 4)}
        if self.quiet_ticks:
            minutes = self.quiet_ticks / 300
            per_minute = round(self.false_words / minutes, 3)
            rows["words said unasked"] = {"minutes": round(minutes, 2), "per_minute": per_minute}
        return rows


def _expected(played: Played, turn: UserTurn) -> tuple[str, ...]:
    assert turn.phrase is not None
    return Oracle(played.script, {}, {})._reply(turn.decision_tick, turn)


def _end_tick(turn: UserTurn) -> int:
    return (turn.stop if turn.kind != "typed" else turn.start) // TICK


def _label(turn: UserTurn, expected: tuple[str, ...]) -> str:
    assert turn.phrase is not None
    if turn.kind == "typed":
        return "typed text"
    if turn.phrase.delegate:
        return "open question"
    if turn.phrase.intent.startswith("count_"):
        return "count"
    if turn.phrase.task:
        return "order confirmed"
    if turn.phrase.intent in ("how_long", "fingers"):
        return turn.phrase.intent.replace("_", " ")
    return "colour seen" if turn.phrase.intent == "colour" and expected != turn.phrase.reply else "intent"


def _score_answer(played: Played, turn: UserTurn, until: int, scores: Scores) -> None:
    """The words said after the turn's end until the next turn begins."""
    assert turn.phrase is not None
    end = _end_tick(turn)
    said = [(t, played.words(t)) for t in range(end, min(until, played.script.ticks)) if played.words(t)]
    own = [(t, word) for t, word in said if word != "<copy>"]
    expected = _expected(played, turn)
    if until - end < 4 or end + 4 >= played.script.ticks:
        return
    words = [word for _, word in own][: len(expected)]
    uncut = until - end > 3 + len(expected) * 2
    right = bool(words) and words == list(expected[: len(words)]) and (len(words) == len(expected) or not uncut)
    prompt = bool(own) and own[0][0] <= end + 2
    scores.add(f"right answer within two ticks: {_label(turn, expected)}", right and prompt)
    if turn.kind != "typed":
        scores.add("right answer within two ticks: all spoken turns", right and prompt)
        scores.add(f"right answer within two ticks: {turn.voice.split(':')[0]} voices", right and prompt)
        scores.add("answered within two ticks", prompt)
        if own:
            scores.latencies_ms.append((own[0][0] + 1) * 200 - turn.stop / 16)
    delegated = any(played.outputs[t].delegate for t in range(end, min(end + 4, played.script.ticks)))
    name = "delegates what it cannot answer" if turn.phrase.delegate else "delegates nothing else"
    scores.add(name, delegated == turn.phrase.delegate)
    if turn.phrase.intent == "cancel" and (played.pending[end] or played.delegated[end]):
        gone = any(played.outputs[t].drop_pending or played.outputs[t].cancel for t in range(end, end + 4))
        scores.add("never mind drops or cancels the task", gone)


def _score_listening(played: Played, turn: UserTurn, scores: Scores) -> None:
    """While the user speaks, and in pauses inside a turn."""
    start, end = turn.start // TICK, _end_tick(turn)
    if played.words(start) or (start and played.words(start - 1)):
        return
    before_end = [t for t in range(start + 1, end)]
    scores.add("silent while the user speaks", not any(played.words(t) for t in before_end))
    if turn.kind == "pause":
        (_, pause), (resume, _) = turn.pieces
        length = (resume - pause) / 16_000
        silent = not any(played.words(t) for t in range(pause // TICK, resume // TICK + 1))
        span = "0.5–1.0" if length < 1 else "1.0–1.5" if length < 1.5 else "1.5–2.0"
        scores.add(f"holds through a pause of {span} s", silent)


def _remaining(played: Played, tick: int, answer: tuple[int, tuple[str, ...]] | None) -> int:
    """Words nano had still to say when the user began."""
    left = played.pending[tick]
    if answer is not None:
        said = sum(bool(played.words(t)) for t in range(answer[0], tick))
        left = max(left, len(answer[1]) - said)
    return left


BESIDE = ("backchannel", "signs", "asides", "hesitations", "overheard")  # said over nano's voice, and no reason to stop


def _score_overlap(
    played: Played, turn: UserTurn, answer: tuple[int, tuple[str, ...]] | None, scores: Scores
) -> None:
    if turn.phrase is None and turn.kind not in BESIDE:
        return
    start = turn.start // TICK
    speaking = start >= 2 and any(played.words(t) for t in (start - 1, start - 2)) and played.words(start) != ""
    if not speaking or _remaining(played, start, answer) < 4 or start + 8 >= played.script.ticks:
        return
    if turn.phrase is None:
        spoken = sum(bool(played.words(t)) for t in range(start + 1, start + 8))
        scores.add("goes on through a backchannel", spoken >= 2)
        return
    end = _end_tick(turn)
    late = [t for t in range(start + 3, end) if played.words(t)]
    scores.add("yields within two ticks when interrupted", not late)


def _score_spoken(played: Played, scores: Scores) -> None:
    """When nano's voice is heard and has more to say: does it stop for an interruption, and only for that?"""
    answer: tuple[int, tuple[str, ...]] | None = None
    for turn in sorted(played.script.turns, key=lambda t: t.start):
        start = turn.start // TICK
        whole = start >= 1 and start + STOPS_WITHIN <= played.script.ticks
        heard = turn.kind != "typed" and whole and played.left_ms[start] > 0
        if heard and _remaining(played, start, answer) >= SPOKEN_WORDS_LEFT:
            silent = [played.outputs[t].floor is not Floor.TAKE for t in range(start, start + STOPS_WITHIN)]
            if turn.phrase is None:
                scores.add("spoken: goes on for a second through what asks for nothing", not any(silent[:GOES_ON]))
            else:
                scores.add("spoken: falls silent within three ticks when interrupted", any(silent[:4]))
                scores.add("spoken: falls silent within two seconds when interrupted", any(silent))
        if turn.phrase is not None:
            answer = (_end_tick(turn), _expected(played, turn))


def _score_count(played: Played, scores: Scores) -> None:
    """Where a count was begun and there was time for all of it: does it end where it was asked to?"""
    turns = sorted(played.script.turns, key=lambda t: t.start)
    for turn, following in zip(turns, [*(t.start // TICK for t in turns[1:]), played.script.ticks], strict=False):
        if turn.phrase is None or not turn.phrase.ends_with:
            continue
        count, end = turn.phrase.reply, _end_tick(turn)
        said = [word for t in range(end - 1, following) if (word := played.words(t))]
        if following - end >= COUNT_TICKS * len(count) + COUNT_TICKS_BEYOND and said[:1] == ["one"]:
            scores.add("counts to the number asked for, and no farther", tuple(said) == count)


def _score_weaving(played: Played, scores: Scores) -> None:
    """A result that arrives while the user is silent and stays so is said at once."""
    busy = set()
    for turn in played.script.turns:
        busy |= set(range(turn.start // TICK - 1, _end_tick(turn) + 2))
    for tick in played.arrived:
        window = range(tick, min(tick + 5, played.script.ticks))
        if len(window) == 5 and not busy & set(range(tick - 2, tick + 5)) and not played.words(tick - 1):
            woven = any(played.words(t) == "<copy>" for t in range(tick, tick + 3))
            scores.add("weaves a result in within two ticks", woven)
    for turn in played.script.turns:
        if turn.phrase is None or turn.kind == "typed":
            continue
        for tick in range(turn.start // TICK + 3, _end_tick(turn)):
            if played.pending[tick]:
                scores.add("ticks of the user's speech without a result's word", not played.outputs[tick].say_pending)


def _score_transcript(played: Played, scores: Scores) -> None:
    spoken = sorted((t for t in played.script.turns if t.kind != "typed"), key=lambda t: t.start)
    heard = " ".join(o.user_text for o in played.outputs).split()
    reference = " ".join(t.text for t in spoken if _end_tick(t) < played.script.ticks - 6).split()
    scores.word_errors += edit_distance(reference, heard)
    scores.words += len(reference)


def _score_quiet(played: Played, scores: Scores) -> None:
    """Ticks before the first turn: nothing was asked."""
    first = min((t.start // TICK for t in played.script.turns), default=played.script.ticks)
    scores.quiet_ticks += first
    scores.false_words += sum(bool(played.words(t)) for t in range(first))


def score(played: Played, scores: Scores) -> None:
    """All figures of one session."""
    turns = sorted(played.script.turns, key=lambda t: t.start)
    answer: tuple[int, tuple[str, ...]] | None = None
    for place, turn in enumerate(turns):
        _score_overlap(played, turn, answer, scores)
        if turn.phrase is None:
            continue
        following = [t for t in turns[place + 1 :] if t.phrase is not None]
        until = following[0].start // TICK if following else played.script.ticks
        if turn.kind != "typed":
            _score_listening(played, turn, scores)
        _score_answer(played, turn, until, scores)
        answer = (_end_tick(turn), _expected(played, turn))
    _score_weaving(played, scores)
    _score_transcript(played, scores)
    _score_quiet(played, scores)


def evaluate(folder: Path, corpus: Path, sessions: int, seed: int = 0, voice: Path = VOICE) -> dict[str, Any]:
    """Figures by set (new voices; new voices and phrasings) over all skills' sessions; what is said aloud is said by
    the voice of that folder."""
    encoder, model, speaker = FrameEncoder.load(folder), NanoModel.load(folder), Speaker.load(voice)
    report: dict[str, Any] = {
        "model": model.name,
        "encoder": encoder.version,
        "voice": speaker.name,
        "seed": seed,
        "sets": {},
    }
    started = time.monotonic()
    for name, new_texts in (("new voices", False), ("new voices and phrasings", True)):
        bank = Bank(held_out=True, folder=corpus, held_out_texts=new_texts)
        scores, zeros = Scores(), Scores()
        for skill, recipe in SKILLS.items():
            kinds = _LONG if skill in ("overlaps", SPOKEN) else recipe.kinds
            composer = Composer(bank, replace(recipe, kinds=kinds), TICKS)
            rng = random.Random(f"{seed}/{name}/{skill}")
            for first in range(0, sessions, 16):
                scripts = [composer.compose(rng) for _ in range(min(16, sessions - first))]
                for played in play(scripts, encoder, model, speaker):
                    if skill in (SPOKEN, COUNTS):
                        (_score_spoken if skill == SPOKEN else _score_count)(played, scores)
                        continue
                    score_skills(played, scores)
                    score(played, zeros if skill == DIGITAL_SILENCE else scores)
        voices = [v.name for v in bank.voices]
        count = (len(SKILLS) - 1) * sessions  # digital silence is a set of its own
        report["sets"][name] = {"voices": voices, "sessions": count, "figures": scores.report()}
        report["sets"][f"{name}, digital silence"] = {"voices": voices, "sessions": sessions, "figures": zeros.report()}
    report["seconds"] = round(time.monotonic() - started)
    return report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("models/nano"))
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--sessions", type=int, default=96, help="for each skill and both sets")
    parser.add_argument("--out", type=Path, default=Path("models/nano/evaluation.json"))
    args = parser.parse_args(argv)
    report = evaluate(args.folder, args.corpus, args.sessions)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    for name, part in report["sets"].items():
        print(name)
        for figure, row in part["figures"].items():
            print(f"  {figure}: {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
