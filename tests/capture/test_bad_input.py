"""Bad input over real sockets: a clear error or a counted gap, and a session beside it that notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from PIL import Image as Picture
from prometheus_client import REGISTRY
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from infra.client import Refusal, StreamClient
from infra.client.stream import stream_url
from schemas import client
from schemas import records as r
from services.capture.auth import Doorkeeper, sign
from services.capture.settings import CaptureSettings
from shared.clock import SystemClock
from tests.capture.conftest import Running, running_capture
from tests.capture.test_stream import noise, turns_until


@contextlib.asynccontextmanager
async def undisturbed(capture: Running, ticks: int = 0) -> AsyncIterator[None]:
    """A second session that streams before, during and after the block, for at least ``ticks``: whole, silent."""
    async with StreamClient(capture.url) as session:
        talking = asyncio.create_task(session.play(noise(60_000)))
        seen = [message async for message in _until(session, 2)]
        yield
        last = max(ticks, session.last_tick + 4)
        seen += [message async for message in _until(session, last)]
        talking.cancel()
    assert all(isinstance(message, client.Turn) for message in seen), seen
    turns = [message for message in seen if isinstance(message, client.Turn)]
    assert [turn.tick for turn in turns] == list(range(len(turns)))
    assert sum(turn.gap_ms for turn in turns[1:]) == 0


async def _until(session: StreamClient, tick: int) -> AsyncIterator[client.ServerMessage]:
    async for message in session.messages():
        yield message
        if isinstance(message, client.Turn) and message.tick >= tick:
            return


async def raw_socket(capture: Running, **options: Any) -> ClientConnection:
    return await connect(stream_url(capture.url), compression=None, proxy=None, **options)


async def refused(socket: ClientConnection) -> tuple[client.Error, int]:
    """The fatal error, and the code that the socket is closed with."""
    error: Any = None
    try:
        while True:
            message = client.decode_server(await asyncio.wait_for(socket.recv(decode=False), 5))
            if isinstance(message, client.Error) and message.fatal:
                error = message
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return error, closed.rcvd.code


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


HELLO = {"type": "hello", "v": 1}


BAD_FIRST_MESSAGES: list[tuple[bytes | str, str, str, int]] = [
    (b"\xc1", "bad_message", "not a MessagePack message", 1003),
    (b"", "bad_message", "not a MessagePack message", 1003),
    (b"\x93" * 5_000, "bad_message", "", 1002),
    (msgpack.packb([1, 2]), "bad_message", "", 1002),
    (msgpack.packb({"type": "hullo"}), "bad_message", "hullo", 1002),
    (msgpack.packb({"type": "audio", "pcm": b"\0\0"}), "no_hello", "first message must be hello", 1002),
    (msgpack.packb(HELLO | {"v": 7}), "unsupported_version", "version 7 is not served", 1002),
    (msgpack.packb(HELLO | {"rate_hz": 4_000}), "bad_rate", "4000 Hz is outside 8000..48000", 1008),
    (msgpack.packb(HELLO | {"rate_hz": 96_000}), "bad_rate", "96000 Hz", 1008),
    (msgpack.packb(HELLO | {"rate_hz": "fast"}), "bad_message", "rate_hz", 1002),
    (msgpack.packb(HELLO | {"pace": "slow"}), "bad_pace", "'slow'", 1008),
    (msgpack.packb(HELLO | {"config": {"seed": -1}}), "bad_config", "seed", 1008),
    (msgpack.packb(HELLO | {"session_id": "nobody", "resume_token": "x"}), "unknown_session", "", 1008),
    ("hello", "text_frame", "binary MessagePack", 1003),
]


async def test_a_bad_first_message_is_refused_by_name(capture: Running) -> None:
    async with undisturbed(capture):
        for first, code, says, close_code in BAD_FIRST_MESSAGES:
            socket = await raw_socket(capture)
            await socket.send(first)
            error, closed_with = await refused(socket)
            assert (error.code, closed_with) == (code, close_code), first
            assert says in error.message


async def test_who_says_no_hello_is_sent_away(capture: Running) -> None:
    async with undisturbed(capture):
        error, code = await refused(await raw_socket(capture))
    assert (error.code, code) == ("no_hello", 1008)


async def test_a_hello_too_many(capture: Running) -> None:
    async with undisturbed(capture), StreamClient(capture.url) as session:
        await session.send(client.Hello())
        with pytest.raises(Refusal, match="hello comes once"):
            await turns_until(session, 20)
        await ended(capture, session, "bad_message")


async def ended(capture: Running, session: StreamClient, reason: str) -> None:
    """The session's end is in the log, after whole frames."""
    sid = session.welcome.session_id
    control = await capture.topics.until_control(sid, 2)
    frames = await capture.topics.frames(sid)
    assert (control[-1].reason, control[-1].ticks) == (reason, len(frames))
    assert [f.tick for f in frames] == list(range(len(frames)))


def jpeg(size: int = 64) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (size, size), (10, 200, 30)).save(out, "JPEG")
    return out.getvalue()


