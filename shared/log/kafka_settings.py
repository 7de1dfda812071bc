"""How this project talks to Kafka: the few settings that matter, and what its errors mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiokafka import errors

from shared.log.api import CommitRejected, LogError, LogUnavailable, RecordTooLarge

ENVELOPE_BYTES = 65_536  # a record batch's own bytes around one record of the largest size


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """``session_timeout_ms`` decides how long a killed worker's partitions stand still; the broker's
    ``group.min.session.timeout.ms`` bounds it from below. ``max_poll_interval_ms`` is how long a handler may take
    before its group gives up on it, ``rebalance_timeout_ms`` how long giving partitions back may take.
    ``delivery_timeout_ms`` is how long a producer retries before its sends fail.
    """

    bootstrap_servers: str
    replication_factor: int = 1
    session_timeout_ms: int = 6_000
    max_poll_interval_ms: int = 60_000
    rebalance_timeout_ms: int = 30_000
    request_timeout_ms: int = 15_000
    delivery_timeout_ms: int = 30_000
    fetch_max_wait_ms: int = 40
    """How long a fetch waits for data. aiokafka has one fetch under way per broker: a record on a partition that the
    fetch under way does not ask for (its last records were still being handled) waits until that one returns."""
    max_fetch_bytes_per_partition: int = 2 * 1024 * 1024
    max_batch_bytes: int = 256 * 1024


@contextmanager
def translated() -> Iterator[None]:
    """Turn what aiokafka raises into what ``shared.log.api`` promises."""
    try:
        yield
    except (errors.KafkaError, TimeoutError) as error:
        raise translate(error) from error


def translate(error: BaseException) -> LogError:
    if isinstance(error, (errors.MessageSizeTooLargeError, errors.RecordTooLargeError)):
        return RecordTooLarge(str(error))
    if isinstance(error, errors.CommitFailedError):
        return CommitRejected(str(error))
    if isinstance(error, (TimeoutError, errors.KafkaTimeoutError, errors.KafkaConnectionError)):
        return LogUnavailable(f"{type(error).__name__}: {error}")
    if isinstance(error, errors.KafkaError) and error.retriable:
        return LogUnavailable(f"{type(error).__name__}: {error}")
    return LogError(f"{type(error).__name__}: {error}")
