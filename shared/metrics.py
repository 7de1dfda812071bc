"""Every metric name of the project, in one place, and the small HTTP endpoint that serves them.

Session ids are never labels. Times are seconds, as Prometheus wants them; buckets are fitted to a 200 ms tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

_TICK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0)

# --- the consume loop (all services) ---
RECORDS_IN = Counter("microturn_records_in", "Records given to a handler.", ["service", "topic"])
RECORDS_OUT = Counter("microturn_records_out", "Records acknowledged by the log.", ["service", "topic"])
DEAD_LETTERS = Counter("microturn_dead_letters", "Records sent to dead.letters.", ["service", "topic"])
RETRIES = Counter("microturn_retries", "Transient faults that were retried.", ["service"])
COMMITS_REJECTED = Counter("microturn_commits_rejected", "Commits refused because the group moved on.", ["service"])
IN_FLIGHT = Gauge("microturn_in_flight_records", "Records produced and not yet acknowledged.", ["service"])
BATCH_RECORDS = Histogram(
    "microturn_batch_records", "Records per batch.", ["service"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
HANDLE_SECONDS = Histogram(
    "microturn_handle_seconds", "Time in the handler per batch.", ["service"], buckets=_TICK_BUCKETS
)

# --- capture ---
SESSIONS_OPEN = Gauge("microturn_sessions_open", "Sessions with a frame every tick.")
SESSIONS_TAKEN_OVER = Counter("microturn_sessions_taken_over", "Sessions taken over from another capture.", ["why"])
SESSIONS_LOST = Counter("microturn_sessions_lost", "Sessions that another capture process has taken over.")
SESSIONS_REFUSED = Counter("microturn_sessions_refused", "Sessions refused at the door.", ["code"])
FRAMES_CUT = Counter("microturn_frames_cut", "Frames produced by capture.")
GAP_SECONDS = Counter("microturn_gap_seconds", "Audio time filled with silence because nothing had arrived.")
AUDIO_DROPPED_SECONDS = Counter(
    "microturn_audio_dropped_seconds", "Audio time dropped: late, or beyond the jitter buffer.", ["reason"]
)
IMAGES_DROPPED = Counter("microturn_images_dropped", "Pictures refused or dropped.", ["reason"])
TICKER_LATE_SECONDS = Histogram(
    "microturn_ticker_late_seconds", "How late capture cut a frame.", buckets=_TICK_BUCKETS
)
CLOCK_JUMPS = Counter("microturn_clock_jumps", "Wall clock jumps seen against the monotonic clock.")
TURNS_IGNORED = Counter("microturn_turns_ignored", "Turns not played.", ["reason"])  # duplicate, stale_epoch, …
TURN_LATENCY = Histogram(
    "microturn_turn_latency_seconds", "Frame complete to its turn handed to the socket.", buckets=_TICK_BUCKETS
)
DEADLINE_MISSES = Counter("microturn_deadline_misses", "Turns later than the budget after their frame's end.")

# --- encoder, interaction ---
STEP_SECONDS = Histogram("microturn_step_seconds", "One model step over a batch.", ["service"], buckets=_TICK_BUCKETS)
STEP_SESSIONS = Histogram(
    "microturn_step_sessions", "Sessions per model step.", ["service"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
SESSIONS_HELD = Gauge("microturn_sessions_held", "Sessions whose state a worker holds.", ["service"])
DUPLICATES_IGNORED = Counter("microturn_duplicates_ignored", "Records seen before, by identity.", ["service"])
FRAMES_FENCED = Counter("microturn_frames_fenced", "Frames of capture processes that had lost the session.")
TICKS_MISSING = Counter("microturn_ticks_missing", "Ticks that a worker never got as input.", ["service"])
SPEECH_SECONDS = Histogram("microturn_speech_seconds", "One step of the voice over a batch.", buckets=_TICK_BUCKETS)
SPEECH_WORDS_REFUSED = Counter("microturn_speech_words_refused", "Words that found no room in a session's queue.")
RESTORES = Counter("microturn_restores", "Sessions rebuilt from the log.", ["service"])
RESTORE_TICKS = Counter("microturn_restore_ticks", "Ticks read back to rebuild sessions.", ["service"])
CATCH_UP_TICKS = Counter("microturn_catch_up_ticks", "Ticks taken more than one at a time by a late worker.")

PARTITIONS_OWNED = Gauge("microturn_partitions_owned", "Partitions that a worker answers for.", ["service"])
TAKEOVERS = Counter("microturn_takeovers", "Partitions taken over.", ["service"])
TURNS_FENCED = Counter("microturn_turns_fenced", "Turns of an outdated owner that a worker ignored.")

# --- background ---
TASKS_RUNNING = Gauge("microturn_background_tasks_running", "Background tasks being worked on.")
TASKS_ENDED = Counter("microturn_background_tasks_ended", "Background tasks by their last result.", ["kind"])
TASK_SECONDS = Histogram(
    "microturn_background_task_seconds", "Task taken to last result.", buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
)

# --- shared context ---
CONTEXT_DROPPED = Counter("microturn_context_writes_dropped", "Write-behind entries dropped: Redis slow or gone.")
CONTEXT_ERRORS = Counter("microturn_context_errors", "Redis operations that failed.")

# --- monitor ---
MONITOR_TURNS = Counter("microturn_monitor_turns", "Turns seen by the monitor.")
MONITOR_LATENCY = Histogram(
    "microturn_monitor_turn_latency_seconds", "Frame's end to turn seen by the monitor.", buckets=_TICK_BUCKETS
)
MONITOR_MISSES = Counter("microturn_monitor_deadline_misses", "Deadline misses seen by the monitor.")
MONITOR_LATE = Counter("microturn_monitor_late_records", "Turns too late for their window.")
MONITOR_SKIPPED = Counter("microturn_monitor_skipped_records", "Turns left out, or skipped unread, because too old.")
MONITOR_SESSIONS = Counter("microturn_monitor_sessions", "Session records seen by the monitor.", ["kind"])
MONITOR_DEAD_LETTERS = Counter(
    "microturn_monitor_dead_letters", "Dead letters in the topic, by the service that refused them.", ["service"]
)


class Health:
    """Readiness of a process, and the reason while it is not ready. Alive from construction until the end."""

    def __init__(self) -> None:
        self.ready = False
        self.reason = "starting"

    def set_ready(self) -> None:
        self.ready, self.reason = True, ""

    def set_unready(self, reason: str) -> None:
        self.ready, self.reason = False, reason


async def serve_metrics(host: str, port: int, health: Health) -> Callable[[], None]:
    """Serve ``GET /metrics``, ``/health/live`` and ``/health/ready`` (503 with the reason); returns a closer.

    A plain asyncio responder: the workers need no web framework for three read-only pages.
    Raises ``OSError`` when the port is taken.
    """

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=5)
            method, _, rest = head.partition(b" ")
            path = rest.partition(b" ")[0].partition(b"?")[0]
            status, kind, body = _page(method, path, health)
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode() + body
            )
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(respond, host, port, limit=8192)
    return server.close


def _page(method: bytes, path: bytes, health: Health) -> tuple[str, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if method != b"GET":
        return "405 Method Not Allowed", plain, b"GET only\n"
    if path == b"/metrics":
        return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
    if path == b"/health/live":
        return "200 OK", plain, b"alive\n"
    if path == b"/health/ready":
        if health.ready:
            return "200 OK", plain, b"ready\n"
        return "503 Service Unavailable", plain, f"not ready: {health.reason}\n".encode()
    return "404 Not Found", plain, b"not found\n"
