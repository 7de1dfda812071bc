"""What a conversation comes to: counts and latencies, one line a turn, the model's audio."""

from __future__ import annotations

import json
import wave
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infra.demo.conversation import Conversation, Heard
from schemas.ticks import FRAME_MS, OUTPUT_RATE_HZ, OUTPUT_SAMPLES, SAMPLE_BYTES
from shared.audio import level_dbfs


@dataclass(frozen=True, slots=True)
class Summary:
    """``ticks`` frames were cut; a tick without a turn is *missing*, a second turn for one is *doubled*.

    A turn that comes more than 200 ms after its frame's end misses its deadline. ``delegations`` were handed to the
    background, ``woven`` of their results were spoken to the end.
    """

    ticks: int
    turns: int
    missing: int
    doubled: int
    deadline_misses: int
    p50_ms: float
    p99_ms: float
    delegations: int
    woven: int

    @property
    def complete(self) -> bool:
        """Every tick has exactly one turn."""
        return self.ticks > 0 and self.missing == 0 and self.doubled == 0


def summarise(conversation: Conversation) -> Summary:
    """Count. A session that broke off lacks at least the tick that would have come next."""
    seen = Counter(heard.turn.tick for heard in conversation.heard)
    ticks = conversation.ticks if conversation.ticks is not None else max(seen, default=-1) + 2
    latencies = [heard.latency_ms for heard in conversation.heard] or [0.0]
    names = Counter(event.name for heard in conversation.heard for event in heard.turn.events)
    return Summary(
        ticks=ticks,
        turns=sum(seen.values()),
        missing=sum(tick not in seen for tick in range(ticks)),
        doubled=sum(count - 1 for count in seen.values()),
        deadline_misses=sum(latency > FRAME_MS for latency in latencies),
        p50_ms=round(float(np.percentile(latencies, 50)), 2),
        p99_ms=round(float(np.percentile(latencies, 99)), 2),
        delegations=names["delegated"],
        woven=names["weave_finished"],
    )


def turn_line(heard: Heard) -> dict[str, Any]:
    """One turn for ``turns.jsonl``: everything but the audio's bytes."""
    turn = heard.turn
    audio = None if turn.audio is None else {"bytes": len(turn.audio), "dbfs": round(level_dbfs(turn.audio), 1)}
    return {
        "tick": turn.tick,
        "timestamp_ms": turn.timestamp_ms,
        "latency_ms": round(heard.latency_ms, 2),
        "user": turn.user,
        "user_text": turn.user_text,
        "floor": turn.floor,
        "text": turn.text,
        "gap_ms": turn.gap_ms,
        "audio": audio,
        "events": [{"name": e.name, "task_id": e.task_id, "data": e.data} for e in turn.events],
        "final": turn.final,
    }


def write(summary: Summary, conversation: Conversation, folder: Path) -> list[Path]:
    """Write ``summary.json``, ``turns.jsonl`` and, when turns carried audio, ``answer.wav``; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "summary.json", folder / "turns.jsonl"]
    written[0].write_text(json.dumps(asdict(summary), indent=2) + "\n")
    with written[1].open("w") as out:
        out.writelines(json.dumps(turn_line(heard), ensure_ascii=False) + "\n" for heard in conversation.heard)
    answer = folder / "answer.wav"
    answer.unlink(missing_ok=True)
    if any(heard.turn.audio for heard in conversation.heard):
        _write_wav(answer, conversation.heard, summary.ticks)
        written.append(answer)
    return written


def _write_wav(path: Path, turns: Iterable[Heard], ticks: int) -> None:
    size = OUTPUT_SAMPLES * SAMPLE_BYTES
    audio = bytearray(ticks * size)
    for heard in turns:
        if heard.turn.audio:
            at = heard.turn.tick * size
            audio[at : at + size] = heard.turn.audio[:size].ljust(size, b"\0")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(SAMPLE_BYTES)
        out.setframerate(OUTPUT_RATE_HZ)
        out.writeframes(bytes(audio))
