"""The project's unit of time: one frame is 200 ms, and every frame-like record is keyed by session and time."""

from __future__ import annotations

from typing import NamedTuple, Self

FRAME_MS = 200
INPUT_RATE_HZ = 16_000
INPUT_SAMPLES = INPUT_RATE_HZ * FRAME_MS // 1000  # 3200
OUTPUT_RATE_HZ = 24_000
OUTPUT_SAMPLES = OUTPUT_RATE_HZ * FRAME_MS // 1000  # 4800
SAMPLE_BYTES = 2  # PCM16 little endian, mono

MAX_SESSION_ID_CHARS = 64


class TickKey(NamedTuple):
    """Identity of a frame-like record. Producing the same key twice changes nothing downstream."""

    session_id: str
    timestamp_ms: int

    def encode(self) -> bytes:
        """The Kafka record key, readable as ``<session>:<timestamp>``."""
        return f"{self.session_id}:{self.timestamp_ms}".encode()

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse a record key.

        Raises:
            ValueError: not ``<session>:<timestamp>``, or the timestamp is no multiple of 200.
        """
        session_id, separator, timestamp = raw.decode("utf-8").rpartition(":")
        if not separator or not session_id or not timestamp.isdecimal():
            raise ValueError(f"key {raw[:80]!r} is not <session>:<timestamp_ms>")
        if int(timestamp) % FRAME_MS:
            raise ValueError(f"key {raw[:80]!r}: timestamp is not a multiple of {FRAME_MS} ms")
        return cls(session_id, int(timestamp))


def tick_of(timestamp_ms: int, start_ms: int) -> int:
    """Index of the frame that begins at ``timestamp_ms`` in a session that began at ``start_ms``."""
    return (timestamp_ms - start_ms) // FRAME_MS


def floor_to_frame(timestamp_ms: float) -> int:
    """The latest frame border at or before ``timestamp_ms``."""
    return int(timestamp_ms // FRAME_MS) * FRAME_MS
