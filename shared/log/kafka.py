"""The log on Apache Kafka. Nothing outside ``shared/log`` imports aiokafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import MAX_RECORD_BYTES, TOPICS
from shared.clock import Clock, SystemClock
from shared.log.api import LogError, LogUnavailable, RebalanceCallback
from shared.log.kafka_consumer import KafkaConsumer
from shared.log.kafka_producer import KafkaProducer
from shared.log.kafka_settings import ENVELOPE_BYTES, KafkaSettings, translate, translated

_VISIBLE_ROUNDS = 100
_VISIBLE_INTERVAL_S = 0.1


class KafkaLog:
    """See ``shared.log.api.Log``. Constructing it connects to nothing."""

    def __init__(self, settings: KafkaSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._admin: Any = None
        self._partitions: dict[str, int] = {}

    async def create_topics(self, partitions: int, *, prefix: str = "") -> None:
        for topic in TOPICS.values():
            config = {"cleanup.policy": topic.cleanup, "retention.ms": str(topic.retention_ms), **topic.config}
            if prefix:  # old sessions are put there, whose records would be past their time at once
                config |= {"cleanup.policy": "delete", "retention.ms": "-1"}
            await self.create_topic(prefix + topic.name, partitions if topic.aligned else 1, config)

    async def create_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Create one topic. Raises ``LogError`` when it exists with another partition count."""
        replicas = self._settings.replication_factor
        limits = {"max.message.bytes": str(MAX_RECORD_BYTES + ENVELOPE_BYTES)}
        if replicas >= 3:
            limits["min.insync.replicas"] = "2"
        topic = NewTopic(name, partitions, replicas, topic_configs={**limits, **(config or {})})
        admin = await self._connect()
        with translated():
            response = await admin.create_topics([topic])
        for _, code, *message in response.topic_errors:
            if code and code != errors.TopicAlreadyExistsError.errno:
                error = translate(errors.for_code(code)(*message))
                raise type(error)(f"topic {name}: {error}")
        existing = await self._until_visible(name)
        if existing != partitions:
            raise LogError(f"topic {name} has {existing} partitions, not {partitions}")

    async def partitions(self, topic: str) -> int:
        if topic not in self._partitions:
            count = await self._count_partitions(topic)
            if count is None:
                raise LogError(f"topic {topic} does not exist")
            self._partitions[topic] = count
        return self._partitions[topic]

    async def _until_visible(self, topic: str) -> int:
        """Its partition count, once the brokers know it: they hear of new topics a moment after the controller."""
        for _ in range(_VISIBLE_ROUNDS):
            count = await self._count_partitions(topic)
            if count is not None:
                return count
            await self._clock.sleep(_VISIBLE_INTERVAL_S)
        raise LogUnavailable(f"topic {topic} was created, but no broker knows it")

    async def _count_partitions(self, topic: str) -> int | None:
        admin = await self._connect()
        with translated():
            (described,) = await admin.describe_topics([topic])
        code = described["error_code"]
        if code == errors.UnknownTopicOrPartitionError.errno:
            return None
        if code:
            raise translate(errors.for_code(code)(topic))
        return len(described["partitions"])

    async def producer(self, client_id: str) -> KafkaProducer:
        producer = KafkaProducer(self._settings, client_id, self._clock)
        await producer.start()
        return producer

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
    ) -> KafkaConsumer:
        for topic in topics:
            await self.partitions(topic)
        consumer = KafkaConsumer(
            self._settings,
            client_id=client_id,
            group=group,
            instance_id=instance_id,
            from_beginning=from_beginning,
            fetch_wait_ms=fetch_wait_ms,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
        )
        await consumer.start(topics)
        if group is None or not topics:
            await self._clock.sleep(0)  # aiokafka can't be closed before its tasks have begun
        return consumer

    async def close(self) -> None:
        if self._admin is not None:
            await self._admin.close()
            self._admin = None

    async def _connect(self) -> Any:
        if self._admin is None:
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self._settings.bootstrap_servers,
                request_timeout_ms=self._settings.request_timeout_ms,
            )
            try:
                await admin.start()
            except (errors.KafkaError, TimeoutError) as error:
                await admin.close()
                raise LogUnavailable(f"{self._settings.bootstrap_servers}: {error}") from error
            self._admin = admin
        return self._admin
