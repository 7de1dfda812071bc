"""From lines to observations: word errors, opinion scores, and what an interruption leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from infra.eval.scenario import LineKind
from infra.eval.speech.judge import Judgement
from infra.eval.speech.lines import Spoken
from infra.eval.speech.script import TeacherCut, TeacherLine
from infra.eval.take import Observation
from training.speech.listen import plain_words, word_errors

Judging = Callable[[Spoken, Sequence[str]], Judgement]
"""Who listens: a line and the words that were to be heard."""


def score(
    lines: Iterable[Spoken], judge: Judging, teacher: Sequence[TeacherLine], cuts: Sequence[TeacherCut] = ()
) -> list[Observation]:
    """Everything that these lines say about the voice; the teacher's figures stand beside those of its sentences, and
    of its own sound of the lines that were broken off."""
    by_text = {(line.voice, line.text): line for line in teacher}
    ended = {(cut.voice, cut.text): cut for cut in cuts}
    return [seen for spoken in lines for seen in _score(spoken, judge, by_text, ended)]


def _score(
    spoken: Spoken,
    judge: Judging,
    teacher: dict[tuple[str, str], TeacherLine],
    cuts: dict[tuple[str, str], TeacherCut],
) -> Iterator[Observation]:
    kind = spoken.line.kind
    if kind is LineKind.PICTURE:
        return
    if kind is LineKind.INTERRUPTION:
        yield from interruption(spoken, judge)
        cut = cuts.get((spoken.voice, spoken.text))
        if spoken.stop is not None and cut is not None:
            said, got = cut.said.split(), cut.heard.split()
            yield _see("interrupt_last_word_teacher", spoken, same_last(said, got))
            yield _see("interrupt_last_word_near_teacher", spoken, near_last(said, got))
        return
    wanted = plain_words(spoken.text)
    if spoken.told is not None:
        told = plain_words(" ".join(spoken.told))
        whole = told == wanted
        yield _see("speech_lines_whole", spoken, whole, failed=not whole, note=f"only {' '.join(told)!r}")
        if not whole:
            return  # what was not said to its end is no matter of hearing
    yield from sentence(spoken, wanted, judge, "speech_skill_wer" if kind is LineKind.PHRASE else "speech_wer")
    theirs = teacher.get((spoken.voice, spoken.text)) if kind is LineKind.SENTENCE else None
    if theirs is not None and theirs.edits is not None:
        yield _see("speech_wer_teacher", spoken, theirs.edits, theirs.words)
    if theirs is not None and theirs.dnsmos is not None:
        yield _see("speech_dnsmos_teacher", spoken, theirs.dnsmos)


def sentence(spoken: Spoken, wanted: Sequence[str], judge: Judging, metric: str) -> Iterator[Observation]:
    """Word errors, and for sentences the opinion score."""
    judged = judge(spoken, wanted)
    errors = word_errors(list(wanted), judged.heard)
    note = f"{spoken.voice}: {spoken.text!r} was heard as {' '.join(judged.heard)!r}" if errors else ""
    yield _see(metric, spoken, errors, len(wanted), failed=bool(errors), note=note)
    if metric == "speech_wer" and judged.opinion is not None:
        yield _see("speech_dnsmos", spoken, judged.opinion)


def interruption(spoken: Spoken, judge: Judging) -> Iterator[Observation]:
    """Of a line that was broken off while it was being said; others count for nothing."""
    if spoken.stop is None:
        return
    silent = spoken.stop.silent
    yield _see("interrupt_audio_ended", spoken, silent, failed=not silent, note="sound after the tick of the yield")
    if spoken.told is None:
        return
    told = plain_words(" ".join(spoken.told))
    got = judge(spoken, told).heard
    same, near = same_last(told, got), near_last(told, got)
    note = f"{spoken.voice}: the context ends with {' '.join(told[-3:])!r}, heard was {' '.join(got[-3:])!r}"
    yield _see("interrupt_last_word", spoken, same, failed=not same, note=note)
    yield _see("interrupt_last_word_near", spoken, near)


def same_last(told: Sequence[str], got: Sequence[str]) -> bool:
    """Whether the last word of both is the same, be it written together with the one before or apart."""
    if not told or not got:
        return not told and not got
    return told[-1] == got[-1] or "".join(told[-2:]) == got[-1] or "".join(got[-2:]) == told[-1]


def near_last(told: Sequence[str], got: Sequence[str]) -> bool:
    """The same, if one of the two may have one word more."""
    return same_last(told, got) or same_last(told[:-1], got) or same_last(told, got[:-1])


def _see(
    metric: str, spoken: Spoken, value: float, weight: float = 1.0, *, failed: bool = False, note: str = ""
) -> Observation:
    """Each line is a sample of its own: the voice begins each from silence, and knows nothing of the one before."""
    return Observation(
        metric,
        f"{spoken.scenario}/{spoken.line.key}/{spoken.line.from_ms}",
        float(value),
        weight,
        group=spoken.voice,
        at_ms=float(spoken.line.from_ms),
        failed=failed,
        note=note if failed else "",
    )
