"""Fixtures that more than one folder of tests needs: a real Apache Kafka, a real Redis, the whole local stack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.local.kafka import LocalKafka
from infra.local.redis import LocalRedis


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Addresses of a Kafka for this pytest session: ``KAFKA_BOOTSTRAP_SERVERS``, else one node of our own."""
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if external:
        yield external
        return
    with LocalKafka(tmp_path_factory.mktemp("kafka"), heap_mb=384) as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Redis for this pytest session: ``REDIS_URL``, else one of our own."""
    external = os.environ.get("REDIS_URL")
    if external:
        yield external
        return
    with LocalRedis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url