REFUSED_MESSAGES = [
    (client.encode(client.Audio(pcm=b"\1" * 3_201)), "odd_audio"),
    (client.encode(client.Picture(jpeg=b"\xff\xd8" + bytes(client.MAX_JPEG_BYTES))), "image_too_large"),
    (client.encode(client.Picture(jpeg=b"GIF89a" + bytes(100))), "bad_image"),
    (msgpack.packb({"type": "text", "text": "x" * 4_097}), "text_too_long"),
    (msgpack.packb({"type": "text"}), "bad_message"),
    (msgpack.packb({"type": "audio", "pcm": "not bytes"}), "bad_message"),
    (msgpack.packb({"type": "event", "name": ""}), "bad_message"),
    (msgpack.packb({"type": "event", "name": "x", "data": {"x": "y" * 20_000}}), "event_too_large"),
    (msgpack.packb({"type": "event", "name": "session.started"}), "reserved_event"),
    (msgpack.packb({"type": "event", "name": "session.update", "data": {"config": 1}}), "bad_config"),
]


async def test_a_message_that_is_refused_costs_only_itself(capture: Running) -> None:
    async with undisturbed(capture):
        await asyncio.gather(*(_refused_but_alive(capture, *case) for case in REFUSED_MESSAGES))


async def _refused_but_alive(capture: Running, message: bytes, code: str) -> None:
    async with StreamClient(capture.url, config=r.SessionConfig(video=True)) as session:
        await session.send_raw(message)
        await session.send(client.Audio(pcm=noise(400)))
        await session.send(client.Picture(jpeg=jpeg()))
        seen = [m async for m in _until(session, 3)]
        errors = [m for m in seen if isinstance(m, client.Error)]
        assert [(e.code, e.fatal) for e in errors] == [(code, False)]
        assert [m.tick for m in seen if isinstance(m, client.Turn)] == [0, 1, 2, 3]
        frames = await capture.topics.frames(session.welcome.session_id)
        assert [image.jpeg for f in frames for image in f.images] == [jpeg()]
        assert sum(200 - f.gap_ms for f in frames) >= 380


async def test_too_many_refused_messages_end_the_session(capture: Running) -> None:
    async with undisturbed(capture), StreamClient(capture.url) as session:
        for _ in range(60):
            await session.send(client.Audio(pcm=b"\1"))
        with pytest.raises(Refusal, match="too_many_errors"):
            await turns_until(session, 20)
        await ended(capture, session, "too_many_errors")


async def test_an_undecodable_message_ends_the_session_with_a_word(capture: Running) -> None:
    deep = msgpack.packb({"type": "event", "name": "x", "data": {"x": 0}})[:-1] + b"\x91" * 100_000 + b"\0"
    junk = (b"\xc1\xc1\xc1", b"\x81\xa4type", client.encode(client.Audio(pcm=noise(20)))[:-5], deep)
    async with undisturbed(capture):
        await asyncio.gather(*(_ended_by(capture, one) for one in junk))


async def _ended_by(capture: Running, junk: bytes) -> None:
    async with StreamClient(capture.url) as session:
        await session.play(noise(300))
        await session.send_raw(junk)
        with pytest.raises(Refusal, match="not a MessagePack message"):
            await turns_until(session, 20)
        await ended(capture, session, "bad_message")


@pytest.mark.parametrize("size", [client.MAX_MESSAGE_BYTES + 1, 3 * client.MAX_MESSAGE_BYTES])
async def test_an_oversized_message_is_refused(capture: Running, size: int) -> None:
    async with undisturbed(capture):
        socket = await raw_socket(capture)
        await socket.send(client.encode(client.Hello()))
        await socket.send(bytes(size))
        error, code = await refused(socket)
    assert code == 1009
    if size < 2 * client.MAX_MESSAGE_BYTES:
        assert error.code == "message_too_large"
        assert f"at most {client.MAX_MESSAGE_BYTES}" in error.message


async def test_a_client_that_stalls_three_seconds_leaves_gaps_and_goes_on(capture: Running) -> None:
    pcm = noise(6_000)
    gaps_before = metric("microturn_gap_seconds_total")
    late_before = metric("microturn_audio_dropped_seconds_total", reason="late_audio")
    async with undisturbed(capture, ticks=30), StreamClient(capture.url) as session:
        await session.play(pcm[:32_000])
        await asyncio.sleep(3.0)
        for start in range(32_000, 4 * 32_000, 3_200):  # what the stall held up, at once
            await session.send(client.Audio(pcm=pcm[start : start + 3_200]))
        await session.play(pcm[4 * 32_000 :])
        await session.bye()
        seen = [m async for m in session.messages()]
    turns = [m for m in seen if isinstance(m, client.Turn)]
    assert [t.tick for t in turns] == list(range(len(turns)))
    assert 2_600 <= sum(t.gap_ms for t in turns[:-1]) <= 3_300
    assert sum(t.gap_ms for t in turns[21:-1]) == 0, "live again"
    notices = [m for m in seen if isinstance(m, client.Notice)]
    assert {n.code for n in notices} <= {"late_audio", "overrun"}
    assert 2_300 <= sum(n.count for n in notices if n.code == "late_audio") <= 3_300
    # The burst and the live audio right behind it may together be a little more than the gap that they fill.
    assert sum(n.count for n in notices if n.code == "overrun") <= 300
    assert metric("microturn_gap_seconds_total") - gaps_before >= 2.6
    assert metric("microturn_audio_dropped_seconds_total", reason="late_audio") - late_before >= 2.3
    frames = await capture.topics.frames(session.welcome.session_id)
    assert [f.tick for f in frames] == list(range(len(frames)))


