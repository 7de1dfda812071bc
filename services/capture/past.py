"""What the log knows of a session that another process began: its newest frame, its last turns and results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import codec
from schemas.partitioning import partition_of
from schemas.records import BackgroundResult, CaptureFrame, InteractionTurn, TurnsClaimed
from schemas.ticks import FRAME_MS, TickKey
from schemas.topics import BACKGROUND_RESULTS, CAPTURE_FRAMES, INTERACTION_TURNS, TOPICS
from services.capture.directory import Known
from services.capture.playout import RING_TICKS
from shared.fencing import Fence, TurnFence
from shared.log.api import Log, LogRecord, TopicPartition
from shared.log.reading import read_since

_MARGIN_MS = 2_000  # what a holder may have said of itself a little too early
_WINDOW_MS = RING_TICKS * FRAME_MS
# Turns from before the window tell which worker epoch is in force in it.
_BACK_MS = {
    CAPTURE_FRAMES.name: _MARGIN_MS,
    INTERACTION_TURNS.name: 2 * _WINDOW_MS,
    BACKGROUND_RESULTS.name: _WINDOW_MS,
}


@dataclass(slots=True)
class Past:
    """``next_tick`` is the first without a frame; ``final`` says that the one before it was the session's last."""

    next_tick: int = 0
    final: bool = False
    turns: list[InteractionTurn] = field(default_factory=list)
    results: list[BackgroundResult] = field(default_factory=list)
    _fence: Fence = field(default_factory=Fence)

    def take(self, record: object) -> None:
        """Take in a record of the session, in the order of its topic."""
        if isinstance(record, CaptureFrame):
            if self._fence.admits(record.capture_epoch) and record.tick + 1 >= self.next_tick:
                self.next_tick, self.final = record.tick + 1, record.final
        elif isinstance(record, InteractionTurn):
            self.turns.append(record)
        elif isinstance(record, BackgroundResult):
            self.results.append(record)


class PastReader:
    """Reads for many sessions at once: whoever asks while a partition is being read shares the next read of it.

    When a capture process dies, all its clients come to another one within a second.
    """

    def __init__(self, log: Log, *, partitions: int, client_id: str) -> None:
        self._log = log
        self._partitions = partitions
        self._client_id = client_id
        self._waiting: dict[int, list[tuple[Known, asyncio.Future[Past]]]] = {}
        self._reading: dict[int, asyncio.Task[None]] = {}

    async def read(self, known: Known) -> Past:
        """Up to the log's end as it is now, or later. Raises ``LogUnavailable``."""
        answer: asyncio.Future[Past] = asyncio.get_running_loop().create_future()
        partition = partition_of(known.session_id, self._partitions)
        self._waiting.setdefault(partition, []).append((known, answer))
        if partition not in self._reading:
            self._reading[partition] = asyncio.create_task(self._serve(partition))
        return await answer

    async def close(self) -> None:
        """Give up what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, partition: int) -> None:
        asked: list[tuple[Known, asyncio.Future[Past]]] = []
        try:
            while asked := self._waiting.pop(partition, []):
                pasts = await self._read(partition, [known for known, _ in asked])
                for known, answer in asked:
                    if not answer.done():
                        answer.set_result(pasts[known.session_id])
        except BaseException as error:
            for _, answer in (*asked, *self._waiting.pop(partition, [])):
                if not answer.done():
                    answer.set_exception(error)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            del self._reading[partition]

    async def _read(self, partition: int, sessions: Sequence[Known]) -> dict[str, Past]:
        # A session that nobody has told of for long has no frames since then either: its last ones tell the tick.
        pasts = {known.session_id: Past(next_tick=_tick(known, known.next_ms)) for known in sessions}
        oldest_ms = min(known.next_ms for known in sessions)
        since = {TopicPartition(name, partition): max(0, oldest_ms - back) for name, back in _BACK_MS.items()}
        fence = TurnFence()
        async for chunk in read_since(self._log, since, client_id=self._client_id):
            for record in chunk:
                past = pasts.get(_session_of(record))
                if past is None and record.topic != INTERACTION_TURNS.name:
                    continue  # told by the key, so that other sessions' audio is not decoded
                try:
                    value = codec.decode(TOPICS[record.topic], record.value)
                except codec.UndecodableRecord:
                    continue  # in dead.letters already
                if isinstance(value, TurnsClaimed):
                    fence.claimed(value)
                elif isinstance(value, InteractionTurn) and not fence.admits(partition, value):
                    continue
                elif past is not None:
                    past.take(value)
        return pasts


def _tick(known: Known, timestamp_ms: int) -> int:
    return (timestamp_ms - known.start_ms) // FRAME_MS


def _session_of(record: LogRecord) -> str:
    try:
        return TickKey.decode(record.key or b"").session_id
    except ValueError:
        return ""
