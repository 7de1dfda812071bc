"""The native client protocol of ``/v1/stream``: MessagePack messages over a WebSocket, one tagged map a message.

Client: ``hello`` first, then ``audio``, ``image``, ``text``, ``event``, ``bye`` in any order.
Server: ``welcome`` first, then one ``turn`` a tick in order, ``result`` as background results come, ``notice`` for
what was counted or dropped, ``error`` (fatal when ``fatal``), ``ended`` last.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.records import SessionConfig, TurnEvent

PROTOCOL_VERSION = 1
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
MAX_AUDIO_BYTES = 2 * 48_000 * 2  # two seconds at the highest rate, in one message
MAX_JPEG_BYTES = 262_144
MAX_TEXT_CHARS = 4_096
MAX_MESSAGE_BYTES = 524_288


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """Opens a session. ``pace='file'`` lets the audio set the pace.

    ``session_id`` with the ``resume_token`` of its welcome and ``last_tick``, the last turn received, resumes one.
    """

    v: int = PROTOCOL_VERSION
    rate_hz: int = 16_000
    config: SessionConfig = SessionConfig()
    pace: str = "realtime"  # realtime | file
    token: str = ""
    session_id: str = ""
    resume_token: str = ""
    last_tick: int = -1


class Audio(msgspec.Struct, frozen=True, kw_only=True, tag="audio"):
    """PCM16 little endian mono at the rate of ``hello``, any length up to ``MAX_AUDIO_BYTES``, whole samples."""

    pcm: bytes


class Picture(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """One JPEG (baseline or progressive), at most ``MAX_JPEG_BYTES``; needs ``config.video``."""

    jpeg: bytes


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    text: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """An application's event for the model; ``session.update`` with ``data={'config': …}`` changes the session."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    data: dict[str, Any] = {}


class Bye(msgspec.Struct, frozen=True, kw_only=True, tag="bye"):
    """Ends the session; the turns of all frames sent so far still come, then ``ended``."""


ClientMessage = Hello | Audio | Picture | Text | Event | Bye


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """``start_ms`` is the nominal begin of tick 0 (epoch ms, multiple of 200). ``resume_token`` is a secret.

    ``next_tick`` is the first frame that is not cut yet: what a client of pace ``file`` sends next belongs there.
    """

    v: int = PROTOCOL_VERSION
    session_id: str
    start_ms: int
    frame_ms: int
    input_rate_hz: int
    output_rate_hz: int
    resumed: bool = False
    resume_token: str = ""
    next_tick: int = 0


class Turn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="turn"):
    """One micro-turn's output. ``frame_end_ms`` is the server's wall clock (epoch ms) when its frame was complete."""

    tick: int
    timestamp_ms: int
    frame_end_ms: float
    floor: str
    user: str
    gap_ms: int = 0
    audio: bytes | None = None
    text: str = ""
    user_text: str = ""
    events: list[TurnEvent] = []
    final: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """A step of a background task, for display; the model weaves the text in by itself."""

    task_id: str
    seq: int
    kind: str
    timestamp_ms: int
    text: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="notice"):
    """Something was counted, not lost silently: ``late_audio``, ``overrun``, ``image_dropped``, ``clock_jump``, …"""

    code: str
    message: str
    tick: int = -1
    count: int = 0


class Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="error"):
    """A refusal. When ``fatal`` the socket closes; ``retry_after_ms`` is set when coming back later may help."""

    code: str
    message: str
    fatal: bool = True
    retry_after_ms: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    reason: str
    ticks: int


ServerMessage = Welcome | Turn | Result | Notice | Error | Ended

_encoder = msgspec.msgpack.Encoder()
_client_decoder: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_server_decoder: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    return _encoder.encode(message)


def decode_client(raw: bytes) -> ClientMessage:
    """Raises ``msgspec.DecodeError`` (``ValidationError`` included) with a message fit for the client."""
    return _client_decoder.decode(raw)


def decode_server(raw: bytes) -> ServerMessage:
    return _server_decoder.decode(raw)