async def test_a_client_that_sends_twice_real_time_is_cut_down_and_told(capture: Running) -> None:
    async with undisturbed(capture, ticks=20), StreamClient(capture.url) as session:
        for _ in range(30):
            await session.send(client.Audio(pcm=noise(200)))
            await asyncio.sleep(0.1)
        await session.bye()
        seen = [m async for m in session.messages()]
    turns = [m for m in seen if isinstance(m, client.Turn)]
    assert len(turns) <= 20, "three seconds and what was waiting, not six"
    notices = [m for m in seen if isinstance(m, client.Notice)]
    assert {n.code for n in notices} == {"overrun"}
    assert sum(n.count for n in notices) >= 1_800


async def test_pictures_beyond_two_a_frame_are_counted(capture: Running) -> None:
    async with undisturbed(capture), StreamClient(capture.url, config=r.SessionConfig(video=True)) as session:
        for _ in range(5):
            await session.send(client.Picture(jpeg=jpeg()))
        seen = [m async for m in _until(session, 2)]
        frames = await capture.topics.frames(session.welcome.session_id)
    notices = [m for m in seen if isinstance(m, client.Notice)]
    assert [(n.code, n.count) for n in notices] == [("image_dropped", 3)]
    assert [len(f.images) for f in frames][:3] == [2, 0, 0]


async def test_a_wall_clock_that_jumps_moves_no_timestamp() -> None:
    class Jumping(SystemClock):
        offset_ms = 0.0

        def wall_ms(self) -> float:
            return super().wall_ms() + self.offset_ms

    clock = Jumping()
    async with running_capture(clock) as capture, StreamClient(capture.url) as session:
        await turns_until(session, 1)
        clock.offset_ms = -7_200_000.0
        seen = [m async for m in _until(session, 5)]
        frames = await capture.topics.frames(session.welcome.session_id)
    assert [f.timestamp_ms for f in frames] == [session.welcome.start_ms + 200 * n for n in range(len(frames))]
    assert [(m.code, m.count) for m in seen if isinstance(m, client.Notice)] == [("clock_jump", 1)]


# --- who may come in


async def test_tokens_are_asked_for_where_any_are_set() -> None:
    now_s = 4_000_000_000
    secret = "a secret of some length"
    async with running_capture(capture_tokens="alpha, beta", capture_token_secret=secret) as capture:
        for token in ("", "gamma", "alpha,", "alph", sign(secret, 1), sign("another secret of length", now_s), "mt1."):
            with pytest.raises(Refusal, match="bad_token"):
                await StreamClient(capture.url, token=token).__aenter__()
        for token in ("alpha", "beta", sign(secret, now_s)):
            async with StreamClient(capture.url, token=token) as session:
                await turns_until(session, 0)
        socket = await raw_socket(capture, additional_headers={"Authorization": "Bearer beta"})
        await socket.send(client.encode(client.Hello()))
        assert isinstance(client.decode_server(await socket.recv(decode=False)), client.Welcome)
        await socket.close()


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [("{own}", True), ("http://evil.example", False), ("null", False), ("https://app.example", True)],
)
async def test_pages_of_other_sites_are_kept_out(origin: str, admitted: bool) -> None:
    async with running_capture(capture_origins="https://app.example") as capture:
        headers = {"Origin": origin.format(own=capture.url)}
        try:
            socket = await raw_socket(capture, additional_headers=headers)
            await socket.send(client.encode(client.Hello()))
            assert isinstance(client.decode_server(await socket.recv(decode=False)), client.Welcome)
            await socket.close()
            assert admitted
        except Exception as error:
            assert not admitted, error
            assert "403" in str(error)


def test_a_name_that_was_bent_to_this_machine_is_no_key() -> None:
    host = "evil.example:8080"
    assert not Doorkeeper("", "", "").admits_page(f"http://{host}", host)
    assert Doorkeeper("token", "", "").admits_page(f"http://{host}", host)
    for local in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080"):
        assert Doorkeeper("", "", "").admits_page(f"http://{local}", local)


def test_capture_does_not_start_open_to_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "capture.example"):
        with pytest.raises(ValidationError, match="reachable from outside: set CAPTURE_TOKENS or CAPTURE_TOKEN_SECRET"):
            CaptureSettings(capture_host=host)
        assert CaptureSettings(capture_host=host, capture_tokens="t").capture_host == host
    for host in ("127.0.0.1", "::1", "localhost"):
        assert CaptureSettings(capture_host=host).capture_host == host
