"""A session as one file, to be sent with a bug report and replayed without a broker.

Layout, integers big endian::

    8 bytes   magic  89 'M' 'T' 'S' 0d 0a 1a 0a   (a transfer as text breaks it, visibly)
    2 bytes   version of the format: 1
    …         zlib stream of messages, each a 4-byte length and that many bytes of MessagePack:
              a header map, then one array a record: [topic, partition, offset, timestamp_ms, key, value, fenced]
    32 bytes  SHA-256 of everything before

A record's value is the bytes that lay in the log; ``fenced`` marks turns that do not count. Nothing in a file is ever
executed, and sizes are bounded before memory is given to them. The file holds what the client's microphone and camera
sent: treat it as that.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from infra.replay.recorded import SESSION_TOPICS, Recorded
from schemas.records import SessionId
from schemas.topics import INTERACTION_TURNS, MAX_RECORD_BYTES
from shared.log.api import LogRecord

MAGIC = b"\x89MTS\r\n\x1a\n"
VERSION = 1
SUFFIX = ".mts"
MAX_CONTENT_BYTES = 4 * 1024**3
_MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 65_536
_CHUNK = 1 << 20
_DIGEST_BYTES = 32
_TOPICS = {topic.name for topic in SESSION_TOPICS}


class BadFile(ValueError):
    """Not a session file, or not a whole one, or one of another version; the message says which."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """``answered`` says that the session had its last turn when it was exported."""

    session_id: SessionId
    microturn: str
    models: list[str] = []
    encoders: list[str] = []
    answered: bool = False
    records: int


class _Row(msgspec.Struct, frozen=True, array_like=True):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    fenced: bool = False


def write(recorded: Recorded, path: Path, *, release: str) -> Header:
    """Write the session's records; the file appears whole or not at all. ``release`` is this software's version."""
    header = Header(
        session_id=recorded.session_id,
        microturn=release,
        models=recorded.models,
        encoders=recorded.encoders,
        answered=recorded.answered,
        records=len(recorded.records),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            _write(out, header, recorded)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return header


def _write(out: BinaryIO, header: Header, recorded: Recorded) -> None:
    digest, packer, encoder = hashlib.sha256(), zlib.compressobj(6), msgspec.msgpack.Encoder()

    def put(data: bytes) -> None:
        digest.update(data)
        out.write(data)

    def message(value: msgspec.Struct) -> None:
        raw = encoder.encode(value)
        put(packer.compress(len(raw).to_bytes(4, "big") + raw))

    put(MAGIC + VERSION.to_bytes(2, "big"))
    message(header)
    for one in recorded.records:
        fenced = one.topic == INTERACTION_TURNS.name and one.offset in recorded.fenced
        message(_Row(one.topic, one.partition, one.offset, one.timestamp_ms, one.key, one.value, fenced))
    put(packer.flush())
    out.write(digest.digest())


def read(path: Path) -> tuple[Header, Recorded]:
    """The session in a file.

    Raises:
        BadFile: torn, changed, too large, of an unknown version, or no session file at all.
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        size = _check(path, file)
        messages = _messages(path, file, size)
        try:
            header = msgspec.msgpack.decode(next(messages), type=Header)
            recorded = Recorded(header.session_id)
            _read_records(path, messages, recorded, header.records)
        except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, StopIteration) as error:
            raise BadFile(f"{path}: damaged: {str(error) or 'it ends early'}") from None
    return header, recorded


def _read_records(path: Path, messages: Iterator[bytes], recorded: Recorded, count: int) -> None:
    decoder = msgspec.msgpack.Decoder(_Row)
    for number, raw in enumerate(messages):
        row = decoder.decode(raw)
        if row.topic not in _TOPICS:
            raise BadFile(f"{path}: a record of topic {row.topic!r}, which is no part of a session")
        record = LogRecord(row.topic, row.partition, row.offset, row.timestamp_ms, row.key, row.value)
        recorded.add(record, fenced=row.fenced)
        if len(recorded.records) + recorded.undecodable != number + 1:
            raise BadFile(f"{path}: record {number} belongs to another session than {recorded.session_id}")
    if recorded.undecodable:
        raise BadFile(f"{path}: {recorded.undecodable} records are of a version that this build cannot read")
    if len(recorded.records) != count:
        raise BadFile(f"{path}: {len(recorded.records)} records, but {count} were written")


def _check(path: Path, file: BinaryIO) -> int:
    """Magic, version, checksum; gives the length of what is before the checksum."""
    head = file.read(len(MAGIC) + 2)
    if head[: len(MAGIC)] != MAGIC:
        raise BadFile(f"{path}: not a session file (python -m infra.replay export writes them)")
    version = int.from_bytes(head[len(MAGIC) :], "big")
    if len(head) == len(MAGIC) + 2 and version != VERSION:
        raise BadFile(f"{path}: version {version} of the format, this build reads {VERSION}")
    size = path.stat().st_size - _DIGEST_BYTES
    if size < len(head):
        raise BadFile(f"{path}: torn: {size + _DIGEST_BYTES} bytes are too few")
    digest, left = hashlib.sha256(head), size - len(head)
    while left > 0:
        data = file.read(min(_CHUNK, left))
        digest.update(data)
        left -= len(data)
    if file.read() != digest.digest():
        raise BadFile(f"{path}: torn or changed: its checksum does not fit")
    return size


def _messages(path: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    """Decompress piece by piece, never holding more than a message and a chunk."""
    file.seek(len(MAGIC) + 2)
    left = size - len(MAGIC) - 2
    unpacker, waiting, total = zlib.decompressobj(), bytearray(), 0
    while left > 0 and not unpacker.eof:
        fed = file.read(min(_CHUNK, left))
        left -= len(fed)
        while fed:
            data = unpacker.decompress(fed, _CHUNK)
            fed = unpacker.unconsumed_tail
            total += len(data)
            if total > MAX_CONTENT_BYTES:
                raise BadFile(f"{path}: more than {MAX_CONTENT_BYTES} bytes of content")
            waiting += data
            yield from _whole(path, waiting)
    waiting += unpacker.flush()
    yield from _whole(path, waiting)


def _whole(path: Path, waiting: bytearray) -> Iterator[bytes]:
    """Take the whole messages off the front."""
    at = 0
    while len(waiting) - at >= 4:
        length = int.from_bytes(waiting[at : at + 4], "big")
        if length > _MAX_MESSAGE_BYTES:
            raise BadFile(f"{path}: a message of {length} bytes, at most {_MAX_MESSAGE_BYTES} are read")
        if len(waiting) - at - 4 < length:
            break
        yield bytes(waiting[at + 4 : at + 4 + length])
        at += 4 + length
    del waiting[:at]
