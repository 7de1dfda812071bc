"""Sessions outlive the capture process that began them: two processes over one log, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from infra.client import Refusal, StreamClient
from schemas import client, codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import SESSION_CONTROL, TOPICS
from services.capture.worker import share_of
from shared.fencing import Fence
from shared.log.api import TopicPartition
from tests.capture.conftest import PARTITIONS, Running, Topics, answered_topics, running_capture, turn_for
from tests.capture.test_stream import all_turns, turns_until


@asynccontextmanager
async def two_captures(**settings: Any) -> AsyncIterator[tuple[Running, Running]]:
    async with (
        answered_topics() as topics,
        running_capture(topics=topics, instance_id="one", **settings) as one,
        running_capture(topics=topics, instance_id="two", **settings) as two,
    ):
        yield one, two


def move_to(session: StreamClient, *captures: Running) -> None:
    """The client knows these servers only, from now on."""
    elsewhere = StreamClient([capture.url for capture in captures])
    session.urls, session.url = elsewhere.urls, elsewhere.url


async def accepted_frames(topics: Topics, session_id: str) -> dict[int, r.CaptureFrame]:
    """What the encoder would take of a session's frames, by the rule that ``CaptureFrame`` gives."""
    fence, accepted = Fence(), dict[int, r.CaptureFrame]()
    for frame in await topics.frames(session_id):
        if fence.admits(frame.capture_epoch):
            accepted.setdefault(frame.tick, frame)
    return accepted


async def until_ended(topics: Topics, session_id: str) -> list[Any]:
    """A session's control records up to its end."""
    count = 2
    while not isinstance((records := await topics.until_control(session_id, count))[-1], r.SessionEnded):
        count = len(records) + 1
    return records


async def test_a_client_goes_on_at_another_process_when_its_own_has_died() -> None:
    pcm = np.full(32_000, 700, "<i2").tobytes()
    async with two_captures() as (one, two):
        topics = two.topics
        async with StreamClient(one.url) as session:
            sid = session.welcome.session_id
            seen = await turns_until(session, 3)
            await one.crash()
            cut = len(await topics.frames(sid))
            session.abort()
            move_to(session, two)
            welcome = await session.resume()
            assert (welcome.session_id, welcome.start_ms, welcome.resumed) == (sid, session.welcome.start_ms, True)
            assert welcome.resume_token == session.welcome.resume_token
            await session.play(pcm)
            await session.bye()
            seen += await all_turns(session)
        assert session.ended is not None
        count = session.ended.ticks
        assert [turn.tick for turn in seen] == list(range(count)), "nothing lost, nothing twice, in order"
        frames = await accepted_frames(topics, sid)
        assert sorted(frames) == list(range(count))
        assert {frames[n].timestamp_ms - 200 * n for n in frames} == {welcome.start_ms}
        assert {frames[n].capture_epoch for n in range(cut)} == {0}
        assert {frames[n].capture_epoch for n in range(cut, count)} == {1}
        assert [event.name for frame in frames.values() for event in frame.events] == ["session.started"]
        assert pcm in b"".join(frames[n].audio for n in range(count))
        assert [turn.gap_ms for turn in seen[cut:]] == [frames[n].gap_ms for n in range(cut, count)]
        started, held, ended = await topics.control(sid)
        assert (held.capture_id, held.capture_epoch, held.config) == ("two", 1, started.config)
        assert held.resume_hash == started.resume_hash
        assert (ended.ticks, ended.reason, ended.capture_epoch) == (count, "bye", 1)


