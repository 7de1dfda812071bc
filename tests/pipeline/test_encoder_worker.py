"""Capture frames in, one encoded frame a tick out; the same bits through crashes and gaps as offline."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from schemas import records as r
from schemas.topics import CAPTURE_FRAMES, DEAD_LETTERS, ENCODER_FRAMES
from services.encoder import dmel
from tests.pipeline.rig import START_MS, D, capture_frame, memory_rig, new_encoder, publish, publish_raw, read_all


def offline(session: str, ticks: int, seed: int = 0) -> np.ndarray:
    """Embeddings ``[ticks, 4, d]`` of the whole stream in one go."""
    encoder, tail = new_encoder(), dmel.new_tails(1)
    out = []
    for tick in range(ticks):
        pcm = np.frombuffer(capture_frame(session, tick, seed=seed).audio, "<i2")[None]
        codes, tail = dmel.encode(pcm, tail)
        out.append(encoder.encode(codes, [None], [""])[0][1])
    return np.stack(out)


def audio_of(frame: r.EncodedFrame) -> np.ndarray:
    return np.frombuffer(frame.embeddings, np.float16).reshape(-1, D)[:4]


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), (shade, 10, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


async def test_batched_streams_equal_offline_bit_for_bit() -> None:
    sessions = {f"s{i}": i for i in range(5)}
    frames = [capture_frame(s, k, seed=i) for k in range(9) for s, i in sessions.items()]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish(rig.log, CAPTURE_FRAMES, frames)
        encoded = await read_all(rig.log, ENCODER_FRAMES, 45)
    for session, seed in sessions.items():
        own = [f for f in encoded if f.session_id == session]
        assert [f.tick for f in own] == list(range(9))
        assert [f.timestamp_ms for f in own] == [START_MS + 200 * k for k in range(9)]
        np.testing.assert_array_equal(np.stack([audio_of(f) for f in own]), offline(session, 9, seed))
        assert all(f.d == D and f.kinds == bytes(4) and f.encoder_version == "enc-test" for f in own)


@pytest.mark.parametrize("cut", [1, 3, 8])
async def test_a_crash_changes_no_bit(cut: int) -> None:
    frames = [
        capture_frame("s", k, images=[r.Image(jpeg=jpeg(20 * k), offset_ms=0)] if k % 2 else []) for k in range(12)
    ]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish(rig.log, CAPTURE_FRAMES, frames)
        wanted = await read_all(rig.log, ENCODER_FRAMES, 12)
    async with memory_rig() as rig:
        await rig.encoder("encoder-0")
        await publish(rig.log, CAPTURE_FRAMES, frames[:cut])
        await read_all(rig.log, ENCODER_FRAMES, cut)
        await rig.crash("encoder-0")
        await publish(rig.log, CAPTURE_FRAMES, frames[cut:])
        await rig.encoder("encoder-1")
        got = await read_all(rig.log, ENCODER_FRAMES, 12)
    first = {}
    for frame in got:
        first.setdefault(frame.tick, frame)  # what was not committed is encoded again: identity makes that harmless
    assert [first[k].embeddings for k in range(12)] == [f.embeddings for f in wanted]
    assert [first[k].kinds for k in range(12)] == [f.kinds for f in wanted]


async def test_typed_text_and_pictures_become_tokens_and_events_pass() -> None:
    event = r.ClientEvent(name="session.started", data={"seed": 3})
    frames = [
        capture_frame("s", 0, events=[event]),
        capture_frame("s", 1, text="hello there"),
        capture_frame("s", 2, images=[r.Image(jpeg=jpeg(0), offset_ms=0), r.Image(jpeg=jpeg(200), offset_ms=100)]),
        capture_frame("s", 3, gap_ms=120, final=True),
    ]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish(rig.log, CAPTURE_FRAMES, frames)
        encoded = await read_all(rig.log, ENCODER_FRAMES, 4)
    assert encoded[0].events == [event]
    assert encoded[1].kinds == bytes([0, 0, 0, 0, 2])
    assert encoded[1].text == "hello there"
    assert encoded[2].kinds == bytes([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    assert (encoded[3].gap_ms, encoded[3].final) == (120, True)
    assert [f.input_offset for f in encoded] == [0, 1, 2, 3]


async def test_bad_frames_are_dead_letters_and_their_ticks_gaps() -> None:
    frames = [
        capture_frame("s", 0),
        capture_frame("s", 1, audio=b"odd"),
        capture_frame("s", 2, images=[r.Image(jpeg=b"\xff\xd8 not a picture", offset_ms=0)]),
        capture_frame("s", 3),
    ]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish_raw(rig.log, CAPTURE_FRAMES, "s", b"\xc1")
        await publish(rig.log, CAPTURE_FRAMES, frames)
        encoded = await read_all(rig.log, ENCODER_FRAMES, 4)
        letters = await read_all(rig.log, DEAD_LETTERS, 3)
    assert [f.tick for f in encoded] == [0, 1, 2, 3]
    assert [f.gap_ms for f in encoded] == [0, 200, 0, 0]
    assert encoded[2].kinds == bytes(4)
    errors = " ".join(letter.error for letter in letters)
    assert "3 bytes of audio" in errors
    assert "picture:" in errors
    assert len(letters) == 3


async def test_a_missing_tick_is_encoded_as_silence_after_a_short_wait() -> None:
    frames = [capture_frame("s", k, final=k == 9) for k in range(10) if k != 4]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish(rig.log, CAPTURE_FRAMES, frames)
        encoded = await read_all(rig.log, ENCODER_FRAMES, 10)
    assert [f.tick for f in encoded] == list(range(10))
    assert [f.gap_ms for f in encoded] == [0, 0, 0, 0, 200, 0, 0, 0, 0, 0]
    assert encoded[4].timestamp_ms == START_MS + 800


async def test_frames_of_a_capture_that_lost_the_session_are_fenced() -> None:
    """A paused capture comes back: what it cuts then is of an older epoch, whatever its ticks."""
    ours = [capture_frame("s", k, seed=1, capture_epoch=1, final=k == 11) for k in range(4, 12)]
    theirs = [capture_frame("s", k, seed=2, final=k == 9) for k in range(5, 10)]
    frames = [*(capture_frame("s", k) for k in range(4)), *ours[:3], *theirs[:3], *ours[3:], *theirs[3:]]
    async with memory_rig() as rig:
        await rig.encoder()
        await publish(rig.log, CAPTURE_FRAMES, frames)
        encoded = await read_all(rig.log, ENCODER_FRAMES, 12)
        await publish(rig.log, CAPTURE_FRAMES, [capture_frame("t", 0)])  # what came after the end is behind us then
        encoded = await read_all(rig.log, ENCODER_FRAMES, 13, done=lambda got: any(f.session_id == "t" for f in got))
    own = [f for f in encoded if f.session_id == "s"]
    assert [(f.tick, f.final) for f in own] == [(k, k == 11) for k in range(12)]
    used = {frames[f.input_offset].capture_epoch for f in own[4:]}
    assert used == {1}


@pytest.mark.parametrize("first", [0, 2])
async def test_a_restarted_encoder_knows_which_capture_holds_a_session(first: int) -> None:
    """The first record that it is given may be one of the process that lost the session."""
    before = [capture_frame("s", k) for k in range(4)] + [capture_frame("s", k, capture_epoch=1) for k in range(4, 20)]
    stale = [capture_frame("s", k, seed=2) for k in range(6, 6 + first)]
    after = [capture_frame("s", k, capture_epoch=1, final=k == 24) for k in range(20, 25)]
    async with memory_rig() as rig:
        await rig.encoder("encoder-0")
        await publish(rig.log, CAPTURE_FRAMES, before)
        await read_all(rig.log, ENCODER_FRAMES, 20)
        await rig.stop("encoder-0")
        await publish(rig.log, CAPTURE_FRAMES, stale + after)
        await rig.encoder("encoder-1")
        encoded = await read_all(rig.log, ENCODER_FRAMES, 25, done=lambda got: got[-1].final)
    assert [f.tick for f in encoded] == list(range(25)), "none twice, none missing"
    assert all(f.gap_ms == 0 for f in encoded)
