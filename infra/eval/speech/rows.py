"""Row 13, the voice: its metrics, over all voices and for each, with targets that follow the teacher's figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from infra.eval.metrics import How, Metric
from infra.eval.rows import Row, estimate
from infra.eval.speech.cost import Cost
from infra.eval.stacks import READER
from infra.eval.take import Observation

ROW = 13
WER_ABOVE_TEACHER, DNSMOS_BELOW_TEACHER = 0.010, 0.15
RTF = "speech_rtf"

METRICS: tuple[Metric, ...] = (
    Metric("speech_wer", ROW, "share", How.RATIO, -1, says="word errors of held-out sentences, as Whisper hears them"),
    Metric("speech_wer_teacher", ROW, "share", How.RATIO, says="the teacher's, on the same sentences"),
    Metric("speech_skill_wer", ROW, "share", How.RATIO, -1, target=0.03, says="of everything that nano says of itself"),
    Metric("speech_dnsmos", ROW, "mos", How.MEAN, 1, says="DNSMOS P.835 overall, mean of sentences"),
    Metric("speech_dnsmos_teacher", ROW, "mos", How.MEAN, says="the teacher's, on the same sentences"),
    Metric("speech_lines_whole", ROW, "share", How.RATE, 1, target=1.0,
           says="lines of which the shared context has every word; the others are not judged"),
    Metric("interrupt_audio_ended", ROW, "share", How.RATE, 1, target=1.0,
           says="yields after whose tick nothing is heard above -50 dBFS"),
    Metric("interrupt_last_word", ROW, "share", How.RATE, 1,
           says="the assistant's last word in the shared context is the last that Whisper hears"),
    Metric("interrupt_last_word_teacher", ROW, "share", How.RATE,
           says="of the teacher's sound of these lines, ended behind a word: that one is the last that Whisper hears"),
    Metric("interrupt_last_word_near", ROW, "share", How.RATE, 1, says="the same, or one of the two has a word more"),
    Metric("interrupt_last_word_near_teacher", ROW, "share", How.RATE, says="the same, or one has a word more"),
)  # fmt: skip
COST = Metric(RTF, ROW, "cores", How.P50, -1, target=0.04, says="cores a speaking session keeps busy, head and vocoder")


def rows_of(observations: Iterable[Observation], voices: Sequence[str], cost: Cost | None) -> list[Row]:
    """Every metric over all lines and, with the voice's name behind it, over each voice's."""
    found: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for seen in observations:
        found[(seen.metric, "")].append(seen)
        found[(seen.metric, seen.group)].append(seen)
    rows = [_row(metric, voice, found.get((metric.name, voice), [])) for metric in METRICS for voice in ("", *voices)]
    if cost is not None:
        rows.append(Row(ROW, RTF, READER, cost.cores, COST.unit, cost.ticks, None, None, cost.how))
    return rows


def _row(metric: Metric, voice: str, observations: Sequence[Observation]) -> Row:
    name = f"{metric.name}_{voice}" if voice else metric.name
    made = estimate(metric, observations, f"{name}/{READER}")
    return Row(ROW, name, READER, made.value, metric.unit, made.n, made.low, made.high, made.note)


def targets(rows: Iterable[Row]) -> dict[str, float]:
    """What is aimed at, by metric: the teacher's figure and a margin, or a figure of its own."""
    value = {row.metric: row.value for row in rows}
    aimed = {metric.name: metric.target for metric in (*METRICS, COST) if metric.target is not None}
    if (wer := value.get("speech_wer_teacher")) is not None:
        aimed["speech_wer"] = round(wer + WER_ABOVE_TEACHER, 4)
    if (mos := value.get("speech_dnsmos_teacher")) is not None:
        aimed["speech_dnsmos"] = round(mos - DNSMOS_BELOW_TEACHER, 3)
    return aimed


def aimed(metric: Metric, known: dict[str, float]) -> Metric:
    """The metric with the target that holds for this report."""
    return replace(metric, target=known.get(metric.name))