async def test_time_that_nobody_cut_becomes_gap_frames_and_the_session_s_clock_stays_true() -> None:
    async with two_captures() as (one, two):
        async with StreamClient(one.url) as session:
            sid = session.welcome.session_id
            seen = await turns_until(session, 1)
            await one.crash()
            session.abort()
            cut = len(await two.topics.frames(sid))
            other = await StreamClient(two.url).__aenter__()  # a clock to wait by
            await turns_until(other, 5)
            await other.close()
            move_to(session, two)
            await session.resume()
            seen += await turns_until(session, cut + 9)
        frames = await accepted_frames(two.topics, sid)
        assert all(frames[n].gap_ms == 200 for n in range(cut, cut + 5)), "at least the second that was waited"
        ends = np.array([turn.frame_end_ms - turn.tick * 200 for turn in seen])
        off_ms = np.median(ends[cut:]) - np.median(ends[:cut])
        assert abs(off_ms) < 15, "as if nothing had happened, but for the ticker's grid"


async def test_who_still_has_the_session_finds_out_that_it_is_another_s_now() -> None:
    async with two_captures() as (one, two):
        async with StreamClient(one.url) as session:
            sid = session.welcome.session_id
            seen = await turns_until(session, 2)
            stale = StreamClient(one.url)  # the socket that the first process still has
            await stale._open(session._hello, stale.url, 5)
            session.abort()
            for at, epoch in ((two, 1), (one, 2), (two, 3)):
                move_to(session, at)
                await session.resume()
                seen += await turns_until(session, seen[-1].tick + 3)
                held = (await two.topics.control(sid))[-1]
                assert (held.capture_epoch, held.capture_id) == (epoch, "two" if at is two else "one")
                session.abort()
            await session.resume()
            await session.bye()
            seen += await all_turns(session)
            await stale.close()
        assert [turn.tick for turn in seen] == list(range(len(seen)))
        frames = await accepted_frames(two.topics, sid)
        assert sorted(frames) == list(range(len(seen)))
        ends = [one for one in await two.topics.control(sid) if isinstance(one, r.SessionEnded)]
        assert [(end.reason, end.capture_epoch) for end in ends] == [("bye", 3)]


async def test_the_process_that_lost_it_closes_its_socket_with_a_word() -> None:
    async with two_captures() as (one, two), StreamClient(one.url) as session:
        await turns_until(session, 1)
        second = StreamClient(two.url)
        second._welcome, second.last_tick = session.welcome, session.last_tick
        await second.resume()
        with pytest.raises(Refusal, match="moved"):
            await all_turns(session)
        await second.bye()
        await all_turns(second)


async def test_only_with_its_token_and_no_record_carries_it() -> None:
    async with two_captures() as (one, two), StreamClient(one.url) as session:
        await turns_until(session, 1)
        token = session.welcome.resume_token
        thief = StreamClient(two.url)
        thief._welcome = client.Welcome(
            session_id=session.welcome.session_id,
            start_ms=0,
            frame_ms=200,
            input_rate_hz=16_000,
            output_rate_hz=24_000,
            resume_token=token[:-1] + ("a" if token[-1] != "a" else "b"),
        )
        with pytest.raises(Refusal, match="unknown_session"):
            await thief.resume()
        session.abort()
        move_to(session, two)
        await session.resume()
        await turns_until(session, 4)
        for topic in TOPICS.values():
            partitions = PARTITIONS if topic.aligned else 1
            for partition in range(partitions):
                store = two.topics.log.find(TopicPartition(topic.name, partition))
                for record in store.read(store.begin, store.end):
                    assert token.encode() not in (record.value or b"")


async def test_who_comes_later_than_the_grace_is_unknown_and_the_session_ends() -> None:
    async with two_captures(capture_resume_grace_s=0.2, capture_hold_interval_s=60) as (one, two):
        async with StreamClient(one.url) as session, StreamClient(two.url) as other:
            sid = session.welcome.session_id
            await turns_until(session, 1)
            await one.crash()
            session.abort()
            await turns_until(other, 12)
            move_to(session, two)
            with pytest.raises(Refusal, match="unknown_session"):
                await session.resume()
        ended = (await until_ended(two.topics, sid))[-1]
        frames = await accepted_frames(two.topics, sid)
        assert (ended.reason, ended.ticks) == ("client_gone", len(frames))
        assert frames[ended.ticks - 1].final


