"""A group's member in a process of its own, to be killed: ``python -m tests.kafka.log_member`` with its arguments.

Prints ``assigned <partitions>`` and ``read <partition> <offset>`` lines; commits nothing.
"""

from __future__ import annotations

import asyncio
import sys

from shared.log.api import TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings


async def main(bootstrap: str, topic: str, group: str, session_timeout_ms: str, instance_id: str = "") -> None:
    async def assigned(partitions: frozenset[TopicPartition]) -> None:
        print("assigned", *sorted(tp.partition for tp in partitions), flush=True)

    log = KafkaLog(KafkaSettings(bootstrap, session_timeout_ms=int(session_timeout_ms)))
    consumer = await log.consumer(
        [topic], client_id="member", group=group, instance_id=instance_id or None, on_assigned=assigned
    )
    while True:
        for tp, records in (await consumer.get_batch(timeout_ms=200, max_records=100)).items():
            for record in records:
                print("read", tp.partition, record.offset, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
