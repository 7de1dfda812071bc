"""Suite ``speech`` in small, through the real pipeline: Kafka, Redis, capture, the worker, the released voice."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.eval import recording, runner
from infra.eval.clips import committed
from infra.eval.recording import Recording
from infra.eval.runner import Job, Seats
from infra.eval.scenario import Line, LineKind, Scenario, Suite, Typed
from infra.eval.scripted_llm import Script
from infra.eval.speech import script
from infra.eval.speech.lines import spoken_lines
from infra.eval.speech.report import measured
from infra.eval.stacks import READER
from training.speech.listen import plain_words

TEXTS = (
    "It was a friendly smile.",
    "The train to London leaves at 6:27.",
    "We went for a long walk by the river that day.",
)
LINES = [
    Line(key="line 1", kind=LineKind.SENTENCE, from_ms=900, to_ms=5900),
    Line(key="line 2", kind=LineKind.PHRASE, from_ms=5900, to_ms=12_500),
    Line(key="line 3", kind=LineKind.INTERRUPTION, from_ms=12_500, to_ms=16_500, stop_ms=14_900),
]
STOP = Typed(at_ms=14_900, text=script.STOP)
SCENARIO = Scenario(
    id="speech-000",
    suite=script.SUITE,
    rows=[13],
    seed=5,
    duration_ms=17_000,
    typed=[*(Typed(at_ms=line.from_ms, text=script.asked(line.key)) for line in LINES), STOP],
    results={line.key: text for line, text in zip(LINES, TEXTS, strict=True)} | {script.STOP: script.STOPPED},
    delays_ms=dict.fromkeys((*(line.key for line in LINES), script.STOP), 0),
    model_voice="bf_isabella",
    lines=LINES,
)


@pytest.mark.kafka
@pytest.mark.model
@pytest.mark.slow
async def test_two_lines_and_an_interruption_become_rows(tmp_path: Path) -> None:
    jobs = runner.jobs([SCENARIO], READER, tmp_path, "now")
    made: list[Recording] = []

    def done(_: Job, one: Recording) -> None:
        made.append(one)

    await runner.run_model(READER, jobs, Script([SCENARIO]), committed(), seats=Seats(1, fixed=True), done=done)
    (played,) = made
    assert not played.error and played.context is not None and jobs[0].kept()
    folder = tmp_path / READER / SCENARIO.id
    assert recording.load(folder) == played

    first, second, cut = spoken_lines(SCENARIO, played, folder / "model.wav")
    assert first.told is not None and plain_words(" ".join(first.told)) == plain_words(TEXTS[0])
    assert second.told is not None and plain_words(" ".join(second.told)) == plain_words(TEXTS[1])
    assert cut.stop is not None and cut.stop.silent
    assert cut.told and cut.told == TEXTS[2].split()[: len(cut.told)] and len(cut.told) < len(TEXTS[2].split())

    found = measured(tmp_path, Suite(name=script.SUITE, scenarios=[SCENARIO]), tmp_path / "drawn", say=lambda _: None)
    counts = {row.metric: row.n for row in found.rows}
    assert (counts["speech_wer"], counts["speech_skill_wer"], counts["speech_wer_bf_isabella"]) == (1, 1, 1)
    assert counts["speech_lines_whole"] == 2
    assert counts["interrupt_audio_ended"] == counts["interrupt_last_word"] == 1
    assert found.facts["recordings"]["context_read"] == 1 and found.facts["recogniser"].startswith("Whisper")
