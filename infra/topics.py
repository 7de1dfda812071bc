"""Creates the topics of the topics map: ``python -m infra.topics``. Used by the local stack and by compose."""

from __future__ import annotations

import asyncio
import logging
import sys

from pydantic import Field

from schemas.topics import SESSION_CONTROL, TOPICS
from shared.clock import Clock, SystemClock
from shared.log.api import LogError, LogUnavailable, TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from shared.settings import ServiceSettings, load


class TopicSettings(ServiceSettings):
    """Where Kafka is, and how many partitions and replicas the topics get."""

    replication_factor: int = Field(default=1, ge=1, le=9)
    topics_timeout_s: float = Field(default=60.0, gt=0)


async def create_topics(
    bootstrap_servers: str,
    *,
    partitions: int,
    replication_factor: int = 1,
    timeout_s: float = 60.0,
    clock: Clock | None = None,
) -> None:
    """Create what is missing, retrying while the cluster is coming up.

    Raises:
        LogError: a topic exists with another partition count, or the cluster refused.
        LogUnavailable: the cluster did not answer in time.
    """
    clock = clock or SystemClock()
    deadline = clock.monotonic() + timeout_s
    pause_s = 0.1
    log = KafkaLog(KafkaSettings(bootstrap_servers, replication_factor=replication_factor), clock=clock)
    try:
        while True:
            try:
                await log.create_topics(partitions)
                break
            except LogUnavailable:
                if clock.monotonic() + pause_s > deadline:
                    raise
            await clock.sleep(pause_s)
            pause_s = min(2.0, pause_s * 2)
        await _until_visible(log, clock, deadline)
        await _until_groups_are_served(log, clock, deadline)
    finally:
        await log.close()


async def _until_visible(log: KafkaLog, clock: Clock, deadline: float) -> None:
    """Created is not yet known to every broker: whoever asks in between is told that there is no such topic."""
    for topic in TOPICS:
        while True:
            try:
                await log.partitions(topic)
                break
            except LogError:
                if clock.monotonic() > deadline:
                    raise
            await clock.sleep(0.05)


async def _until_groups_are_served(log: KafkaLog, clock: Clock, deadline: float) -> None:
    """A new cluster makes its own topic for consumer groups at their first use; until then it answers with errors."""
    noisy = logging.getLogger("aiokafka")
    level = noisy.level
    noisy.setLevel(logging.CRITICAL)  # it calls that an error, and it is what we wait for here
    consumer = await log.consumer((SESSION_CONTROL.name,), client_id="topics", group="topics")
    try:
        while True:
            try:
                await consumer.committed(TopicPartition(SESSION_CONTROL.name, 0))
                return
            except LogUnavailable:
                if clock.monotonic() > deadline:
                    raise
            await clock.sleep(0.1)
    finally:
        await consumer.close()
        noisy.setLevel(level)


def main() -> int:
    settings = load(TopicSettings)
    try:
        asyncio.run(
            create_topics(
                settings.kafka_bootstrap_servers,
                partitions=settings.topic_partitions,
                replication_factor=settings.replication_factor,
                timeout_s=settings.topics_timeout_s,
            )
        )
    except LogError as error:
        print(f"topics: {error}", file=sys.stderr)
        return 1
    for topic in TOPICS.values():
        print(f"{topic.name:<20} {settings.topic_partitions if topic.aligned else 1:>3} partitions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
