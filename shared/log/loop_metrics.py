"""What the consume loop reports about itself."""

from __future__ import annotations

from typing import Protocol

from shared import metrics


class LoopMetrics(Protocol):
    """Called once a batch or rarer, except where it says otherwise."""

    def batch(self, records: int, seconds: float) -> None:
        """The handler has finished a batch."""

    def records_in(self, topic: str, count: int) -> None: ...

    def records_out(self, topic: str, count: int) -> None:
        """Acknowledged by the log."""

    def in_flight(self, count: int) -> None:
        """Sent and not acknowledged."""

    def dead_letter(self, topic: str) -> None:
        """A record of this topic was refused; once a record."""

    def retried(self) -> None: ...

    def commit_rejected(self) -> None: ...


class NoLoopMetrics:
    """Reports nothing."""

    def batch(self, records: int, seconds: float) -> None:
        pass

    def records_in(self, topic: str, count: int) -> None:
        pass

    def records_out(self, topic: str, count: int) -> None:
        pass

    def in_flight(self, count: int) -> None:
        pass

    def dead_letter(self, topic: str) -> None:
        pass

    def retried(self) -> None:
        pass

    def commit_rejected(self) -> None:
        pass


class PrometheusLoopMetrics:
    """Reports to this process's Prometheus registry under the service's name."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._batch_records = metrics.BATCH_RECORDS.labels(service)
        self._handle_seconds = metrics.HANDLE_SECONDS.labels(service)
        self._in_flight = metrics.IN_FLIGHT.labels(service)
        self._retries = metrics.RETRIES.labels(service)
        self._commits_rejected = metrics.COMMITS_REJECTED.labels(service)

    def batch(self, records: int, seconds: float) -> None:
        self._batch_records.observe(records)
        self._handle_seconds.observe(seconds)

    def records_in(self, topic: str, count: int) -> None:
        metrics.RECORDS_IN.labels(self._service, topic).inc(count)

    def records_out(self, topic: str, count: int) -> None:
        metrics.RECORDS_OUT.labels(self._service, topic).inc(count)

    def in_flight(self, count: int) -> None:
        self._in_flight.set(count)

    def dead_letter(self, topic: str) -> None:
        metrics.DEAD_LETTERS.labels(self._service, topic).inc()

    def retried(self) -> None:
        self._retries.inc()

    def commit_rejected(self) -> None:
        self._commits_rejected.inc()