async def test_sessions_of_a_dead_process_whose_clients_never_come_are_ended_by_another() -> None:
    async with two_captures(capture_hold_interval_s=0.4) as (one, two):
        async with StreamClient(one.url) as session, StreamClient(two.url) as alive:
            sid = session.welcome.session_id
            await turns_until(session, 1)
            await one.crash()
            session.abort()
            listening = asyncio.create_task(all_turns(alive))
            ended = (await until_ended(two.topics, sid))[-1]
            await alive.bye()
            turns = await listening
        assert (ended.reason, ended.capture_epoch) == ("client_gone", 1)
        frames = await accepted_frames(two.topics, sid)
        assert sorted(frames) == list(range(ended.ticks))
        assert frames[ended.ticks - 1].final
        assert [turn.tick for turn in turns] == list(range(len(turns))), "a living one is left alone"
        own = await two.topics.control(alive.welcome.session_id)
        assert {one.capture_id for one in own if isinstance(one, r.SessionHeld)} == {"two"}
        assert own[-1].reason == "bye"


async def test_a_process_that_is_started_again_ends_what_was_its_own() -> None:
    async with answered_topics() as topics:
        settings = {"instance_id": "one", "capture_resume_grace_s": 0.3, "capture_hold_interval_s": 60}
        async with running_capture(topics=topics, **settings) as first:
            session = await StreamClient(first.url).__aenter__()
            await turns_until(session, 1)
            await first.crash()
            session.abort()
        async with running_capture(topics=topics, **settings):
            ended = (await until_ended(topics, session.welcome.session_id))[-1]
        assert (ended.reason, ended.capture_epoch) == ("client_gone", 1)


async def test_the_last_turns_of_a_session_that_said_goodbye_come_from_another_process() -> None:
    async with two_captures() as (one, two):
        topics = two.topics
        async with StreamClient(one.url) as session:
            sid = session.welcome.session_id
            seen = await turns_until(session, 2)
            topics.answering = False
            await session.bye()
            records = await until_ended(topics, sid)
            await one.crash()
            session.abort()
            move_to(session, two)
            await session.resume()
            for frame in (await accepted_frames(topics, sid)).values():
                await topics.send(turn_for(frame))
            seen += await all_turns(session)
        assert session.ended == client.Ended(reason="bye", ticks=records[-1].ticks)
        assert [turn.tick for turn in seen] == list(range(records[-1].ticks))
        assert await topics.control(sid) == records, "nothing is said twice"


async def test_a_process_reads_beyond_its_shares_what_it_took_over() -> None:
    shares = {name: share_of(PARTITIONS, 2, name) for name in ("one", "two")}
    assert not shares["one"] & shares["two"], "else this test shows nothing"
    async with two_captures(capture_share=2) as (one, two):
        async with StreamClient(one.url) as session, StreamClient(two.url) as beside:
            assert partition_of(session.welcome.session_id, PARTITIONS) in shares["one"]
            listening = asyncio.create_task(all_turns(beside))
            seen = await turns_until(session, 2)
            await one.crash()
            session.abort()
            move_to(session, two)
            await session.resume()
            seen += await turns_until(session, 12)
            await session.bye()
            seen += await all_turns(session)
            await beside.bye()
            turns = await listening
        assert [turn.tick for turn in seen] == list(range(len(seen)))
        assert [turn.tick for turn in turns] == list(range(len(turns)))


