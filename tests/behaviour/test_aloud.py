"""Suite ``speech``: what is read aloud, and scorers against cases worked out by hand. Whisper is not asked here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from infra.eval import report, runner, stacks
from infra.eval.__main__ import players
from infra.eval.generate import aloud
from infra.eval.generate.__main__ import suite_file
from infra.eval.recording import Recording, TickLog
from infra.eval.rows import Row
from infra.eval.scenario import Line, LineKind, Scenario, Typed, load_suite
from infra.eval.scripted_llm import Script
from infra.eval.speech import script
from infra.eval.speech.cost import Cost
from infra.eval.speech.judge import Judgement
from infra.eval.speech.lines import Spoken, Stop, spoken_lines, told_lines
from infra.eval.speech.page import section
from infra.eval.speech.rows import rows_of, targets
from infra.eval.speech.score import near_last, same_last, score
from infra.eval.speech.script import TeacherCut, TeacherLine
from infra.eval.take import Observation
from schemas.records import ContextEntry
from training.phrases import TRAINING
from training.speech import synth, teacher_figures, texts
from training.speech.teacher_figures import list_sha256

SUITE = load_suite(script.FILE)
LINES = [(scenario, line) for scenario in SUITE.scenarios for line in scenario.lines]


def spoken(
    kind: str, text: str, told: str | None, *, voice: str = "anna", stop: Stop | None = None, at: int = 0
) -> Spoken:
    line = Line(key="line 1", kind=LineKind(kind), from_ms=at, to_ms=at + 5000)
    return Spoken("speech-000", voice, line, text, np.zeros(10, np.int16), None if told is None else told.split(), stop)


def hearing(**heard: str):
    """A listener who hears other words in the lines of these keys' texts; opinion 3 of everything."""

    def listen(line: Spoken, wanted: Sequence[str]) -> Judgement:
        return Judgement(heard.get(line.voice, " ".join(wanted)).split(), 3.0)

    return listen


def values(seen: Sequence[Observation]) -> dict[str, tuple[float, float]]:
    return {o.metric: (o.value, o.weight) for o in seen}


# --- the script ---------------------------------------------------------------------------------------------------


def test_the_committed_suite_is_what_the_generator_makes() -> None:
    assert suite_file(aloud.speech()) == script.FILE.read_bytes(), "run python -m infra.eval.generate"


def test_fifty_sentences_by_each_voice_every_phrase_of_nano_and_a_hundred_interruptions() -> None:
    read = {kind: [(s.model_voice, s.results[line.key]) for s, line in LINES if line.kind is kind] for kind in LineKind}
    teacher = script.teacher()
    assert sorted(read[LineKind.SENTENCE]) == sorted((line.voice, line.text) for line in teacher.sentences)
    assert len(set(read[LineKind.SENTENCE])) == 200
    voices = {line.voice for line in teacher.sentences}
    assert all(sum(v == voice for v, _ in read[LineKind.SENTENCE]) == 50 for voice in voices)
    assert {text for _, text in read[LineKind.PHRASE]} == {" ".join(p.reply) for p in TRAINING}
    assert len(read[LineKind.INTERRUPTION]) == 100
    assert sorted(voice for voice, _ in read[LineKind.PICTURE]) == sorted(voices)
    assert len({text for _, text in read[LineKind.PICTURE]}) == 1


def test_lines_do_not_overlap_and_each_is_answered_with_its_own_text() -> None:
    answers = Script(SUITE.scenarios)
    for scenario in SUITE.scenarios:
        ends = [0, *(line.to_ms for line in scenario.lines)]
        assert all(end <= line.from_ms < line.to_ms for end, line in zip(ends, scenario.lines, strict=False))
        assert scenario.lines[-1].to_ms <= scenario.duration_ms
        asked = [Typed(at_ms=line.from_ms, text=script.asked(line.key)) for line in scenario.lines]
        assert [typed for typed in scenario.typed if typed.text != script.STOP] == asked
        assert [t.at_ms for t in scenario.typed if t.text == script.STOP] == [
            line.stop_ms for line in scenario.lines if line.kind is LineKind.INTERRUPTION
        ]
        for typed, line in zip(asked, scenario.lines, strict=True):
            assert answers.answer(typed.text).text == scenario.results[line.key]


