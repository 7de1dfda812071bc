"""One full example of every record. ``python -m tests.unit.examples`` writes goldens for records that have none."""

from __future__ import annotations

from pathlib import Path

from schemas import codec
from schemas import records as r
from schemas.topics import TOPICS, Topic

GOLDENS = Path(__file__).with_name("goldens")
_AT = {"session_id": "s-1", "timestamp_ms": 1_700_000_000_200}
_CONFIG = r.SessionConfig(seed=7, instructions="be brief", voice="ada", video=True)

EXAMPLES: dict[str, r.Record] = {
    "SessionStarted": r.SessionStarted(**_AT, capture_id="capture-0", config=_CONFIG),
    "SessionHeld": r.SessionHeld(
        **_AT,
        tick=1,
        capture_id="capture-1",
        capture_epoch=2,
        phase_ms=40,
        config=_CONFIG,
        pace="file",
        resume_hash=bytes(range(32)),
    ),
    "SessionUpdated": r.SessionUpdated(**_AT, config=_CONFIG),
    "SessionEnded": r.SessionEnded(**_AT, ticks=12, reason="bye"),
    "CaptureFrame": r.CaptureFrame(
        **_AT,
        tick=1,
        audio=bytes(range(256)) * 25,
        images=[r.Image(jpeg=b"\xff\xd8\xff\xd9", offset_ms=40)],
        text="hello",
        events=[r.ClientEvent(name="session.started", data={"seed": 7})],
        gap_ms=20,
    ),
    "EncodedFrame": r.EncodedFrame(
        **_AT,
        tick=1,
        d=2,
        kinds=bytes([0, 0, 0, 0, 1, 2]),
        embeddings=bytes(range(24)),
        encoder_version="nano-abc",
        input_offset=41,
        text="hello",
        final=True,
    ),
    "InteractionTurn": r.InteractionTurn(
        **_AT,
        tick=1,
        floor=r.Floor.TAKE,
        user=r.UserActivity.ENDED,
        model="nano-0.1",
        epoch=3,
        input_offset=42,
        results_offset=5,
        tokens=[1, 2, 3],
        tasks=[r.TaskState(task_id="s-1-0", started_ms=1_700_000_000_000, result_offset=4, words_said=2)],
        audio=b"\x00\x01" * 4800,
        text=" let",
        user_text=" hi",
        typed="hello",
        events=[r.TurnEvent(name="delegated", task_id="s-1-1")],
    ),
    "InteractionTurn+speech": r.InteractionTurn(
        **_AT,
        tick=1,
        floor=r.Floor.YIELD,
        user=r.UserActivity.SPEAKING,
        model="nano-0.1",
        epoch=3,
        input_offset=42,
        audio=b"\x00\x01" * 4800,
        speech=r.TurnSpeech(
            words=[r.SpokenWord("let", -120, 80), r.SpokenWord("me", 80), r.SpokenWord("check", 180, 200, True)],
            left_ms=840,
            cut=True,
            by="speech-0.1",
        ),
    ),
    "InteractionTurn+manner": r.InteractionTurn(
        **_AT,
        tick=1,
        floor=r.Floor.TAKE,
        user=r.UserActivity.ENDED,
        model="nano-0.3",
        epoch=3,
        input_offset=42,
        text=" careful",
        manner=r.Manner.WARNING,
    ),
    "TurnsClaimed": r.TurnsClaimed(partition=3, epoch=1_700_000_000_123, worker="1", claimed_at_ms=1_700_000_000_123),
    "WorkerLease": r.WorkerLease(
        service="interaction",
        instance="standby-0",
        incarnation=1_700_000_000_000,
        seq=7,
        sent_at_ms=1_700_000_000_525,
        lease_ms=300,
        standby=True,
        owned=[r.OwnedPartition(partition=3, epoch=1_700_000_000_123)],
        warm=[0, 1, 2],
    ),
    "BackgroundTask": r.BackgroundTask(
        **_AT,
        task_id="s-1-1",
        deadline_ms=1_700_000_030_200,
        context=r.ContextPackage(
            entries=[r.ContextEntry(role="user_heard", timestamp_ms=1_700_000_000_000, text="hi")],
            span_start_ms=1_700_000_000_000,
            span_end_ms=1_700_000_000_400,
        ),
    ),
    "BackgroundCancel": r.BackgroundCancel(**_AT, task_id="s-1-1"),
    "BackgroundResult": r.BackgroundResult(
        **_AT, task_id="s-1-1", seq=2, kind=r.ResultKind.FINAL, text="Paris.", data={"seconds": 0.5}
    ),
    "SessionMetrics": r.SessionMetrics(
        **_AT, ticks=5, deadline_misses=1, latency_p50_ms=12.5, latency_max_ms=210.0, gap_ms=40, speaking_ticks=2
    ),
    "DeadLetter": r.DeadLetter(
        topic="capture.frames",
        partition=3,
        offset=9,
        record_key=b"k",
        value=b"\xc1",
        service="encoder",
        error="no MessagePack",
        failed_at_ms=1_700_000_000_123,
    ),
}


def topic_of(name: str) -> Topic:
    return next(t for t in TOPICS.values() if type(EXAMPLES[name]) in t.records)


if __name__ == "__main__":
    GOLDENS.mkdir(exist_ok=True)
    for name, record in EXAMPLES.items():
        path = GOLDENS / f"{name}.v{record.v}.msgpack"
        if not path.exists():
            path.write_bytes(codec.encode(record))
