"""The log as services see it: append records, follow partitions, go back in time. Two implementations, one contract.

Offsets, as in Kafka: a record's *offset* is its place in its partition; a consumer's *position* is the next offset it
will be given; a group's *committed* offset is where it resumes after a restart, i.e. one past the last record that
it is done with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class TopicPartition(NamedTuple):
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as it lies in the log; ``timestamp_ms`` is the producer's (for frames, the frame's begin)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class LogError(Exception):
    """Base of what the log raises."""


class RecordTooLarge(LogError):
    """The record exceeds ``MAX_RECORD_BYTES`` or the broker's limit; nothing was appended."""


class CommitRejected(LogError):
    """The group has moved on (rebalance, or another member with this instance id); what was read may be read again."""


class LogUnavailable(LogError):
    """The broker did not answer in time; the caller may retry."""


RebalanceCallback = Callable[[frozenset[TopicPartition]], Awaitable[None]]


class Producer(Protocol):
    """Appends. Idempotent within its life: a retry after a lost acknowledgement appends once; order is kept."""

    async def send(
        self, topic: str, key: bytes, value: bytes, *, partition: int, timestamp_ms: int
    ) -> Awaitable[int]:
        """Queue a record; the returned awaitable gives its offset once acknowledged.

        Waits only while the (bounded) send buffer is full.

        Raises:
            RecordTooLarge: at once, or from the awaitable.
            LogUnavailable: from the awaitable, when retries are exhausted.
        """

    async def flush(self) -> None:
        """Return when everything queued before has been acknowledged or has failed."""

    async def close(self) -> None: ...


class Consumer(Protocol):
    """Follows partitions, either as a member of a group or by explicit assignment. Fetches ahead boundedly."""

    async def get_batch(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[LogRecord]]:
        """Records in order per partition; empty after ``timeout_ms`` without any; at once when some are there."""

    def assignment(self) -> frozenset[TopicPartition]: ...

    def assign(self, partitions: Mapping[TopicPartition, int | None]) -> None:
        """Explicit assignment (consumers without topics only): each partition with the offset to start at, or
        None for the end. Partitions that were assigned before keep their position unless an offset is given."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None: ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    async def position(self, partition: TopicPartition) -> int: ...

    async def committed(self, partition: TopicPartition) -> int | None: ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Set committed offsets. Raises ``CommitRejected``, ``LogUnavailable``."""

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def offsets_for_times(
        self, timestamps_ms: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """First offset whose record timestamp is >= the given one; None when there is none."""

    async def close(self) -> None:
        """Leave the group (unless a static member) and stop."""


class Log(Protocol):
    """A broker, or the memory of this process."""

    async def create_topics(self, partitions: int, *, prefix: str = "") -> None:
        """Create what is missing of the topics map; existing topics are checked for their partition count.

        ``prefix`` is put before each name: a second set of topics, which no service follows and nothing expires in.

        Raises:
            LogError: a topic exists with another partition count.
        """

    async def partitions(self, topic: str) -> int:
        """Partition count. Raises ``LogError`` when the topic does not exist."""

    async def producer(self, client_id: str) -> Producer: ...

    async def consumer(
        self,
        topics: Sequence[str] = (),
        *,
        client_id: str,
        group: str | None = None,
        instance_id: str | None = None,
        from_beginning: bool = True,
        fetch_wait_ms: int | None = None,
        on_assigned: RebalanceCallback | None = None,
        on_revoked: RebalanceCallback | None = None,
    ) -> Consumer:
        """A started consumer: a group member over ``topics``, or (no ``topics``) one for explicit ``assign``.

        The latter may still name a ``group``: it keeps its offsets there without being a member, which the group
        allows while it has no members (``CommitRejected``).

        ``instance_id`` makes the member static: a restart within the session timeout causes no rebalance.
        ``fetch_wait_ms``: how long the broker may hold a fetch that finds nothing (longer: fewer requests).
        ``from_beginning`` says where a group without a committed offset starts (else at the end).
        ``on_revoked`` runs before partitions are taken (still owned: commit there), ``on_assigned`` before the
        first record of new ones is given (seek and restore there).
        """

    async def close(self) -> None: ...
