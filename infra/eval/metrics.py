"""The metrics of the behaviour report: what each is made from, which way is better, what is known, what is aimed at.

``judged`` says with what a metric is held against the controls. A silent model wins every rate of errors and a
talkative one every rate of reactions, so most metrics mean something only with their opposite: ``judged`` names
the joint figure that decides for them. ``ALONE``: the metric stands for itself. ``NOT``: it only describes, or it is no
property of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ALONE = "alone"
NOT = ""


class How(StrEnum):
    """How observations become a figure; see ``infra.eval.stats``."""

    RATE = "rate"  # mean of zeros and ones
    RATIO = "ratio"  # sum over sum
    MEAN = "mean"
    MACRO = "macro"
    P50 = "p50"
    P90 = "p90"
    P99 = "p99"
    MAX = "max"
    SUM = "sum"
    WEAKEST = "weakest"  # the worst of other metrics of this table: no control is good at all of them


@dataclass(frozen=True, slots=True)
class Metric:
    """``better``: 1 more, -1 less, 0 neither. ``source``: the observations' name, where it differs. ``words``: it
    depends on recognised words, and is reported again with the model's own text. ``by_weight``: n counts ticks, not
    scenarios. ``published``: on other data."""

    name: str
    row: int
    unit: str
    how: How
    better: int = 0
    judged: str = NOT
    target: float | None = None
    published: float | None = None
    published_by: str = ""
    source: str = ""
    of: tuple[str, ...] = ()
    words: bool = False
    by_weight: bool = False
    says: str = ""

    @property
    def is_rate(self) -> bool:
        """Rates of few are hidden, latencies and lengths are not."""
        return self.unit not in ("s", "ms", "words", "mos", "cores")

    @property
    def observed(self) -> str:
        return self.source or self.name


ROWS: dict[int, str] = {
    1: "turn taking",
    2: "pauses",
    3: "backchannels given",
    4: "selectivity",
    5: "barge-in",
    6: "after the interruption",
    7: "simultaneous speech",
    8: "time awareness",
    9: "visual proactivity",
    10: "delegation",
    11: "deadline",
    12: "capacity and faults",
    13: "the voice",
    14: "own transcript",
}

S, P, PM = "s", "share", "per min"
_FDB, _FDB15, _TAU, _FD = "FDB v1.0", "FDB v1.5", "tau-voice", "FD-Bench"
_SMOOTH, _SELECTIVE, _AFTER, _EYES = "smooth_turns", "selective_barge_in", "after_interruption", "eyes_open"


def _latency(row: int, name: str, says: str, judged: str, known: float | None = None, by: str = "") -> list[Metric]:
    """Median and 90th percentile, signed and clamped."""
    made = []
    for kind, what in (("", "signed"), ("_clamped", "clamped at 0")):
        for how in (How.P50, How.P90):
            main = how == How.P50
            made.append(
                Metric(
                    name=f"{name}{kind}_{how}_s",
                    row=row,
                    unit=S,
                    how=how,
                    better=-1,
                    judged=judged,
                    target=0.4 if main and row == 1 else None,
                    published=known if main else None,
                    published_by=by if main else "",
                    source=f"{name}{kind}_s",
                    words=True,
                    says=f"{says}, {what}",
                )
            )
    return made


def _row1() -> list[Metric]:
    return [
        *_latency(1, "turn_latency", "first sound after the user's end", _SMOOTH, 0.40, "best published"),
        Metric("turn_latency_ticks_p50_s", 1, S, How.P50, -1, _SMOOTH, source="turn_latency_ticks_s", words=True,
               says="the same, had each turn come at its tick's end: the model without this machine's delays"),
        Metric("tor", 1, P, How.RATE, 1, _SMOOTH, 0.98, words=True, says="turns after which the model takes the floor"),
        Metric("R_R", 1, P, How.RATE, 1, _SMOOTH, says="turns that ended with the model silent and were answered"),
        Metric("L_R_s", 1, S, How.MEAN, -1, _SMOOTH, None, 1.15, _TAU, says="how long that took"),
        Metric("success_reply_rate", 1, P, How.RATE, 1, _SMOOTH, words=True,
               says="replied in the window and, where the script says what, to the point"),
        Metric("early_interrupt_rate", 1, P, How.RATE, -1, _SMOOTH, words=True,
               says="took the floor more than 0.5 s before the user's end"),
    ]  # fmt: skip


def _row2() -> list[Metric]:
    return [
        Metric("pause_tor", 2, P, How.RATE, -1, _SMOOTH, 0.05, 0.01, _FDB, words=True,
               says="turns with a pause of 0.5 to 2 s in which the model took the floor"),
        Metric("I_A", 2, P, How.RATE, -1, _SMOOTH, 0.05, 0.10, _TAU, says="of its begins, those while the user spoke"),
        Metric(_SMOOTH, 2, P, How.RATE, 1, ALONE, words=True,
               says="rows 1 and 2 in one: floor taken in the window, and not before"),
    ]  # fmt: skip


def _row3() -> list[Metric]:
    f1 = "backchannel_f1"
    return [
        Metric("backchannel_tor", 3, P, How.RATE, -1, f1, None, 0.0, _FDB, words=True, says="took the floor"),
        Metric("backchannel_per_min", 3, PM, How.RATIO, 0, NOT, None, 1.5, _FDB, words=True,
               says="signs of listening a minute of the user's speech"),
        Metric(f1, 3, P, How.RATIO, 1, ALONE, words=True, says="against the windows in which one is welcome"),
        Metric("backchannel_f1_random", 3, P, How.RATIO, 0, NOT, words=True, says="as many signs at random moments"),
        Metric("backchannel_jsd", 3, "distance", How.MEAN, -1, f1, words=True, says="from the windows, bins of 0.2 s"),
        Metric("backchannel_jsd_random", 3, "distance", How.MEAN, 0, NOT, words=True, says="as many at random moments"),
    ]  # fmt: skip


def _rows4and5() -> list[Metric]:
    return [
        Metric("S_BC", 4, P, How.RATE, 1, _SELECTIVE, 0.95, 0.97, _TAU, says="goes on through a backchannel"),
        Metric("S_VT", 4, P, How.RATE, 1, _SELECTIVE, 0.80, 0.62, _TAU, says="a cough changes nothing"),
        Metric("S_ND", 4, P, How.RATE, 1, _SELECTIVE, 0.80, 0.58, _TAU, says="talk to others changes nothing"),
        Metric("R_Y", 5, P, How.RATE, 1, _SELECTIVE, 0.98, 1.0, _TAU, says="silent within 2 s of the user's begin"),
        Metric("L_Y_s", 5, S, How.MEAN, -1, _SELECTIVE, 0.40, 0.41, _TAU, says="how long that took"),
        Metric("stop_latency_s", 5, S, How.P50, -1, _SELECTIVE, says="length of the overlap"),
        Metric("success_interrupt_rate", 5, P, How.RATE, 1, ALONE, says="stops within 2 s, and speaks again after it"),
        Metric(_SELECTIVE, 5, P, How.WEAKEST, 1, ALONE, of=("R_Y", "S_BC", "S_VT", "S_ND"),
               says="rows 4 and 5 in one: the weakest of the four"),
    ]  # fmt: skip


def _row6() -> list[Metric]:
    return [
        Metric("respond_rate", 6, P, How.RATE, 1, _AFTER, 0.90, 0.88, _FDB15, words=True,
               says="answers the interruption (rule judge)"),
        Metric("resume_rate", 6, P, How.RATE, 1, _AFTER, words=True,
               says="goes on after what was no interruption (rule judge)"),
        *(Metric(f"{event}_{kind}_rate", 6, P, How.RATE, words=True, says=f"{what} after {article} {event}")
          for article, event in (("an", "interruption"), ("any other", "event"))
          for kind, what in (("uncertain", "says something else"), ("unknown", "says nothing"))),
        Metric("response_latency_s", 6, S, How.P50, -1, _AFTER, says="from the interruption's end to the next begin"),
        Metric("interrupt_response_delay_s", 6, S, How.P50, -1, _AFTER, says="the same over successful interruptions"),
        Metric("resume_position_error_words", 6, "words", How.MEAN, -1, _AFTER, words=True,
               says="from the word that was due, where it stopped and went on"),
        Metric("interrupt_tor", 6, P, How.RATE, 1, _AFTER, words=True, says="takeover after the interruption's end"),
        *_latency(6, "interrupt_latency", "first word after the interruption's end", _AFTER),
        Metric("interrupt_relevance", 6, P, How.RATE, 1, ALONE, words=True, says="says what was asked for"),
        Metric(_AFTER, 6, P, How.WEAKEST, 1, ALONE, of=("respond_rate", "resume_rate"), words=True,
               says="the weaker of the two"),
    ]  # fmt: skip


def _rows7to9() -> list[Metric]:
    return [
        Metric("cue_speak", 7, P, How.MACRO, 1, ALONE, 0.817, 0.817, "CueSpeak", words=True,
               says="meaning and window, while the user speaks; macro over templates"),
        Metric("time_speak", 8, P, How.MACRO, 1, ALONE, 0.647, 0.647, "TimeSpeak", words=True,
               says="meaning and window; macro over templates"),
        Metric("rep_count", 9, P, How.RATE, 1, ALONE, 0.354, 0.354, "RepCount online", words=True,
               says="last number after the penultimate repetition within one of the truth"),
        Metric("rep_count_each", 9, P, How.RATE, 1, ALONE, words=True, says="each repetition's number in its window"),
        Metric("action_iou", 9, P, How.MEAN, 1, ALONE, 0.324, 0.324, "start/stop IoU", words=True,
               says="overlap of the action as announced and as shown"),
        Metric("pauc_05", 9, P, How.MEAN, 1, ALONE, 0.335, 0.335, "ProactiveVideoQA", words=True,
               says="PAUC(w = 0.5); to say nothing scores 0.25"),
        Metric("false_alarms_per_min", 9, PM, How.RATIO, -1, _EYES, words=True, says="speech that nothing asked for"),
        Metric(_EYES, 9, P, How.WEAKEST, 1, ALONE, of=("rep_count", "action_iou", "pauc_05"), words=True,
               says="the weakest of the three"),
    ]  # fmt: skip


def _row10() -> list[Metric]:
    return [
        Metric("delegate_rate", 10, P, How.RATE, 0, NOT, says="questions for which a task began"),
        Metric("filler_rate", 10, P, How.RATE, 1, ALONE, says="questions with some first words in the window"),
        Metric("filler_s", 10, S, How.P50, -1, "filler_rate", 0.8, says="from the question's end to the first words"),
        Metric("weave_rate", 10, P, How.RATE, 1, ALONE, words=True, says="results whose key words were said in time"),
        Metric("weave_lag_s", 10, S, How.P50, -1, "weave_rate", words=True, says="result ready to first key word"),
        Metric("stale_result_rate", 10, P, How.RATE, -1, "weave_rate", 0.0, words=True,
               says="results said though they were called off"),
        Metric("ticks_blocked", 10, "ticks", How.SUM, -1, NOT, 0.0, says="lost or over 1 s late while a task ran"),
        Metric("deadline_miss_rate_pending", 10, P, How.RATIO, -1, NOT, by_weight=True, says="row 11 while a task ran"),
        Metric("turn_latency_pending_p50_s", 10, S, How.P50, -1, "filler_rate", source="turn_latency_pending_s",
               says="row 1 while a task ran"),
        Metric("R_Y_pending", 10, P, How.RATE, 1, NOT, says="row 5 while a task ran or its result was being said"),
        Metric("L_Y_pending_s", 10, S, How.MEAN, -1, NOT, says="how long that took"),
    ]  # fmt: skip


def _row11() -> list[Metric]:
    return [
        Metric("deadline_miss_rate", 11, P, How.RATIO, -1, NOT, 0.001, by_weight=True,
               says="ticks over 200 ms late or lost"),
        Metric("deadline_longest_run_ticks", 11, "ticks", How.MAX, -1, NOT, says="the longest run of them"),
        Metric("ticks_lost", 11, "ticks", How.SUM, -1, NOT, 0.0, says="that never came"),
        Metric("jitter_p99_ms", 11, "ms", How.P99, -1, NOT, source="jitter_ms", says="over the session's median"),
        Metric("underruns_per_min", 11, PM, How.RATIO, -1, NOT, says="audible holes a minute of speech"),
    ]  # fmt: skip


def _row14() -> list[Metric]:
    return [
        Metric("transcript_wer", 14, P, How.RATIO, -1, NOT, 0.30, by_weight=True,
               says="word errors of its own transcript of free speech (stories, sentences with cues)"),
        Metric("transcript_skill_wer", 14, P, How.RATIO, -1, NOT, 0.05, by_weight=True,
               says="the same of what is said to it"),
    ]  # fmt: skip


METRICS: tuple[Metric, ...] = (
    *_row1(), *_row2(), *_row3(), *_rows4and5(), *_row6(), *_rows7to9(), *_row10(), *_row11(), *_row14(),
)  # fmt: skip
HEADLINES: tuple[str, ...] = (
    "turn_latency_p50_s", "turn_latency_p90_s", "tor", "R_R", "L_R_s",
    "pause_tor", "I_A", "smooth_turns",
    "backchannel_tor", "backchannel_per_min", "backchannel_f1", "backchannel_f1_random",
    "S_BC", "S_VT", "S_ND",
    "R_Y", "L_Y_s", "selective_barge_in",
    "respond_rate", "response_latency_s", "resume_position_error_words",
    "cue_speak", "time_speak",
    "rep_count", "action_iou", "pauc_05", "false_alarms_per_min",
    "filler_s", "weave_rate", "weave_lag_s", "stale_result_rate", "ticks_blocked",
    "turn_latency_pending_p50_s", "R_Y_pending",
    "deadline_miss_rate", "deadline_longest_run_ticks", "jitter_p99_ms", "underruns_per_min",
    "transcript_wer", "transcript_skill_wer",
)  # fmt: skip
"""What the first table of the report shows: the twelve rows."""
BY_NAME = {metric.name: metric for metric in METRICS}
