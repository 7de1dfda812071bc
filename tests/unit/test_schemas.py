"""Keys, partitions, codec: plain MessagePack, strict on the way in, old bytes keep decoding."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import asyncapi, client, codec
from schemas import records as r
from schemas.partitioning import murmur2, partition_of
from schemas.ticks import TickKey, floor_to_frame, tick_of
from schemas.topics import CAPTURE_FRAMES, MAX_RECORD_BYTES, TOPICS
from tests.unit.examples import EXAMPLES, GOLDENS, topic_of


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.msgpack")), ids=lambda p: p.stem)
def test_goldens_keep_decoding(path) -> None:
    name = path.name.split(".")[0]
    assert codec.decode(topic_of(name), path.read_bytes()) == EXAMPLES[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_record_has_a_golden_and_is_plain_messagepack(name: str) -> None:
    raw = codec.encode(EXAMPLES[name])
    assert (GOLDENS / f"{name}.v{EXAMPLES[name].v}.msgpack").exists()
    plain = msgpack.unpackb(raw, raw=False)
    assert plain["type"] == name.partition("+")[0]
    assert plain["v"] == EXAMPLES[name].v
    assert codec.decode(topic_of(name), msgpack.packb(plain)) == EXAMPLES[name]


def test_binary_stays_binary() -> None:
    plain = msgpack.unpackb(codec.encode(EXAMPLES["CaptureFrame"]), raw=False)
    assert isinstance(plain["audio"], bytes)
    assert isinstance(plain["images"][0]["jpeg"], bytes)


def test_a_topic_carries_only_its_own_records() -> None:
    with pytest.raises(codec.UndecodableRecord, match=r"capture\.frames"):
        codec.decode(CAPTURE_FRAMES, codec.encode(EXAMPLES["InteractionTurn"]))


def test_unknown_fields_are_ignored_and_unknown_versions_named() -> None:
    plain = msgpack.unpackb(codec.encode(EXAMPLES["CaptureFrame"]), raw=False)
    assert codec.decode(CAPTURE_FRAMES, msgpack.packb(plain | {"later": 1})) == EXAMPLES["CaptureFrame"]
    with pytest.raises(codec.UnknownVersion, match="schema version 9, this build knows 1"):
        codec.decode(CAPTURE_FRAMES, msgpack.packb(plain | {"v": 9}))
    with pytest.raises(codec.UnknownVersion):
        codec.decode(CAPTURE_FRAMES, msgpack.packb({"type": "CaptureFrame", "v": 2, "other": True}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp_ms": 201}, "multiple of 200"),
        ({"timestamp_ms": -200}, "timestamp_ms"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": "a:b"}, "session_id"),
        ({"session_id": "x" * 65}, "session_id"),
        ({"tick": -1}, "tick"),
        ({"gap_ms": 201}, "gap_ms"),
        ({"audio": "text"}, "audio"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    plain = msgpack.unpackb(codec.encode(EXAMPLES["CaptureFrame"]), raw=False)
    with pytest.raises(codec.UndecodableRecord, match=message):
        codec.decode(CAPTURE_FRAMES, msgpack.packb(plain | change))


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_codec(raw: bytes) -> None:
    for topic in TOPICS.values():
        try:
            codec.decode(topic, raw)
        except codec.UndecodableRecord as error:
            assert topic.name in str(error)


def test_torn_and_oversized_records_are_refused() -> None:
    raw = codec.encode(EXAMPLES["CaptureFrame"])
    for bad in (None, b"", raw[:-1], raw + b"\x00", raw + bytes(MAX_RECORD_BYTES)):
        with pytest.raises(codec.UndecodableRecord):
            codec.decode(CAPTURE_FRAMES, bad)


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True), st.integers(0, 10**11))
def test_tick_key_round_trip(session_id: str, frames: int) -> None:
    key = TickKey(session_id, frames * 200)
    assert TickKey.decode(key.encode()) == key


@pytest.mark.parametrize("raw", [b"", b"a", b"a:", b":200", b"a:201", b"a:-200", b"a:x"])
def test_bad_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        TickKey.decode(raw)


def test_ticks_of_time() -> None:
    assert floor_to_frame(1_234.9) == 1_200
    assert tick_of(1_800, 1_200) == 3


def test_murmur2_is_kafkas() -> None:
    # Values of org.apache.kafka.common.utils.Utils.murmur2, from Kafka's own UtilsTest, as unsigned.
    cases = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    for data, signed in cases.items():
        assert murmur2(data) == signed & 0xFFFFFFFF


def test_partition_agrees_with_the_kafka_client() -> None:
    from aiokafka.partitioner import DefaultPartitioner

    partitioner = DefaultPartitioner()
    for n in (1, 3, 16, 64):
        for i in range(200):
            session = f"session-{i}"
            everything = list(range(n))
            assert partition_of(session, n) == partitioner(session.encode(), everything, everything)


def test_asyncapi_document_is_current_and_covers_every_topic() -> None:
    assert asyncapi.main(["--check"]) == 0
    document = asyncapi.document()
    assert set(document["channels"]) == set(TOPICS)
    for topic in TOPICS.values():
        for kind in topic.records:
            assert kind.__name__ in document["components"]["messages"]


def test_client_messages_round_trip_and_refuse_nonsense() -> None:
    hello = client.Hello(rate_hz=48_000, config=r.SessionConfig(video=True))
    assert client.decode_client(client.encode(hello)) == hello
    turn = client.Turn(tick=1, timestamp_ms=200, frame_end_ms=400.5, floor="hold", user="silent", audio=b"\0\0")
    assert client.decode_server(client.encode(turn)) == turn
    with pytest.raises(ValueError, match="text"):
        client.decode_client(client.encode(client.Text(text="x" * 5000)))