def test_no_sentence_was_ever_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training's plan is asked with the evaluation's own sentences among those it may choose from."""
    teacher = script.teacher()
    evaluated = [line.text for line in teacher.sentences]
    assert all(texts.held_out(text) for text in evaluated)
    assert teacher.sentences_sha256 == list_sha256([(line.text, line.voice) for line in teacher.sentences])
    monkeypatch.setattr(texts, "wordnet_examples", lambda: [*evaluated, *texts.assistant_texts(3000, seed=7)])
    planned = {text.lower() for text, _ in synth.plan()}
    assert planned and not planned & {text.lower() for text in evaluated}


def test_the_suite_is_the_readers_and_the_reader_plays_nothing_else() -> None:
    other = Scenario(id="x", suite="turn-taking", rows=[1], seed=1, duration_ms=1000)
    mixed = [other, SUITE.scenarios[0]]
    assert [j.scenario.id for j in runner.jobs(mixed, stacks.READER, Path("x"), "")] == [SUITE.scenarios[0].id]
    assert [j.scenario.id for j in runner.jobs(mixed, "nano", Path("x"), "")] == ["x"]
    assert players(["speech"], stacks.MODELS) == [stacks.READER]
    assert players(["turn-taking", "speech"], ["nano"]) == ["nano", stacks.READER]
    assert players(["turn-taking", "speech"], ["oracle"]) == ["oracle"]
    assert players(["turn-taking", "speech"], ["nano"], url="http://there") == ["nano"]
    assert players(["turn-taking"], ["nano"]) == ["nano"]
    assert "speech" in runner.suite_names()


# --- what came back -----------------------------------------------------------------------------------------------


def entry(role: str, text: str) -> ContextEntry:
    return ContextEntry(role=role, timestamp_ms=0, text=text)


def test_the_context_tells_what_was_heard_of_each_line() -> None:
    lines = [Line(key=f"line {n}", kind=LineKind.SENTENCE, from_ms=0, to_ms=1) for n in (1, 2, 3, 1)]
    context = [
        entry("assistant", "of before"),
        entry("user_typed", "say line 2"),
        entry("assistant", "one two"),
        entry("user_typed", script.STOP),
        entry("assistant", "three"),  # ended in the tick of the stop
        entry("user_typed", "say line 3"),
        entry("user_typed", "say line 1"),
        entry("assistant", "four"),
    ]
    assert told_lines(lines, context) == [None, ["one", "two", "three"], [], ["four"]]
    assert told_lines(lines, None) == [None] * 4


def session(folder: Path, *, loud_until_tick: int) -> tuple[Scenario, Recording]:
    """Ten seconds: a line from 0.4 s on that is stopped at 2.1 s (tick 10), sound from tick 3 on."""
    line = Line(key="line 1", kind=LineKind.INTERRUPTION, from_ms=400, to_ms=4000, stop_ms=2100)
    scenario = Scenario(
        id="speech-000", suite="speech", rows=[13], seed=1, duration_ms=10_000, lines=[line],
        results={"line 1": "a b c d e"}, model_voice="anna",
    )  # fmt: skip
    ticks = [
        TickLog(tick=k, arrived_ms=200.0 * k + 210, played_ms=200.0 * k + 260, user="silent",
                floor="yield" if k == 10 else "take", has_audio=3 <= k <= loud_until_tick)
        for k in range(50)
    ]  # fmt: skip
    sound = np.zeros(240_000, np.int16)
    begin, end = (round((200 * k + 260) * 24) for k in (3, loud_until_tick + 1))
    sound[begin:end] = 3000
    soundfile.write(folder / "model.wav", sound, 24_000, subtype="PCM_16")
    context = [entry("user_typed", "say line 1"), entry("assistant", "a b"), entry("user_typed", script.STOP)]
    return scenario, Recording(scenario="speech-000", model="reader", ticks=ticks, context=context)


def test_a_line_is_cut_out_of_what_the_client_played(tmp_path: Path) -> None:
    scenario, recording = session(tmp_path, loud_until_tick=10)
    (line,) = spoken_lines(scenario, recording, tmp_path / "model.wav")
    assert (line.voice, line.text, line.told) == ("anna", "a b c d e", ["a", "b"])
    assert len(line.pcm) == pytest.approx((8 * 200 + 400) * 24, abs=40 * 24)  # ticks 3 to 10, and the margins
    assert line.stop is not None and line.stop.tick == 10 and line.stop.silent


def test_sound_after_the_tick_of_the_yield_is_found(tmp_path: Path) -> None:
    scenario, recording = session(tmp_path, loud_until_tick=11)
    (line,) = spoken_lines(scenario, recording, tmp_path / "model.wav")
    assert line.stop is not None and not line.stop.silent
    assert values(score([line], hearing(), []))["interrupt_audio_ended"] == (0.0, 1.0)


def test_a_line_that_was_over_before_it_was_stopped_is_no_interruption(tmp_path: Path) -> None:
    scenario, recording = session(tmp_path, loud_until_tick=8)
    (line,) = spoken_lines(scenario, recording, tmp_path / "model.wav")
    assert line.stop is None and score([line], hearing(), []) == []


# --- scorers ------------------------------------------------------------------------------------------------------


def test_errors_are_counted_in_words_beside_the_teachers() -> None:
    text = "The attic was not snoring at 6:27."
    teacher = [TeacherLine("anna", text, 9, 1, 3.5), TeacherLine("bert", text, 9, 0, 3.4)]
    listener = hearing(anna="the attic was snoring at six twenty seven")
    seen = values(score([spoken("sentence", text, text)], listener, teacher))
    assert seen == {
        "speech_lines_whole": (1.0, 1.0), "speech_wer": (1.0, 9.0), "speech_dnsmos": (3.0, 1.0),
        "speech_wer_teacher": (1.0, 9.0), "speech_dnsmos_teacher": (3.5, 1.0),
    }  # fmt: skip


def test_a_phrase_counts_as_a_skill_and_has_no_teacher() -> None:
    seen = values(score([spoken("phrase", "my name is nano", "my name is nano.")], hearing(), []))
    assert seen == {"speech_lines_whole": (1.0, 1.0), "speech_skill_wer": (0.0, 4.0)}
    assert score([spoken("picture", "a b", "a b")], hearing(), []) == []


def test_what_was_not_said_to_its_end_is_not_judged() -> None:
    (seen,) = score([spoken("sentence", "one two three", "one two")], hearing(), [])
    assert (seen.metric, seen.value, seen.failed) == ("speech_lines_whole", 0.0, True)
    seen_all = values(score([spoken("sentence", "one two", None)], hearing(), []))  # nobody could look: judged
    assert "speech_lines_whole" not in seen_all and seen_all["speech_wer"] == (0.0, 2.0)


@pytest.mark.parametrize(
    ("told", "got", "same", "near"),
    [
        ("the box office", "the box office", True, True),
        ("sound proof", "a soundproof", True, True),
        ("willpower", "will power", True, True),
        ("to hold", "to hold up", False, True),
        ("to hold onto", "to hold", False, True),
        ("to hold onto", "to", False, False),
        ("see her clearly", "see a clip", False, False),
        ("", "", True, True),
        ("", "the", False, True),
        ("the", "", False, True),
    ],
)
def test_the_last_word_told_against_the_last_word_heard(told: str, got: str, same: bool, near: bool) -> None:
    assert same_last(told.split(), got.split()) is same
    assert near_last(told.split(), got.split()) is near


def test_an_interruption_is_judged_by_what_the_context_has() -> None:
    quiet = Stop(9, np.zeros(4800, np.int16))
    line = spoken("interruption", "one two three four", "one two", stop=quiet)
    seen = values(score([line], hearing(anna="one two three"), []))
    assert {name: value for name, (value, _) in seen.items()} == {
        "interrupt_audio_ended": 1.0, "interrupt_last_word": 0.0, "interrupt_last_word_near": 1.0,
    }  # fmt: skip


def test_beside_a_broken_line_stands_what_is_heard_of_the_teachers() -> None:
    quiet = Stop(9, np.zeros(4800, np.int16))
    lines = [
        spoken("interruption", "one two three four", "one two", stop=quiet),
        spoken("interruption", "five six seven eight", "five", stop=None),  # said to its end: counts for nothing
    ]
    cuts = [TeacherCut("anna", "one two three four", "one two three", "one two three four"),
            TeacherCut("anna", "five six seven eight", "five six", "five six")]  # fmt: skip
    seen = values(score(lines, hearing(anna="one two"), [], cuts))
    assert {name: value for name, (value, _) in seen.items() if name.endswith("_teacher")} == {
        "interrupt_last_word_teacher": 0.0, "interrupt_last_word_near_teacher": 1.0,
    }  # fmt: skip


def test_every_broken_line_of_the_suite_has_the_teachers() -> None:
    broken = sorted((s.model_voice, s.results[line.key]) for s, line in LINES if line.kind is LineKind.INTERRUPTION)
    cuts = script.teacher().cuts
    assert sorted((cut.voice, cut.text) for cut in cuts) == broken
    assert all(len(cut.said.split()) >= 3 for cut in cuts)
    assert teacher_figures.broken_off() == [(cut.text, cut.voice) for cut in cuts]


# --- rows and page ------------------------------------------------------------------------------------------------


def made_rows() -> list[Row]:
    lines = [
        spoken("sentence", "one two three four", "one two three four", voice=voice, at=at)
        for at in range(6)
        for voice in ("anna", "bert")
    ]
    teacher = [TeacherLine(voice, "one two three four", 4, 0, 3.2) for voice in ("anna", "bert")]
    seen = score(lines, hearing(bert="one two three"), teacher)
    cost = Cost(voice="speech-test", voices=("anna", "bert"), cores=0.024, ticks=60, how="by a test")
    return rows_of(seen, ["anna", "bert"], cost)


def test_rows_over_all_voices_and_for_each() -> None:
    rows = {row.metric: row for row in made_rows()}
    assert (rows["speech_wer"].value, rows["speech_wer"].n) == (pytest.approx(0.125), 12)
    assert rows["speech_wer"].low is not None and rows["speech_wer"].low < 0.125 < (rows["speech_wer"].high or 0)
    assert (rows["speech_wer_bert"].value, rows["speech_wer_bert"].n) == (None, 6)  # a rate of few is hidden
    assert rows["speech_dnsmos_bert"].value == pytest.approx(3.0)
    assert (rows["speech_rtf"].value, rows["speech_rtf"].note) == (0.024, "by a test")
    assert {row.model for row in rows.values()} == {"reader"} and {row.row for row in rows.values()} == {13}
    aims = targets(rows.values())
    assert aims["speech_wer"] == 0.01 and aims["speech_dnsmos"] == pytest.approx(3.05)
    assert aims["speech_skill_wer"] == 0.03 and aims["speech_rtf"] == 0.04


def test_a_report_of_this_suite_alone_says_so_where_nothing_was_played(tmp_path: Path) -> None:
    where = {"reports": tmp_path / "reports", "say": lambda _: None}
    path = report.write(tmp_path / "eval", ["nano"], ["speech"], **where)
    page, made = path.with_suffix(".md").read_text(), json.loads(path.read_text())
    assert "No recordings: `make eval SUITE=speech`" in page and "twelve rows" not in page
    assert (made["rows"], made["models"], made["speech"]["recordings"]["missing"]) == ([], [], 20)
    assert report.defects(path) == []


def test_the_page_has_the_rows_with_their_targets_and_says_where_the_teachers_are_from() -> None:
    rows = [{name: getattr(row, name) for name in Row.__dataclass_fields__} for row in made_rows()]
    facts = {
        "voice": "speech-test", "voices": ["anna", "bert"], "recogniser": "Whisper base",
        "picture": "behaviour/voices.png",
        "recordings": {"scored": 2, "missing": 1, "outdated": 0, "failed": {}, "ticks": 90, "late_ticks": 3,
                       "underruns": 0, "at_once": 8, "context_read": 2},
        "teacher": {"name": "Kokoro", "recogniser": "Whisper base", "made_by": "a command", "file": "teacher.json",
                    "sentences": 200, "sentences_sha256": "abc"},
        "targets": targets(made_rows()), "interrupted": [],
        "misheard": [{"metric": "speech_wer", "scenario": "s", "note": "anna: 'a' was heard as 'b'"}],
    }  # fmt: skip
    made = {"speech": facts, "rows": rows}
    page = section(made, lambda row, _: str(row and row["value"]), lambda value, _: f"{value:.3f}")
    assert "| speech_wer ↓ | ≤ 0.010 | 0.125 | None | None |" in page
    assert "teacher.json" in page and "3 of 90 turns came late" in page and "heard as 'b'" in page
    assert "![one sentence by every voice](behaviour/voices.png)" in page
    assert section({"speech": None, "rows": []}, lambda *_: "", lambda *_: "") == ""
    empty = section({"speech": {"recordings": {"scored": 0}}, "rows": []}, lambda *_: "", lambda *_: "")
    assert "make eval SUITE=speech" in empty
