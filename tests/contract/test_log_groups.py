"""Groups: committed offsets, rebalances, static members, fencing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shared.log.api import CommitRejected, LogError, TopicPartition
from tests.contract.conftest import AnyLog, MakeTopic, Member, append, read

NewMember = Callable[[], Member]


async def test_group_resumes_at_the_committed_offset(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    await append(log, topic, [b"v"] * 6)
    consumer = await log.consumer([topic], client_id="contract", group=group)
    await read(consumer, 6)
    assert await consumer.committed(tp) is None
    await consumer.commit({tp: 4})
    assert await consumer.committed(tp) == 4
    await consumer.close()
    consumer = await log.consumer([topic], client_id="contract", group=group)
    assert [r.offset for r in await read(consumer, 2)] == [4, 5]
    await consumer.close()


async def test_groups_do_not_share_offsets(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    await append(log, topic, [b"v"] * 2)
    one = await log.consumer([topic], client_id="contract", group=group)
    await read(one, 2)
    await one.commit({tp: 2})
    other = await log.consumer([topic], client_id="contract", group=group + "-other")
    assert [r.offset for r in await read(other, 2)] == [0, 1]
    await one.close()
    await other.close()


async def test_group_without_commit_may_start_at_the_end(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    await append(log, topic, [b"old"] * 3)
    arrived = asyncio.Event()

    async def assigned(_: frozenset[TopicPartition]) -> None:
        arrived.set()

    consumer = await log.consumer(
        [topic], client_id="contract", group=group, from_beginning=False, on_assigned=assigned
    )
    async with asyncio.timeout(20):
        await arrived.wait()
    assert await consumer.position(tp) == 3
    await append(log, topic, [b"new"])
    assert [r.value for r in await read(consumer, 1)] == [b"new"]
    await consumer.close()


async def test_members_share_partitions_and_aligned_topics_stay_together(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topics = [await make_topic(5), await make_topic(5)]
    everything = {TopicPartition(t, p) for t in topics for p in range(5)}
    one, two = new_member(), new_member()
    await one.join(log, topics, group)
    await one.until(lambda: one.owned == everything)
    await two.join(log, topics, group)
    await two.until(lambda: bool(two.owned))
    await one.until(lambda: one.owned != everything and bool(one.owned))
    assert one.owned | two.owned == everything and not one.owned & two.owned
    for member in (one, two):
        first, second = ({tp.partition for tp in member.owned if tp.topic == t} for t in topics)
        assert first == second, "the same sessions in both topics"
        assert member.consumer is not None and member.consumer.assignment() == member.owned


async def test_partitions_are_given_up_before_they_are_given_on(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(4)
    for partition in range(4):
        await append(log, topic, [b"v"] * 10, partition=partition)
    one, two = new_member(), new_member()
    one.commit_on_revoke = two.commit_on_revoke = True
    await one.join(log, [topic], group)
    await one.until(lambda: len(one.records) == 40)
    await two.join(log, [topic], group)
    await two.until(lambda: bool(two.owned))
    await one.until(lambda: len(one.told) == 3)
    assert [what for what, _ in one.told] == ["assigned", "revoked", "assigned"]
    assert one.told[0][1] == one.told[1][1] == {TopicPartition(topic, p) for p in range(4)}
    for partition in range(4):
        await append(log, topic, [b"more"], partition=partition)
    await one.until(lambda: len(one.records) == 42)
    await two.until(lambda: len(two.records) == 2)
    seen = [(r.partition, r.offset) for r in one.records + two.records]
    assert sorted(seen) == [(p, o) for p in range(4) for o in range(11)], "committed in time: nothing twice"


async def test_what_is_not_committed_is_given_again(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(2)
    for partition in (0, 1):
        await append(log, topic, [b"v"] * 5, partition=partition)
    one, two = new_member(), new_member()
    consumer = await one.join(log, [topic], group)
    await one.until(lambda: len(one.records) == 10)
    await consumer.commit({TopicPartition(topic, 0): 2, TopicPartition(topic, 1): 3})
    await two.join(log, [topic], group)
    await two.until(lambda: bool(two.owned) and len(two.records) == (3 if two.owned_partition == 0 else 2))
    lowest = 2 if two.owned_partition == 0 else 3
    assert [r.offset for r in two.records] == list(range(lowest, 5))


async def test_partitions_of_a_member_that_leaves_go_to_the_rest(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(4)
    everything = {TopicPartition(topic, p) for p in range(4)}
    one, two = new_member(), new_member()
    await one.join(log, [topic], group)
    await one.until(lambda: one.owned == everything)
    await two.join(log, [topic], group)
    await two.until(lambda: len(two.owned) == 2)
    await one.leave()
    await two.until(lambda: two.owned == everything)


async def test_commit_of_what_is_not_owned_is_rejected(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(2)
    everything = {TopicPartition(topic, p) for p in range(2)}
    one, two = new_member(), new_member()
    consumer = await one.join(log, [topic], group)
    await one.until(lambda: one.owned == everything)
    await two.join(log, [topic], group)
    await two.until(lambda: bool(two.owned))
    await one.until(lambda: len(one.owned) == 1)
    (lost,) = everything - one.owned
    with pytest.raises(CommitRejected):
        await consumer.commit({lost: 0})
    await consumer.commit(dict.fromkeys(one.owned, 0))


async def test_explicit_assignment_may_keep_its_offsets_in_a_group(
    log: AnyLog, make_topic: MakeTopic, group: str
) -> None:
    topic = await make_topic(2)
    tp, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await append(log, topic, [b"v"] * 6)
    one = await log.consumer(client_id="contract", group=group)
    assert await one.committed(tp) is None
    one.assign({tp: 0})
    await read(one, 6)
    await one.commit({tp: 4})
    with pytest.raises(CommitRejected):
        await one.commit({other: 1})
    two = await log.consumer(client_id="contract", group=group)
    assert await two.committed(tp) == 4  # the next owner finds it, and so does whoever watches the group's lag
    two.assign({tp: 4})
    assert [r.offset for r in await read(two, 2)] == [4, 5]
    await two.commit({tp: 6})
    assert await one.committed(tp) == 6
    await one.close()
    await two.close()


async def test_owner_may_seek_before_the_first_record(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    await append(log, topic, [b"v"] * 8)
    seen_at_assignment: list[int] = []

    async def assigned(partitions: frozenset[TopicPartition]) -> None:
        await asyncio.sleep(0.3)  # a restore takes its time; no record may slip through meanwhile
        seen_at_assignment.append(len(seen))
        consumer.seek(tp, 5)

    seen: list[int] = []
    consumer = await log.consumer([topic], client_id="contract", group=group, on_assigned=assigned)
    async with asyncio.timeout(20):
        while len(seen) < 3:
            for records in (await consumer.get_batch(timeout_ms=100, max_records=10)).values():
                seen += [r.offset for r in records]
    assert seen == [5, 6, 7] and seen_at_assignment == [0]
    await consumer.close()


async def test_slow_restore_outlasts_the_session_timeout(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)
    await append(log, topic, [b"v"] * 3)
    assignments = 0

    async def assigned(_: frozenset[TopicPartition]) -> None:
        nonlocal assignments
        assignments += 1
        await asyncio.sleep(4.0)  # session timeout: 3 s

    consumer = await log.consumer([topic], client_id="contract", group=group, on_assigned=assigned)
    assert [r.offset for r in await read(consumer, 3)] == [0, 1, 2]
    await consumer.commit({TopicPartition(topic, 0): 3})
    assert assignments == 1
    await consumer.close()


async def test_failing_callback_surfaces_in_get_batch(log: AnyLog, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(1)

    async def assigned(_: frozenset[TopicPartition]) -> None:
        raise ZeroDivisionError("a bug in a restore")

    consumer = await log.consumer([topic], client_id="contract", group=group, on_assigned=assigned)
    with pytest.raises(ZeroDivisionError, match="a bug in a restore"):
        async with asyncio.timeout(20):
            while True:
                await consumer.get_batch(timeout_ms=100, max_records=10)
    await consumer.close()


async def test_static_member_restarts_without_a_rebalance(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(4)
    everything = {TopicPartition(topic, p) for p in range(4)}
    one, two, again = new_member(), new_member(), new_member()
    await one.join(log, [topic], group, instance_id="one")
    await one.until(lambda: one.owned == everything)
    await two.join(log, [topic], group, instance_id="two")
    await two.until(lambda: len(two.owned) == 2)
    await one.until(lambda: len(one.owned) == 2)
    mine, told = one.owned, list(two.told)
    await one.leave()
    await again.join(log, [topic], group, instance_id="one")
    await again.until(lambda: bool(again.owned))
    assert again.owned == mine
    for tp in sorted(everything):
        await append(log, topic, [b"after"], partition=tp.partition)
    await again.until(lambda: len(again.records) == 2)
    await two.until(lambda: len(two.records) == 2)
    assert two.told == told, "the other member noticed nothing"


async def test_second_member_with_the_same_instance_id_fences_the_first(
    log: AnyLog, make_topic: MakeTopic, group: str, new_member: NewMember
) -> None:
    topic = await make_topic(1)
    tp = TopicPartition(topic, 0)
    await append(log, topic, [b"v"] * 3)
    one, two = new_member(), new_member()
    zombie = await one.join(log, [topic], group, instance_id="same")
    await one.until(lambda: len(one.records) == 3)
    current = await two.join(log, [topic], group, instance_id="same")
    await two.until(lambda: len(two.records) == 3)
    with pytest.raises(CommitRejected):
        await zombie.commit({tp: 3})
    await one.until(lambda: one.failure is not None)
    assert isinstance(one.failure, LogError) and "fenced" in str(one.failure)
    with pytest.raises(CommitRejected):
        await zombie.commit({tp: 3})
    await one.leave()
    await current.commit({tp: 2})
    assert await current.committed(tp) == 2
    assert two.told == [("assigned", frozenset({tp}))] and two.failure is None