async def test_a_change_that_was_in_no_frame_yet_is_in_the_next() -> None:
    async with two_captures() as (one, two), StreamClient(one.url) as session:
        sid = session.welcome.session_id
        await turns_until(session, 1)
        await one.crash()
        session.abort()
        next_ms = max(f.timestamp_ms for f in await two.topics.frames(sid)) + 200
        config = r.SessionConfig(instructions="in rhyme")
        producer = await two.topics.log.producer("one")
        await producer.send(
            SESSION_CONTROL.name,
            sid.encode(),
            codec.encode(r.SessionUpdated(session_id=sid, timestamp_ms=next_ms, config=config)),
            partition=partition_of(sid, PARTITIONS),
            timestamp_ms=next_ms,
        )
        move_to(session, two)
        await session.resume()
        await turns_until(session, 4)
        frames = await accepted_frames(two.topics, sid)
        at = (next_ms - session.welcome.start_ms) // 200
        (event,) = frames[at].events
        assert (event.name, event.data["instructions"]) == ("session.updated", "in rhyme")
        assert (await two.topics.control(sid))[-1].config == config


async def test_garbage_at_the_end_of_the_control_topic_keeps_nobody_waiting() -> None:
    async with answered_topics() as topics:
        async with running_capture(topics=topics, instance_id="one") as one:
            session = await StreamClient(one.url).__aenter__()
            seen = await turns_until(session, 1)
            await one.crash()
            session.abort()
        sid = session.welcome.session_id
        await topics.send_raw(SESSION_CONTROL.name, sid, session.welcome.start_ms, b"\xc1")
        async with running_capture(topics=topics, instance_id="two") as two:
            move_to(session, two)
            await session.resume()
            await session.bye()
            seen += await all_turns(session)
        assert [turn.tick for turn in seen] == list(range(len(seen)))


async def test_a_recording_goes_on_where_its_frames_end() -> None:
    pcm = np.random.default_rng(3).integers(1, 20_000, 16_000 * 6, dtype=np.int16).tobytes()
    async with two_captures() as (one, two):
        async with StreamClient(one.url, pace="file") as session:
            sid = session.welcome.session_id
            await session.play_fast(pcm[: 16_000 * 4])
            seen = await turns_until(session, 8)
            await one.crash()
            session.abort()
            move_to(session, two)
            welcome = await session.resume()
            await session.play_fast(pcm[welcome.next_tick * 6_400 :])
            await session.bye()
            seen += await all_turns(session)
        frames = await accepted_frames(two.topics, sid)
        assert [turn.tick for turn in seen] == sorted(frames) == list(range(len(seen)))
        assert b"".join(frames[n].audio for n in sorted(frames))[: len(pcm)] == pcm, "sample for sample"


async def test_a_process_that_stops_may_leave_its_sessions_to_another() -> None:
    async with two_captures(capture_stop="hand_over") as (one, two):
        async with StreamClient([one.url, two.url], persistent=True) as session:
            sid = session.welcome.session_id
            seen = await turns_until(session, 2)
            listening = asyncio.create_task(turns_until(session, 9))
            await one.stop()
            seen += await listening
            await session.bye()
            seen += await all_turns(session)
        assert [turn.tick for turn in seen] == list(range(len(seen)))
        assert session.resumes == 1
        assert [type(one).__name__ for one in await two.topics.control(sid)] == [
            "SessionStarted",
            "SessionHeld",
            "SessionEnded",
        ]


async def test_frames_of_both_never_leave_a_hole_in_the_log() -> None:
    """Every tick of every session once, whoever cut it: many at a time, moved while they stream."""
    async with two_captures() as (one, two):

        async def moved(number: int) -> tuple[str, list[client.Turn]]:
            async with StreamClient([one.url, two.url], persistent=True) as session:
                seen = await turns_until(session, 2 + number % 3)
                session.abort()
                move_to(session, two, one)
                seen += await turns_until(session, seen[-1].tick + 5)
                await session.bye()
                return session.welcome.session_id, seen + await all_turns(session)

        for sid, turns in await asyncio.gather(*(moved(number) for number in range(12))):
            assert [turn.tick for turn in turns] == list(range(len(turns)))
            assert sorted(await accepted_frames(two.topics, sid)) == list(range(len(turns)))
