"""Fixtures that more than one folder of tests needs: a real Apache Kafka, a real Redis, the whole local stack."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import pytest

from infra.local.kafka import LocalKafka
from infra.local.redis import LocalRedis
from infra.local.stack import LocalStack, StackOptions


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


class StartStack(Protocol):
    """Starts a stack with these ``StackOptions`` and returns it ready; the test's end takes it down."""

    async def __call__(self, **options: Any) -> LocalStack: ...


@pytest.fixture
async def local_stack() -> AsyncIterator[StartStack]:
    """``stack = await local_stack(model="echo", interactions=2)``.

    A stack has a Kafka and a Redis of its own, so that what one test leaves behind is no part of another's. To save
    the broker's 4 s: ``local_stack(kafka_bootstrap_servers=kafka_bootstrap, redis_url=redis_url)``.
    """
    stacks: list[LocalStack] = []

    async def start(**options: Any) -> LocalStack:
        stacks.append(LocalStack(StackOptions(**options)))
        await stacks[-1].start()
        return stacks[-1]

    yield start
    for stack in stacks:
        await stack.stop()
