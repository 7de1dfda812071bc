"""Records to MessagePack bytes and back, strictly: what does not decode says why, by topic, type and version."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.records import Record
from schemas.topics import MAX_RECORD_BYTES, Topic

SUPPORTED_VERSIONS = frozenset({1})


class UndecodableRecord(ValueError):
    """The bytes are not a record that this topic may carry; the message says what is wrong."""


class UnknownVersion(UndecodableRecord):
    """A well-formed record of a schema version that this build does not know."""


class _Header(msgspec.Struct):
    type: str
    v: int


_encoder = msgspec.msgpack.Encoder()
_header = msgspec.msgpack.Decoder(_Header)
_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}


def encode(record: Record) -> bytes:
    """Plain MessagePack: a map with ``type``, ``v`` and the record's fields; bytes as bin, floats as float64."""
    return _encoder.encode(record)


def decode(topic: Topic, raw: bytes | None) -> Any:
    """Decode and validate one record of ``topic``.

    Raises:
        UnknownVersion: its schema version is not one of ``SUPPORTED_VERSIONS``.
        UndecodableRecord: empty, oversized, no MessagePack, not a record of this topic, or a field out of range.
    """
    if not raw:
        raise UndecodableRecord(f"{topic.name}: empty record")
    if len(raw) > MAX_RECORD_BYTES:
        raise UndecodableRecord(f"{topic.name}: {len(raw)} bytes, more than {MAX_RECORD_BYTES}")
    decoder = _decoders.get(topic.name)
    if decoder is None:
        union: Any = topic.records[0]
        for kind in topic.records[1:]:
            union = union | kind
        decoder = _decoders[topic.name] = msgspec.msgpack.Decoder(union)
    try:
        record = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explain(topic, raw, error) from None
    if record.v not in SUPPORTED_VERSIONS:
        raise _unknown_version(topic, type(record).__name__, record.v)
    return record


def _explain(topic: Topic, raw: bytes, error: Exception) -> UndecodableRecord:
    try:
        header = _header.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UndecodableRecord(f"{topic.name}: {error}")
    if header.v not in SUPPORTED_VERSIONS:
        return _unknown_version(topic, header.type, header.v)
    return UndecodableRecord(f"{topic.name}: {header.type} v{header.v}: {error}")


def _unknown_version(topic: Topic, kind: str, version: int) -> UnknownVersion:
    known = ", ".join(str(v) for v in sorted(SUPPORTED_VERSIONS))
    return UnknownVersion(f"{topic.name}: {kind} has schema version {version}, this build knows {known}")
