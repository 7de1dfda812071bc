"""The map of topics: who writes what, under which key, who reads it, how long it stays.

Local stack, compose, Helm, AsyncAPI document and the codec are all derived from this one table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from schemas import records as r

HOUR_MS = 3_600_000
MAX_RECORD_BYTES = 1_048_576


class KeyKind(StrEnum):
    TICK = "<session>:<timestamp_ms>"
    SESSION = "<session>"
    ORIGIN = "<topic>:<partition>:<offset>"
    WORKER = "<service>:<instance>"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. ``aligned`` topics share one partition count, so that a worker reads the same sessions in each."""

    name: str
    records: tuple[type, ...]
    key: KeyKind
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    cleanup: str
    retention_ms: int
    aligned: bool = True
    config: dict[str, str] = field(default_factory=dict)


SESSION_CONTROL = Topic(
    "session.control",
    (r.SessionStarted, r.SessionHeld, r.SessionUpdated, r.SessionEnded),
    KeyKind.SESSION,
    ("capture",),
    ("capture", "interaction", "background", "monitor"),
    "compact,delete",
    168 * HOUR_MS,
)
CAPTURE_FRAMES = Topic(
    "capture.frames",
    (r.CaptureFrame,),
    KeyKind.TICK,
    ("capture",),
    ("encoder", "background", "monitor"),
    "delete",
    24 * HOUR_MS,
)
ENCODER_FRAMES = Topic(
    "encoder.frames", (r.EncodedFrame,), KeyKind.TICK, ("encoder",), ("interaction",), "delete", 24 * HOUR_MS
)
INTERACTION_TURNS = Topic(
    "interaction.turns",
    (r.InteractionTurn, r.TurnsClaimed),
    KeyKind.TICK,
    ("interaction",),
    ("interaction", "capture", "monitor"),
    "delete",
    24 * HOUR_MS,
)
CLAIM_KEY = b"claim"
"""Key of ``TurnsClaimed``, the one record of ``interaction.turns`` that belongs to a partition and to no session."""
WORKER_LEASES = Topic(
    "worker.leases",
    (r.WorkerLease,),
    KeyKind.WORKER,
    ("encoder", "interaction"),
    ("encoder", "interaction"),
    "delete",
    HOUR_MS,
    aligned=False,
    config={"segment.ms": str(HOUR_MS // 6)},
)
BACKGROUND_TASKS = Topic(
    "background.tasks",
    (r.BackgroundTask, r.BackgroundCancel),
    KeyKind.TICK,
    ("interaction",),
    ("background",),
    "delete",
    24 * HOUR_MS,
)
BACKGROUND_RESULTS = Topic(
    "background.results",
    (r.BackgroundResult,),
    KeyKind.TICK,
    ("background",),
    ("interaction", "capture", "monitor"),
    "delete",
    24 * HOUR_MS,
)
SESSION_METRICS = Topic(
    "session.metrics",
    (r.SessionMetrics,),
    KeyKind.TICK,
    ("monitor",),
    ("dashboards",),
    "compact,delete",
    168 * HOUR_MS,
)
DEAD_LETTERS = Topic(
    "dead.letters",
    (r.DeadLetter,),
    KeyKind.ORIGIN,
    ("capture", "encoder", "interaction", "background", "monitor"),
    ("people",),
    "delete",
    168 * HOUR_MS,
    aligned=False,
)

TOPICS: dict[str, Topic] = {
    t.name: t
    for t in (
        SESSION_CONTROL,
        CAPTURE_FRAMES,
        ENCODER_FRAMES,
        INTERACTION_TURNS,
        WORKER_LEASES,
        BACKGROUND_TASKS,
        BACKGROUND_RESULTS,
        SESSION_METRICS,
        DEAD_LETTERS,
    )
}
