"""Cuts one client's stream into frames: what arrives between two cuts goes into one ``CaptureFrame``, always one."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from schemas.client import MAX_JPEG_BYTES, MAX_TEXT_CHARS
from schemas.records import CaptureFrame, ClientEvent, Image, SessionConfig
from schemas.ticks import FRAME_MS, INPUT_RATE_HZ, INPUT_SAMPLES
from services.capture.jitter import JitterBuffer
from services.capture.jpeg import BadJpeg, jpeg_size
from shared.audio import AudioError, Resampler

MAX_IMAGES_PER_FRAME = 2
MAX_EVENTS_PER_FRAME = 16
MAX_EVENT_BYTES = 16_384
MAX_WAITING_TEXTS = 8
MAX_INSTRUCTIONS_CHARS = 16_384
_SAMPLES_PER_MS = INPUT_RATE_HZ // 1000
_event_bytes = msgspec.msgpack.Encoder()


class Refused(ValueError):
    """One message of the client was not taken; the session goes on. ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Framer:
    """A session's frames, from tick 0 on. Pure: time comes in as calls of ``cut`` and as offsets.

    Audio is played through a ``JitterBuffer`` (``realtime``) or taken as it comes, exactly (file sources). Pictures
    beyond two a frame are dropped, typed text that does not fit in a frame waits for the next, both within bounds.
    ``counts`` gathers what was dropped, by notice code, until somebody takes it: audio in ms, the rest in pieces.
    """

    def __init__(
        self,
        session_id: str,
        start_ms: int,
        rate_hz: int,
        config: SessionConfig,
        *,
        realtime: bool = True,
        next_tick: int = 0,
        epoch: int = 0,
    ) -> None:
        """``next_tick`` and ``epoch`` of a session that another process began are not 0.

        Raises:
            AudioError: a rate outside 8 to 48 kHz.
            Refused: the configuration is out of bounds.
        """
        check_config(config)
        self.session_id = session_id
        self.start_ms = start_ms
        self.config = config
        self.next_tick = next_tick
        self.epoch = epoch
        self.realtime = realtime
        self.counts: Counter[str] = Counter()
        self._audio = JitterBuffer()
        self._resampler = Resampler(rate_hz)
        self._images: list[Image] = []
        self._texts: deque[str] = deque()
        self._events: list[ClientEvent] = []
        if next_tick == 0:
            self._events.append(ClientEvent(name="session.started", data=_as_dict(config)))
        self._draining = False

    def set_rate(self, rate_hz: int) -> None:
        """The client came back, perhaps with another device. Raises ``AudioError``."""
        if rate_hz != self._resampler.rate_hz:
            self._resampler = Resampler(rate_hz)

    def push_audio(self, pcm: bytes) -> None:
        """PCM16 at the client's rate. Raises ``Refused``: half a sample, nothing taken."""
        try:
            self._audio.push(self._resampler.push(pcm))
        except AudioError as error:
            raise Refused("odd_audio", str(error)) from None

    def push_image(self, jpeg: bytes, offset_ms: int) -> None:
        """A picture, ``offset_ms`` after the current frame's begin (clamped to the frame).

        Raises:
            Refused: video is off, too many bytes, or no JPEG; nothing taken.
        """
        if not self.config.video:
            raise Refused("video_off", "the session was opened without video: set config.video")
        if len(jpeg) > MAX_JPEG_BYTES:
            raise Refused("image_too_large", f"the picture has {len(jpeg)} bytes, at most {MAX_JPEG_BYTES} are served")
        try:
            jpeg_size(jpeg)
        except BadJpeg as error:
            raise Refused("bad_image", str(error)) from None
        if len(self._images) >= MAX_IMAGES_PER_FRAME:
            self.counts["image_dropped"] += 1
            return
        self._images.append(Image(jpeg=jpeg, offset_ms=min(FRAME_MS - 1, max(0, offset_ms))))

    def push_text(self, text: str) -> None:
        """Typed text; waits for a frame with room. Raises ``Refused``: too long, or too much is waiting."""
        if len(text) > MAX_TEXT_CHARS:
            raise Refused("text_too_long", f"the text has {len(text)} characters, at most {MAX_TEXT_CHARS} are served")
        if len(self._texts) >= MAX_WAITING_TEXTS:
            raise Refused("too_much_text", f"{MAX_WAITING_TEXTS} texts wait already: send slower")
        if text:
            self._texts.append(text)

    def push_event(self, name: str, data: dict[str, object]) -> None:
        """An application's event. Raises ``Refused``: a reserved name, too large, or too many for one frame."""
        if name.startswith("session."):
            raise Refused("reserved_event", f"events named session.* are the server's, except session.update: {name}")
        size = len(_event_bytes.encode(data))
        if size > MAX_EVENT_BYTES:
            raise Refused("event_too_large", f"the event has {size} bytes, at most {MAX_EVENT_BYTES} are served")
        if len(self._events) >= MAX_EVENTS_PER_FRAME:
            raise Refused("too_many_events", f"more than {MAX_EVENTS_PER_FRAME} events in one frame: send slower")
        self._events.append(ClientEvent(name=name, data=data))

    def update(self, changes: object) -> SessionConfig:
        """Merge a ``session.update``'s config into the session's; takes effect with the next frame, in order.

        Raises:
            Refused: no map, a wrong type, or a field that can't change (``seed``); nothing taken.
        """
        if not isinstance(changes, dict):
            raise Refused("bad_config", "session.update needs data={'config': {…}}")
        if changes.get("seed", self.config.seed) != self.config.seed:
            raise Refused("bad_config", "the seed of a session can't change")
        try:
            config = msgspec.convert(_as_dict(self.config) | changes, SessionConfig)
            check_config(config)
        except msgspec.ValidationError as error:
            raise Refused("bad_config", f"config: {error}") from None
        if len(self._events) >= MAX_EVENTS_PER_FRAME:
            raise Refused("too_many_events", f"more than {MAX_EVENTS_PER_FRAME} events in one frame: send slower")
        self.config = config
        self.announce_config()
        return config

    def announce_config(self) -> None:
        """The next frame says what the session's configuration is from there on."""
        self._events.append(ClientEvent(name="session.updated", data=_as_dict(self.config)))

    def drain(self) -> None:
        """The client is done: nothing is held back any more."""
        if not self._draining:
            self._draining = True
            self._audio.push(self._resampler.flush())

    @property
    def drained(self) -> bool:
        """Whether the next frame can hold everything that waits."""
        return len(self._audio) <= INPUT_SAMPLES and len(self._texts) <= 1

    @property
    def frame_waiting(self) -> bool:
        """Whether a whole frame of audio waits; what paces file sources."""
        return len(self._audio) >= INPUT_SAMPLES

    @property
    def next_timestamp_ms(self) -> int:
        return self.start_ms + FRAME_MS * self.next_tick

    def cut(self, *, final: bool = False, behind: bool = False) -> CaptureFrame:
        """The next tick's frame. ``behind`` says that later frames are overdue already."""
        if self.realtime:
            taken = self._audio.take(behind=behind, draining=self._draining)
            self._count_audio()
        else:
            taken = self._audio.take_exact()
        frame = CaptureFrame(
            session_id=self.session_id,
            timestamp_ms=self.next_timestamp_ms,
            tick=self.next_tick,
            audio=taken.pcm,
            images=self._images,
            text=self._take_text() if self._texts else "",
            events=self._events,
            gap_ms=-(-taken.gap_samples // _SAMPLES_PER_MS),
            final=final,
            capture_epoch=self.epoch,
        )
        self.next_tick += 1
        self._images, self._events = [], []
        return frame

    def _take_text(self) -> str:
        taken = [self._texts.popleft()]
        length = len(taken[0])
        while self._texts and length + 1 + len(self._texts[0]) <= MAX_TEXT_CHARS:
            taken.append(self._texts.popleft())
            length += 1 + len(taken[-1])
        return "\n".join(taken)

    def _count_audio(self) -> None:
        late, overrun = self._audio.take_dropped()
        if late:
            self.counts["late_audio"] += -(-late // _SAMPLES_PER_MS)
        if overrun:
            self.counts["overrun"] += -(-overrun // _SAMPLES_PER_MS)


def check_config(config: SessionConfig) -> None:
    """Raises ``Refused`` when a field of the configuration is out of bounds."""
    if len(config.instructions) > MAX_INSTRUCTIONS_CHARS:
        raise Refused("bad_config", f"config.instructions is longer than {MAX_INSTRUCTIONS_CHARS} characters")
    for field in ("language", "voice"):
        if len(getattr(config, field)) > 64:
            raise Refused("bad_config", f"config.{field} is longer than 64 characters")
    if not 0 <= config.seed < 2**63:
        raise Refused("bad_config", "config.seed is outside 0..2^63-1")


def _as_dict(config: SessionConfig) -> dict[str, object]:
    return {field: getattr(config, field) for field in config.__struct_fields__}
