"""The monitor on Faust: one agent per topic, raw MessagePack values, acknowledged only when a second is written.

Turns are acknowledged by hand, each when the summary that it went into is; so a crash reads unfinished seconds again
as a whole and writes the same keys again. A monitor that falls behind its allowed age jumps ahead and counts what
it has left out: it never lags without bound, and nobody ever waits for it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faust.types import TP, EventT

from schemas import codec
from schemas.partitioning import partition_of
from schemas.records import DeadLetter, TurnsClaimed
from schemas.topics import DEAD_LETTERS, INTERACTION_TURNS, MAX_RECORD_BYTES, SESSION_METRICS, Topic
from services.monitor.aggregate import Summary
from services.monitor.app import run_until
from services.monitor.in_order import InOrder
from services.monitor.intake import Intake
from services.monitor.quiet_app import QuietApp
from services.monitor.sessions import sessions_loop
from services.monitor.settings import MonitorSettings
from services.monitor.worker import CLOSE_EVERY_S
from shared import metrics
from shared.clock import Clock
from shared.log.api import Log, TopicPartition
from shared.logging import get_logger
from shared.service import readiness

_log = get_logger(__name__)
SKIP_EVERY_S = 5.0
MAX_KEPT_BYTES = MAX_RECORD_BYTES - 4_096


async def run(settings: MonitorSettings, log: Log, clock: Clock, stop: asyncio.Event) -> None:
    """Summarise turns from Kafka until ``stop``.

    Raises:
        Exception: whatever made the Faust app crash; the process should die and be restarted.
    """
    async with readiness(settings) as health:
        intake: Intake[EventT[bytes]] = Intake(settings, clock)
        name = f"monitor-{settings.instance_id}"
        with TemporaryDirectory(prefix="microturn-monitor-") as folder:
            app = create_app(settings, Path(folder))
            monitor = FaustMonitor(app, intake, log, clock, settings.topic_partitions, name)
            sessions = await sessions_loop(log, intake, clock, name=name)
            await app.start()
            health.set_ready()
            tasks = [
                asyncio.create_task(work)
                for work in (monitor.close_seconds(), run_until(sessions, stop), app.wait_until_stopped(), stop.wait())
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                stop.set()
                if app.crash_reason is not None:
                    raise app.crash_reason
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await app.stop()


def create_app(settings: MonitorSettings, folder: Path) -> Any:
    """A Faust app without tables, web server or topics of its own: it only follows and writes."""
    servers = ";".join(f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(","))
    return QuietApp(
        settings.monitor_group,
        broker=servers,
        loop=asyncio.get_running_loop(),
        autodiscover=False,
        datadir=str(folder),
        store="memory://",
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        # Not "latest": a monitor that dies before its first commit would lose what it had read. Old turns are skipped.
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.group_session_timeout_ms / 1000,
        broker_heartbeat_interval=settings.group_session_timeout_ms / 3000,
        broker_commit_interval=1.0,
        stream_wait_empty=False,  # what is unfinished is read again by the next owner; waiting for it would block
    )


class FaustMonitor:
    """The app's agents and what they share."""

    def __init__(
        self, app: Any, intake: Intake[EventT[bytes]], log: Log, clock: Clock, partitions: int, name: str
    ) -> None:
        self._app = app
        self._intake = intake
        self._log = log
        self._clock = clock
        self._partitions = partitions
        self._name = name
        self._acks = InOrder()
        self._skipped_at: dict[TP, float] = {}
        self._metrics = self._topic(SESSION_METRICS)
        self._letters = self._topic(DEAD_LETTERS)
        app.agent(self._topic(INTERACTION_TURNS), name="turns")(self._turns)
        app.agent(self._letters, name="letters")(self._dead_letters)
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        app.on_partitions_revoked.connect(self._revoked, weak=False)

    def _topic(self, topic: Topic) -> Any:
        return self._app.topic(topic.name, key_type=bytes, value_type=bytes)

    async def _assigned(self, _app: Any, assigned: Any = None, **_: Any) -> None:
        self._intake.assigned()
        self._acks.forget()
        _log.info("partitions_assigned", count=len(assigned or ()))

    async def _revoked(self, _app: Any, _revoked: Any = None, **_: Any) -> None:
        self._intake.aggregation.forget()
        self._acks.forget()

    # --- in

    async def _turns(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            self._acks.take(event)
            if self._intake.too_old(int(message.timestamp * 1000)):
                metrics.MONITOR_SKIPPED.inc()
                self._acks.done(event)
                await self._skip(message.tp, message.offset)
                continue
            try:
                turn = codec.decode(INTERACTION_TURNS, message.value)
            except codec.UndecodableRecord as error:
                await self._bury(message, str(error))
                self._acks.done(event)
                continue
            if isinstance(turn, TurnsClaimed):
                self._acks.done(event)
                continue
            message.value = b""  # up to 10 KB that nobody needs while the second is open
            for done in self._intake.take(turn, event):
                self._acks.done(done)

    async def _dead_letters(self, stream: Any) -> None:
        async for value in stream:
            try:
                service = codec.decode(DEAD_LETTERS, value).service.split("-")[0]
            except codec.UndecodableRecord:
                service = "undecodable"  # never a dead letter about a dead letter
            metrics.MONITOR_DEAD_LETTERS.labels(service).inc()

    async def _skip(self, source: TP, offset: int) -> None:
        """Jump to the first turn that is young enough; counted. Faust commits over the gap as over a compacted one."""
        now = self._clock.monotonic()
        if now - self._skipped_at.get(source, float("-inf")) < SKIP_EVERY_S:
            return
        self._skipped_at[source] = now
        tp = TopicPartition(source.topic, source.partition)
        reader = await self._log.consumer(client_id=self._name)
        try:
            from_ms = int(self._clock.wall_ms()) - self._intake.max_age_ms
            target = (await reader.offsets_for_times({tp: from_ms}))[tp]
            if target is None:
                target = (await reader.end_offsets([tp]))[tp]
        finally:
            await reader.close()
        if target > offset + 1:
            await self._app.consumer._seek(source, target)
            metrics.MONITOR_SKIPPED.inc(target - offset - 1)
            _log.warning("turns_skipped", partition=source.partition, turns=target - offset - 1)

    # --- out

    async def close_seconds(self) -> None:
        """Write the summaries of seconds that are over, for ever."""
        while True:
            await self._clock.sleep(CLOSE_EVERY_S)
            closed = self._intake.close()
            sent = [await self._send(summary) for summary in closed]
            for summary, acknowledged in zip(closed, sent, strict=True):
                await acknowledged
                for event in summary.tokens:
                    self._acks.done(event)

    async def _send(self, summary: Summary[EventT[bytes]]) -> Any:
        record = summary.metrics
        return await self._metrics.send(
            key=record.key.encode(),
            value=codec.encode(record),
            partition=partition_of(record.session_id, self._partitions),
            timestamp=record.timestamp_ms / 1000,
        )

    async def _bury(self, message: Any, reason: str) -> None:
        metrics.DEAD_LETTERS.labels("monitor", message.topic).inc()
        _log.warning("dead_letter", topic=message.topic, partition=message.partition, offset=message.offset)
        now_ms = int(self._clock.wall_ms())
        letter = DeadLetter(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            record_key=message.key,
            value=message.value[:MAX_KEPT_BYTES] if message.value else None,
            service="monitor",
            error=reason[:2_000],
            failed_at_ms=now_ms,
        )
        key = f"{message.topic}:{message.partition}:{message.offset}".encode()
        await (await self._letters.send(key=key, value=codec.encode(letter), partition=0, timestamp=now_ms / 1000))
