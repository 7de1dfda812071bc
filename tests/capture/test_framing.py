"""One frame a tick, whatever arrives and however it is cut: properties of the framer and the jitter buffer."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from schemas.client import MAX_JPEG_BYTES
from schemas.records import CaptureFrame, SessionConfig
from schemas.ticks import INPUT_SAMPLES
from services.capture.framing import MAX_IMAGES_PER_FRAME, Framer, Refused
from services.capture.jpeg import BadJpeg, jpeg_size

START_MS = 1_700_000_000_000


def framer(rate_hz: int = 16_000, *, realtime: bool = True, **config: object) -> Framer:
    return Framer("s-1", START_MS, rate_hz, SessionConfig(**config), realtime=realtime)


def noise(ms: int, rate_hz: int = 16_000, seed: int = 1) -> bytes:
    """Never zero, so that silence that was filled in can be told from it."""
    values = np.random.default_rng(seed).integers(1_000, 20_000, rate_hz * ms // 1000, dtype=np.int16)
    return values.tobytes()


def jpeg(width: int = 64, height: int = 48, **options: object) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (width, height), (200, 30, 30)).save(out, "JPEG", **options)
    return out.getvalue()


def heard(frames: list[CaptureFrame]) -> bytes:
    """The audio of some frames without what was filled in."""
    values = np.frombuffer(b"".join(frame.audio for frame in frames), dtype="<i2")
    return values[values != 0].tobytes()


# --- identity


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(0, 9_600).map(lambda n: b"\x01\x00" * n),
            st.text(min_size=1, max_size=20),
        ),
        max_size=60,
    )
)
def test_always_one_frame_a_tick(steps: list[bytes | str | None]) -> None:
    one = framer()
    frames = []
    texts = []
    for step in steps:
        if step is None:
            frames.append(one.cut())
        elif isinstance(step, bytes):
            one.push_audio(step)
        else:
            try:
                one.push_text(step)
                texts.append(step)
            except Refused as refused:
                assert refused.code == "too_much_text"
    frames += [one.cut(), one.cut(final=True)]
    assert [f.tick for f in frames] == list(range(len(frames)))
    assert [f.timestamp_ms for f in frames] == [START_MS + 200 * f.tick for f in frames]
    assert all(len(f.audio) == INPUT_SAMPLES * 2 for f in frames)
    assert all(0 <= f.gap_ms <= 200 for f in frames)
    assert "\n".join(f.text for f in frames if f.text) == "\n".join(texts)
    assert [f.final for f in frames] == [False] * (len(frames) - 1) + [True]


def test_the_first_frame_carries_the_configuration() -> None:
    first = framer(seed=9, instructions="be brief").cut()
    assert first.events[0].name == "session.started"
    assert first.events[0].data == {
        "seed": 9,
        "instructions": "be brief",
        "language": "en",
        "voice": "default",
        "video": False,
    }
    assert first.gap_ms == 200


# --- audio


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=8),
    rate_hz=st.sampled_from([8_000, 16_000, 24_000, 44_100, 48_000]),
)
def test_a_file_gives_the_same_frames_however_it_is_cut(sizes: list[int], rate_hz: int) -> None:
    pcm = noise(900, rate_hz)

    def frames(chunk_sizes: list[int]) -> list[CaptureFrame]:
        one, out, at, turn = framer(rate_hz, realtime=False), [], 0, 0
        while at < len(pcm):
            size = 2 * chunk_sizes[turn % len(chunk_sizes)]
            one.push_audio(pcm[at : at + size])
            at, turn = at + size, turn + 1
            while one.frame_waiting:
                out.append(one.cut())
        one.drain()
        while not one.drained:
            out.append(one.cut())
        return [*out, one.cut(final=True)]

    assert frames(sizes) == frames([len(pcm)])


def test_a_file_s_audio_comes_out_unchanged() -> None:
    pcm = noise(700)
    one = framer(realtime=False)
    one.push_audio(pcm)
    one.drain()
    frames = [one.cut() for _ in range(3)] + [one.cut(final=True)]
    assert b"".join(f.audio for f in frames)[: len(pcm)] == pcm
    assert [f.gap_ms for f in frames] == [0, 0, 0, 100]


@pytest.mark.parametrize("chunk_ms", [10, 20, 40, 100, 200])
@pytest.mark.parametrize("phase_ms", [0, 7, 13])
def test_a_steady_client_is_heard_whole(chunk_ms: int, phase_ms: int) -> None:
    """Chunks come when they are complete, at any phase against the cuts: one gap at most, at the begin."""
    pcm, one, frames = noise(6_000), framer(), []
    arrivals = [(phase_ms + chunk_ms * (n + 1), n) for n in range(6_000 // chunk_ms)]
    for tick in range(29):
        while arrivals and arrivals[0][0] <= 200 * (tick + 1):
            n = arrivals.pop(0)[1]
            one.push_audio(pcm[n * chunk_ms * 32 : (n + 1) * chunk_ms * 32])
        frames.append(one.cut())
    assert all(frame.gap_ms == 0 for frame in frames[2:])
    assert sum(frame.gap_ms for frame in frames) <= 260
    assert pcm.startswith(heard(frames)), "not a sample is missing, doubled or changed"
    assert not one.counts


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=240, max_size=240))
def test_jitter_of_60_ms_settles_without_loss(delays_ms: list[int]) -> None:
    """Every 20 ms chunk late by up to 60 ms (in order, as TCP has it): after the first second hardly a gap."""
    pcm = noise(4_800)
    arrivals, last = [], 0
    for n, delay in enumerate(delays_ms):
        last = max(last, (n + 1) * 20 + delay)
        arrivals.append((last, n))
    one, frames = framer(), []
    for tick in range(24):
        while arrivals and arrivals[0][0] <= 200 * (tick + 1):
            n = arrivals.pop(0)[1]
            one.push_audio(pcm[n * 640 : (n + 1) * 640])
        frames.append(one.cut())
    assert sum(frame.gap_ms for frame in frames) <= 300
    assert not one.counts


def test_a_stall_leaves_gaps_then_drops_what_is_late_and_goes_on() -> None:
    pcm, one = noise(10_000), framer()
    frames = []
    for tick in range(50):
        stalled = 10 <= tick < 25
        if tick == 25:  # everything that was held up comes at once
            one.push_audio(pcm[10 * 6400 : 26 * 6400])
        elif not stalled:
            one.push_audio(pcm[tick * 6400 : (tick + 1) * 6400])
        frames.append(one.cut())
    assert [f.gap_ms for f in frames[11:24]] == [200] * 13
    assert all(f.gap_ms == 0 for f in frames[26:])
    assert one.counts["late_audio"] >= 2_000
    assert one.counts["overrun"] == 0
    newest = frames[-1].audio
    assert pcm.find(newest) / 6400 > 47.5, "it is live again, a chunk behind, not three seconds"


def test_twice_real_time_is_bounded_and_counted() -> None:
    one = framer()
    for _tick in range(100):
        for _ in range(4):
            one.push_audio(noise(100))
        one.cut()
    sent_ms, played_ms = 40_000, 20_000
    assert sent_ms - played_ms - 1_000 <= one.counts["overrun"] <= sent_ms - played_ms
    assert len(one._audio) <= 16_000, "less than a second is kept"


@pytest.mark.parametrize("drift", [-0.002, -0.0005, 0.0005, 0.002])
def test_a_client_s_clock_that_drifts_is_followed(drift: float) -> None:
    """A minute at a rate that is off: hardly a gap, nothing dropped, no growing delay."""
    one, sent, frames = framer(), 0, []
    for tick in range(300):
        while sent * 20 * (1 - drift) <= 200 * (tick + 1) - 20:
            one.push_audio(noise(20, seed=sent))
            sent += 1
        frames.append(one.cut())
    assert sum(f.gap_ms for f in frames[2:]) <= 60, "at most once, when the chunks' grid passes the cuts'"
    assert not one.counts
    assert len(one._audio) <= 100 * 16


def test_half_a_sample_is_refused_and_the_next_chunk_taken() -> None:
    one = framer()
    with pytest.raises(Refused, match="3201 bytes are not whole PCM16 samples") as refused:
        one.push_audio(b"\x01" * 3201)
    assert refused.value.code == "odd_audio"
    one.push_audio(noise(200))
    assert one.cut().gap_ms < 200


# --- pictures


def test_pictures_are_checked_and_bounded() -> None:
    one = framer(video=True)
    for offset in (10, 150, 190):
        one.push_image(jpeg(), offset)
    first, second = one.cut(), one.cut()
    assert [image.offset_ms for image in first.images] == [10, 150]
    assert len(first.images) == MAX_IMAGES_PER_FRAME
    assert one.counts["image_dropped"] == 1
    assert second.images == []


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "bad_image", "not a JPEG"),
        (b"", "bad_image", "not a JPEG"),
        (jpeg()[:-10], "bad_image", "truncated"),
        (b"\xff\xd8\xff\xd9", "bad_image", "no start-of-frame"),
        (b"\xff\xd8" + bytes(20) + b"\xff\xd9", "bad_image", "header is broken"),
        (jpeg(4_200, 8), "bad_image", "4200x8 pixels"),
        (b"\xff\xd8" + bytes(MAX_JPEG_BYTES), "image_too_large", f"at most {MAX_JPEG_BYTES}"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, code: str, says: str) -> None:
    one = framer(video=True)
    with pytest.raises(Refused, match=says) as refused:
        one.push_image(data, 0)
    assert refused.value.code == code
    assert one.cut().images == []


def test_video_must_be_asked_for() -> None:
    with pytest.raises(Refused, match=r"config\.video") as refused:
        framer().push_image(jpeg(), 0)
    assert refused.value.code == "video_off"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 5}, {"exif": b"Exif\x00\x00" + bytes(300)}])
def test_size_is_read_from_the_header(options: dict[str, object]) -> None:
    assert jpeg_size(jpeg(123, 45, **options)) == (123, 45)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_broken_header_is_an_error_never_a_crash(junk: bytes, at: int) -> None:
    whole = jpeg()
    try:
        width, height = jpeg_size(whole[:at] + junk + whole[at:])
        assert width > 0
        assert height > 0
    except BadJpeg:
        pass


# --- text, events, configuration


def test_text_that_does_not_fit_waits() -> None:
    one = framer()
    for text in ("a" * 3000, "b" * 3000, "c"):
        one.push_text(text)
    assert [one.cut().text for _ in range(3)] == ["a" * 3000, "b" * 3000 + "\nc", ""]
    with pytest.raises(Refused, match="4097 characters"):
        one.push_text("x" * 4097)


def test_events_are_bounded_and_names_reserved() -> None:
    one = framer()
    one.push_event("clicked", {"x": 1})
    with pytest.raises(Refused, match="session"):
        one.push_event("session.started", {})
    with pytest.raises(Refused, match="16384"):
        one.push_event("big", {"x": "y" * 20_000})
    assert [e.name for e in one.cut().events] == ["session.started", "clicked"]


def test_an_update_changes_only_what_it_names() -> None:
    one = framer(seed=3, voice="ada")
    one.cut()
    assert one.update({"instructions": "short"}) == SessionConfig(seed=3, voice="ada", instructions="short")
    event = one.cut().events[0]
    assert (event.name, event.data["instructions"], event.data["voice"]) == ("session.updated", "short", "ada")
    for bad in (None, [], {"seed": 4}, {"video": "yes"}, {"instructions": "x" * 20_000}):
        with pytest.raises(Refused) as refused:
            one.update(bad)
        assert refused.value.code == "bad_config"
    assert one.cut().events == []


def test_resampled_audio_keeps_its_pitch_across_frames() -> None:
    rate_hz, hz = 48_000, 500
    t = np.arange(rate_hz * 2) / rate_hz
    pcm = (8_000 * np.sin(2 * math.pi * hz * t)).astype("<i2").tobytes()
    one, frames = framer(rate_hz), []
    for tick in range(9):
        one.push_audio(pcm[tick * 19_200 : (tick + 1) * 19_200])
        frames.append(one.cut())
    wave = np.frombuffer(b"".join(f.audio for f in frames[2:]), dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    peak_hz = np.argmax(spectrum) * 16_000 / len(wave)
    assert abs(peak_hz - hz) < 3
    assert np.abs(np.diff(wave)).max() < 2_000, "no click between frames"
