"""One partition in memory: an append-only list of records that forgets its oldest when it grows past its bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from shared.log.api import LogRecord

_RECORD_OVERHEAD_BYTES = 200


class MemoryPartition:
    """Records ``begin <= offset < end``. Dropping happens in blocks, so up to a quarter more than the bound is held."""

    def __init__(self, topic: str, partition: int, *, max_records: int, max_bytes: int) -> None:
        self.topic = topic
        self.partition = partition
        self.begin = 0
        self.watchers: dict[object, Callable[[], None]] = {}
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._records: list[LogRecord] = []
        # Running maximum of the timestamps: sorted, so "first record at or after" is a binary search even though
        # timestamps themselves need not be in order.
        self._newest_ms: list[int] = []
        self._bytes = 0

    @property
    def end(self) -> int:
        return self.begin + len(self._records)

    def append(self, timestamp_ms: int, key: bytes | None, value: bytes | None) -> int:
        """Add one record, wake whoever waits for it, and return its offset."""
        offset = self.end
        self._records.append(LogRecord(self.topic, self.partition, offset, timestamp_ms, key, value))
        newest = self._newest_ms
        newest.append(timestamp_ms if not newest or timestamp_ms > newest[-1] else newest[-1])
        self._bytes += _size(key, value)
        if len(newest) * 4 > self._max_records * 5 or self._bytes * 4 > self._max_bytes * 5:
            self._drop_oldest()
        for wake in self.watchers.values():
            wake()
        return offset

    def read(self, offset: int, limit: int) -> list[LogRecord]:
        """Up to ``limit`` records from ``offset``, which must not lie before ``begin``."""
        first = offset - self.begin
        return self._records[first : first + limit]

    def first_at(self, timestamp_ms: int) -> int | None:
        """The first offset whose timestamp is at or after the given one."""
        index = bisect_left(self._newest_ms, timestamp_ms)
        return self.begin + index if index < len(self._records) else None

    def _drop_oldest(self) -> None:
        drop = max(0, len(self._records) - self._max_records)
        held = self._bytes - sum(_size(r.key, r.value) for r in self._records[:drop])
        while held > self._max_bytes and drop < len(self._records) - 1:
            held -= _size(self._records[drop].key, self._records[drop].value)
            drop += 1
        del self._records[:drop]
        self.begin += drop
        self._bytes = held
        self._newest_ms = list(accumulate((r.timestamp_ms for r in self._records), max))


def _size(key: bytes | None, value: bytes | None) -> int:
    return _RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
