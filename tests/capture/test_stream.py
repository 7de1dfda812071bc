"""``/v1/stream`` over real sockets: records in the log by identity and content, turns at the client."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from infra.client import Disconnected, Refusal, StreamClient
from schemas import client
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, DEAD_LETTERS, INTERACTION_TURNS
from tests.capture.conftest import Running, running_capture, turn_for


def noise(ms: int, rate_hz: int = 16_000) -> bytes:
    return np.random.default_rng(5).integers(1_000, 20_000, rate_hz * ms // 1000, dtype=np.int16).tobytes()


async def all_turns(session: StreamClient) -> list[client.Turn]:
    return [turn async for turn in session.turns()]


async def turns_until(session: StreamClient, tick: int) -> list[client.Turn]:
    turns = []
    async for turn in session.turns():
        turns.append(turn)
        if turn.tick >= tick:
            break
    return turns


async def test_a_session_from_hello_to_ended(capture: Running) -> None:
    pcm = noise(1_000)
    config = r.SessionConfig(seed=11, instructions="be brief")
    async with StreamClient(capture.url, config=config) as session:
        playing = asyncio.create_task(session.play(pcm))
        await session.send(client.Text(text="good evening"))
        await session.send(client.Event(name="clicked", data={"x": 1}))
        await playing
        await session.bye()
        turns = await all_turns(session)
    welcome, frames = session.welcome, await capture.topics.frames(session.welcome.session_id)
    count = len(frames)
    assert [f.tick for f in frames] == list(range(count))
    assert [f.timestamp_ms for f in frames] == [welcome.start_ms + 200 * n for n in range(count)]
    assert [f.final for f in frames] == [False] * (count - 1) + [True]
    audio = b"".join(f.audio for f in frames)
    assert pcm in audio, "not a sample missing or changed"
    assert "".join(f.text for f in frames) == "good evening"
    assert [e.name for f in frames for e in f.events] == ["session.started", "clicked"]
    assert frames[0].events[0].data["seed"] == 11
    assert [t.tick for t in turns] == list(range(count))
    assert [t.text for t in turns] == [f" t{n}" for n in range(count)]
    assert [t.gap_ms for t in turns] == [f.gap_ms for f in frames]
    assert session.ended == client.Ended(reason="bye", ticks=count)
    started, ended = await capture.topics.control(welcome.session_id)
    assert (started.timestamp_ms, started.config, started.capture_id) == (welcome.start_ms, config, "test")
    assert 0 <= started.phase_ms <= 211
    assert (ended.timestamp_ms, ended.ticks, ended.reason) == (welcome.start_ms + 200 * count, count, "bye")


async def test_frames_come_every_tick_also_when_nothing_arrives(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        turns = await turns_until(session, 5)
        ends = [turn.frame_end_ms for turn in turns]
        frames = await capture.topics.frames(session.welcome.session_id)
    assert all(frame.gap_ms == 200 and not any(frame.audio) for frame in frames[:6])
    assert np.diff(ends) == pytest.approx(200.0, abs=5.0), "by the clock, not by arrivals"


async def test_many_sessions_are_kept_apart(capture: Running) -> None:
    async def one(number: int) -> None:
        async with StreamClient(capture.url) as session:
            await session.play(np.full(9_600, number + 1, "<i2").tobytes())
            await session.bye()
            turns = await all_turns(session)
        frames = await capture.topics.frames(session.welcome.session_id)
        assert [t.tick for t in turns] == list(range(len(frames)))
        heard = {sample for f in frames for sample in np.unique(np.frombuffer(f.audio, "<i2")).tolist()}
        assert heard - {0} == {number + 1}

    await asyncio.gather(*(one(number) for number in range(20)))


async def test_a_session_s_config_can_change(capture: Running) -> None:
    async with StreamClient(capture.url, config=r.SessionConfig(voice="ada")) as session:
        await turns_until(session, 0)
        await session.send(client.Event(name="session.update", data={"config": {"instructions": "in rhyme"}}))
        await turns_until(session, 3)
        await session.bye()
        await all_turns(session)
    updated = [e for f in await capture.topics.frames(session.welcome.session_id) for e in f.events][1]
    assert updated.name == "session.updated"
    assert (updated.data["voice"], updated.data["instructions"]) == ("ada", "in rhyme")
    records = await capture.topics.control(session.welcome.session_id)
    assert [type(one).__name__ for one in records] == ["SessionStarted", "SessionUpdated", "SessionEnded"]
    assert records[1].config == r.SessionConfig(voice="ada", instructions="in rhyme")


async def test_a_file_sets_the_pace_itself(capture: Running) -> None:
    pcm = noise(20_000)
    began = asyncio.get_running_loop().time()
    async with StreamClient(capture.url, pace="file") as session:

        async def send() -> None:
            await session.play_fast(pcm, chunk_ms=130)
            await session.bye()

        sending = asyncio.create_task(send())
        turns = await all_turns(session)
        await sending
    assert asyncio.get_running_loop().time() - began < 20, "faster than it lasts"
    frames = await capture.topics.frames(session.welcome.session_id)
    assert b"".join(f.audio for f in frames)[: len(pcm)] == pcm
    assert [t.tick for t in turns] == [f.tick for f in frames] == list(range(len(frames)))
    assert all(f.gap_ms == 0 for f in frames[:100])


async def test_a_file_never_runs_far_ahead_of_its_turns(capture: Running) -> None:
    capture.topics.answering = False
    async with StreamClient(capture.url, pace="file") as session:
        sending = asyncio.create_task(session.play_fast(noise(10_000)))
        await capture.topics.until_frames(session.welcome.session_id, 16)
        await asyncio.sleep(0.3)  # time enough for more, if it did not wait
        frames = await capture.topics.frames(session.welcome.session_id)
        assert len(frames) == 16
        capture.topics.answering = True
        for frame in frames:
            await capture.topics.send(turn_for(frame))
        await turns_until(session, 40)
        await sending


async def test_duplicates_and_fenced_turns_do_not_reach_the_client(capture: Running) -> None:
    capture.topics.answering = False
    async with StreamClient(capture.url) as session:
        frames = await capture.topics.until_frames(session.welcome.session_id, 4)
        for tick, epoch in ((0, 2), (0, 2), (0, 3), (1, 2), (2, 3), (1, 3), (3, 3)):
            turn = turn_for(frames[tick], epoch=epoch, text=f"{tick}e{epoch}")
            await capture.topics.send(turn)
        turns = await turns_until(session, 3)
    assert [turn.text for turn in turns] == ["0e2", "1e3", "2e3", "3e3"]


async def test_results_reach_their_session_only(capture: Running) -> None:
    async with StreamClient(capture.url) as one, StreamClient(capture.url) as other:
        at = one.welcome.start_ms
        record = r.BackgroundResult(
            session_id=one.welcome.session_id,
            timestamp_ms=at,
            task_id="task-1",
            seq=0,
            kind=r.ResultKind.FINAL,
            text="42",
        )
        await capture.topics.send(record)
        async for message in one.messages():
            if isinstance(message, client.Result):
                break
        assert message == client.Result(task_id="task-1", seq=0, kind="final", timestamp_ms=at, text="42")
        async for message in other.messages():
            assert not isinstance(message, client.Result)
            if isinstance(message, client.Turn) and message.tick == 3:
                break


async def test_an_undecodable_turn_goes_to_dead_letters_and_disturbs_nobody(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        sid, at = session.welcome.session_id, session.welcome.start_ms
        for topic in (INTERACTION_TURNS, BACKGROUND_RESULTS):
            await capture.topics.send_raw(topic.name, sid, at, b"\xc1 nonsense")
        turns = await turns_until(session, 4)
    assert [turn.tick for turn in turns] == [0, 1, 2, 3, 4]
    letters = await dead_letters(capture)
    assert sorted(letter.topic for letter in letters) == [BACKGROUND_RESULTS.name, INTERACTION_TURNS.name]
    assert all(letter.value == b"\xc1 nonsense" and letter.service == "capture-test" for letter in letters)


async def dead_letters(capture: Running) -> list[r.DeadLetter]:
    from schemas import codec
    from shared.log.api import TopicPartition

    consumer = await capture.topics.log.consumer(client_id="test")
    consumer.assign({TopicPartition(DEAD_LETTERS.name, 0): 0})
    found = await consumer.get_batch(timeout_ms=1000, max_records=100)
    return [codec.decode(DEAD_LETTERS, record.value) for records in found.values() for record in records]


# --- coming back


async def test_who_vanishes_may_come_back_and_misses_nothing(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        seen = await turns_until(session, 2)
        session.abort()
        await capture.topics.until_frames(session.welcome.session_id, 6)
        welcome = await session.resume()
        assert welcome.resumed
        assert welcome.session_id == session.welcome.session_id
        assert welcome.start_ms == session.welcome.start_ms
        seen += await turns_until(session, 9)
        await session.bye()
        seen += await all_turns(session)
    assert [turn.tick for turn in seen] == list(range(len(seen)))
    started, held, ended = await capture.topics.control(session.welcome.session_id)
    assert isinstance(started, r.SessionStarted)
    assert isinstance(held, r.SessionHeld), "the process made sure that the session is still its own"
    assert (held.capture_epoch, held.resume_hash) == (0, started.resume_hash)
    assert isinstance(ended, r.SessionEnded)


async def test_who_vanishes_for_good_ends_after_the_grace(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        await session.play(noise(300))
        session.abort()
    sid = session.welcome.session_id
    control = await capture.topics.until_control(sid, 2)
    frames = await capture.topics.frames(sid)
    assert (control[1].reason, control[1].ticks) == ("client_gone", len(frames))
    assert [f.tick for f in frames] == list(range(len(frames)))
    assert 6 <= len(frames) <= 10, "gap frames for the second that it is waited for"
    assert frames[-1].final
    with pytest.raises(Refusal, match="unknown_session"):
        await session.resume()


async def test_a_session_can_t_be_stolen(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        thief = StreamClient(capture.url)
        thief._welcome = client.Welcome(
            session_id=session.welcome.session_id,
            start_ms=0,
            frame_ms=200,
            input_rate_hz=16_000,
            output_rate_hz=24_000,
            resume_token=session.welcome.resume_token[:-1] + "x",
        )
        with pytest.raises(Refusal, match="unknown_session"):
            await thief.resume()
        assert [turn.tick for turn in await turns_until(session, 2)] == [0, 1, 2]


async def test_a_second_connection_replaces_the_first(capture: Running) -> None:
    async with StreamClient(capture.url) as session:
        await turns_until(session, 1)
        second = StreamClient(capture.url)
        second._welcome, second.last_tick = session.welcome, session.last_tick
        await second.resume()
        with pytest.raises(Refusal, match="replaced"):
            await all_turns(session)
        turns = await turns_until(second, 4)
        await second.close()
    assert [turn.tick for turn in turns] == [2, 3, 4]


# --- limits, the end


async def test_at_capacity_new_sessions_are_refused_with_a_hint() -> None:
    async with (
        running_capture(capture_max_sessions=2) as capture,
        StreamClient(capture.url) as one,
        StreamClient(capture.url),
    ):
        with pytest.raises(Refusal) as refused:
            await StreamClient(capture.url).__aenter__()
        assert refused.value.error.code == "at_capacity"
        assert refused.value.error.retry_after_ms > 0
        await one.bye()
        await all_turns(one)
        async with StreamClient(capture.url) as three:
            await turns_until(three, 0)


async def test_stopping_ends_sessions_with_a_word() -> None:
    async with running_capture() as capture, StreamClient(capture.url) as session:
        await turns_until(session, 1)
        stopping = asyncio.create_task(capture.stop())
        turns = await all_turns(session)
        await stopping
        assert session.ended is not None
        assert session.ended.reason == "server_stopping"
        assert turns[-1].final
        control = await capture.topics.control(session.welcome.session_id)
        assert control[-1].reason == "server_stopping"
        with pytest.raises(OSError):
            await StreamClient(capture.url).__aenter__()


async def test_a_process_reads_only_its_share_and_mints_ids_into_it() -> None:
    from schemas.partitioning import partition_of
    from services.capture.worker import share_of
    from tests.capture.conftest import PARTITIONS

    async with running_capture(capture_share=2) as capture:
        shares = share_of(PARTITIONS, 2, "test")
        assert len(shares) == 2
        for _ in range(6):
            async with StreamClient(capture.url) as session:
                assert partition_of(session.welcome.session_id, PARTITIONS) in shares
                await turns_until(session, 0)


async def test_a_client_that_reads_nothing_is_closed_and_the_session_waits_for_it(capture: Running) -> None:
    """Turns of a megabyte a second, unread: bounded, then closed; a session beside it is undisturbed."""
    big = "x" * 150_000
    async with StreamClient(capture.url) as slow, StreamClient(capture.url) as beside:
        slow_id = slow.welcome.session_id
        capture.topics.make_turn = lambda frame: turn_for(frame, text=big if frame.session_id == slow_id else "t")
        slow._connected().transport.pause_reading()
        turns = await turns_until(beside, 60)
        assert [turn.tick for turn in turns] == list(range(61))
        slow._connected().transport.resume_reading()
        with pytest.raises((Refusal, Disconnected)):
            await all_turns(slow)
        with pytest.raises(Refusal, match="unknown_session"):
            await slow.resume()
