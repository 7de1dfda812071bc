"""A conversation in a file: whole or refused, replayed without a broker, imported beside live sessions."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.replay import file
from infra.replay.__main__ import parse, run_command
from infra.replay.find import read_session, sessions
from infra.replay.importing import PREFIX, AlreadyThere, import_session
from infra.replay.recorded import Recorded
from infra.replay.rerun import follow
from infra.replay.run import same
from schemas import codec
from schemas import records as r
from schemas.topics import (
    BACKGROUND_RESULTS,
    BACKGROUND_TASKS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
)
from services.interaction.echo import EchoModel
from shared.log.api import TopicPartition
from shared.log.memory import MemoryLog
from shared.settings import ServiceSettings
from tests.pipeline.rig import capture_frame, memory_rig, publish, read_all
from tests.pipeline.test_interaction_worker import Delegating
from tests.replay.conversations import ECHOED_TICKS as TICKS
from tests.replay.conversations import RELEASED, echoed, log_of, started

pytestmark = pytest.mark.timeout(120)
@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return asyncio.run(echoed())


@pytest.fixture
def path(recorded: Recorded, tmp_path: Path) -> Path:
    file.write(recorded, tmp_path / "s.mts", release="test")
    return tmp_path / "s.mts"


# --- the file --------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(recorded: Recorded, path: Path) -> None:
    header, again = file.read(path)
    assert again.records == recorded.records
    assert again.turns == recorded.turns
    assert again.results == recorded.results
    assert (header.session_id, header.records, header.answered) == ("s", len(recorded.records), True)
    assert {one.topic for one in again.records} == {
        topic.name
        for topic in (
            SESSION_CONTROL,
            CAPTURE_FRAMES,
            ENCODER_FRAMES,
            INTERACTION_TURNS,
            BACKGROUND_TASKS,
            BACKGROUND_RESULTS,
        )
    }
    assert not [one for one in path.parent.iterdir() if one != path]  # no temporary file stays


def test_fenced_turns_stay_fenced(recorded: Recorded, tmp_path: Path) -> None:
    turn = [one for one in recorded.records if one.topic == INTERACTION_TURNS.name]
    marked = Recorded("s")
    for record in recorded.records:
        marked.add(record, fenced=record is turn[-1])
    file.write(marked, tmp_path / "f.mts", release="test")
    _, again = file.read(tmp_path / "f.mts")
    assert again.fenced == {turn[-1].offset}
    assert TICKS - 1 not in again.turns


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_torn_or_changed_file_is_refused(
    recorded: Recorded, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    file.write(recorded, folder / "s.mts", release="test")
    raw = bytearray((folder / "s.mts").read_bytes())
    if data.draw(st.booleans(), label="torn"):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1), label="length")]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1), label="at")] ^= data.draw(st.integers(1, 255), label="bits")
    (folder / "s.mts").write_bytes(raw)
    with pytest.raises(file.BadFile):
        file.read(folder / "s.mts")


def forged(messages: list[bytes], *, version: int = file.VERSION, level: int = 6) -> bytes:
    """A file with a valid checksum around these messages."""
    content = b"".join(len(one).to_bytes(4, "big") + one for one in messages)
    raw = file.MAGIC + version.to_bytes(2, "big") + zlib.compress(content, level)
    return raw + hashlib.sha256(raw).digest()


HEADER = msgspec.msgpack.encode(file.Header(session_id="s", microturn="x", records=1))


def row(topic: str, value: bytes) -> bytes:
    return msgspec.msgpack.encode([topic, 0, 0, 0, b"s:0", value])


CONTROL = codec.encode(started("s"))
FORGERIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "another version": (lambda: forged([HEADER], version=2), "version 2 of the format, this build reads 1"),
    "no session file": (lambda: b"PK\3\4 something that is long enough to be a file", "not a session file"),
    "a message too large": (
        lambda: _resum(zlib.compress(b"\xff\xff\xff\xff....")),
        "a message of 4294967295 bytes",
    ),
    "a topic that is none": (lambda: forged([HEADER, row("dead.letters", CONTROL)]), "which is no part of a session"),
    "another session": (
        lambda: forged([HEADER, row("session.control", codec.encode(started("t")))]),
        "belongs to another session than s",
    ),
    "too few records": (lambda: forged([HEADER]), "0 records, but 1 were written"),
    "a record from the future": (
        lambda: forged([HEADER, row("session.control", CONTROL.replace(b"\xa1v\x01", b"\xa1v\x63"))]),
        "of a version that this build cannot read",
    ),
    "no header": (lambda: forged([]), "damaged: it ends early"),
    "an evil id": (
        lambda: forged([HEADER.replace(b"\xa1s", b"\xa9../../etc")]),
        "damaged",
    ),
    "no MessagePack": (lambda: forged([HEADER, b"\xc1"]), "damaged"),
    "no zlib": (lambda: _resum(b"not compressed at all"), "damaged"),
}


def _resum(content: bytes) -> bytes:
    raw = file.MAGIC + file.VERSION.to_bytes(2, "big") + content
    return raw + hashlib.sha256(raw).digest()


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_no_session_is_refused_and_says_why(tmp_path: Path, name: str) -> None:
    make, message = FORGERIES[name]
    (tmp_path / "s.mts").write_bytes(make())
    with pytest.raises(file.BadFile, match=message.replace(".", r"\.")):
        file.read(tmp_path / "s.mts")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_CONTENT_BYTES", 10_000_000)
    filler = row("session.control", bytes(900_000))
    (tmp_path / "s.mts").write_bytes(forged([HEADER, *[filler] * 40], level=9))
    assert (tmp_path / "s.mts").stat().st_size < 100_000
    with pytest.raises(file.BadFile):
        file.read(tmp_path / "s.mts")


def test_a_write_that_fails_leaves_nothing(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(file, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        file.write(recorded, tmp_path / "s.mts", release="test")
    assert not list(tmp_path.iterdir())


@pytest.mark.model
async def test_a_file_is_replayed_without_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "echo.mts"
    file.write(await echoed(model=EchoModel()), path, release="test")
    options = parse([str(path), "--out", str(tmp_path / "out")], ServiceSettings())
    nowhere = MemoryLog()  # without a single topic
    assert await run_command(options, nowhere) == 0
    assert f"identical: {TICKS} turns" in capsys.readouterr().out


# --- import ----------------------------------------------------------------------------------------------------------


async def test_an_imported_session_is_replayed_beside_live_ones_and_disturbs_nobody(recorded: Recorded) -> None:
    async with memory_rig() as rig:
        await rig.encoder()
        await rig.interaction("interaction-0", Delegating())
        live = [capture_frame("live", k) for k in range(6)]
        await publish(rig.log, CAPTURE_FRAMES, live[:3])
        await read_all(rig.log, INTERACTION_TURNS, 3)
        moved = await import_session(rig.log, recorded)
        await publish(rig.log, CAPTURE_FRAMES, live[3:])
        turns = await read_all(rig.log, INTERACTION_TURNS, 6)
        assert {turn.session_id for turn in turns} == {"live"}
        assert [one.session_id for one in await sessions(rig.log)] == []
        listed = await sessions(rig.log, prefix=PREFIX)
        assert [(one.session_id, one.ticks, one.reason) for one in listed] == [("s", TICKS, "bye")]
        again = await read_session(rig.log, "s", prefix=PREFIX)
        with pytest.raises(AlreadyThere, match="choose another id"):
            await import_session(rig.log, recorded)
    assert {one.value for one in again.records} == {one.value for one in moved.records}
    rerun = follow(Delegating(), again, again.inputs())
    assert rerun.turns == dict(again.turns)
    assert rerun.compared == list(range(TICKS))
    said = [turn.text for turn in again.turns.values()]
    assert said == [turn.text for turn in recorded.turns.values()]
    assert "".join(said).split() == ["It", "is", "Paris"]


@pytest.mark.parametrize("seed", [0, 77])
async def test_a_renamed_session_says_the_same(seed: int) -> None:
    """Its seed may have followed from the old name: then it is written down."""
    recorded = await echoed(config=r.SessionConfig(seed=seed) if seed else None)
    log = await log_of(recorded)
    moved = await import_session(log, recorded, session_id="ticket-4711")
    again = await read_session(log, "ticket-4711", prefix=PREFIX)
    assert again.turns.keys() == recorded.turns.keys()
    assert {t.task_id for t in again.tasks} == {"ticket-4711-3"}
    assert moved.config_at(2**53).seed == (seed or zlib.crc32(b"s"))
    rerun = follow(Delegating(), again, again.inputs())
    assert rerun.turns == dict(again.turns)
    for tick, turn in again.turns.items():
        was = recorded.turns[tick]
        assert (turn.tokens, turn.text, turn.audio) == (was.tokens, was.text, was.audio)


async def test_an_import_that_breaks_off_is_not_listed_and_can_be_repeated(recorded: Recorded) -> None:
    log = await log_of(Recorded("none"))
    half = Recorded.of("s", [one for one in recorded.records if one.topic != SESSION_CONTROL.name])
    await import_session(log, half)  # as far as it got: control records come last
    assert await sessions(log, prefix=PREFIX) == []
    await import_session(log, recorded)
    again = await read_session(log, "s", prefix=PREFIX)
    assert again.ended
    rerun = follow(Delegating(), again, again.inputs())
    assert rerun.turns == dict(again.turns)


async def test_exporting_an_import_gives_the_same_conversation(recorded: Recorded, tmp_path: Path) -> None:
    log = await log_of(recorded)
    await import_session(log, recorded)
    options = parse(["export", "s", str(tmp_path / "again.mts"), "--prefix", PREFIX], ServiceSettings())
    assert await run_command(options, log) == 0
    _, again = file.read(tmp_path / "again.mts")
    assert [turn.text for turn in again.turns.values()] == [turn.text for turn in recorded.turns.values()]


def test_an_import_into_live_topics_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["import", "x.mts", "--prefix", ""], ServiceSettings())
    assert "live readers" in capsys.readouterr().err


async def test_live_topics_are_as_they_were(recorded: Recorded) -> None:
    log = await log_of(recorded)
    before = await _ends(log)
    await import_session(log, recorded)
    assert await _ends(log) == before


async def _ends(log: MemoryLog) -> dict[TopicPartition, int]:
    consumer = await log.consumer(client_id="t")
    names = [topic.name for topic in (CAPTURE_FRAMES, ENCODER_FRAMES, INTERACTION_TURNS, SESSION_CONTROL)]
    return await consumer.end_offsets([TopicPartition(name, p) for name in names for p in range(4)])


@pytest.mark.model
async def test_identical_is_said_of_an_import_too(recorded: Recorded) -> None:
    log = await log_of(recorded)
    await import_session(log, recorded)
    verdict = await same(await read_session(log, "s", prefix=PREFIX), RELEASED, "encoder")
    # ``Delegating`` calls itself echo and is not: what it said and echo would not is found.
    assert verdict.report["first_difference"]["tick"] == 3
