"""What the log says of the same sessions: each tick has one turn that counts, and the client heard that one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from infra.chaos.metrics import Heard
from schemas import client, codec
from schemas.records import InteractionTurn, SessionEnded, TurnsClaimed
from schemas.topics import DEAD_LETTERS, INTERACTION_TURNS, SESSION_CONTROL, TOPICS
from shared.fencing import TurnFence
from shared.log.api import Log, LogRecord, TopicPartition
from shared.log.reading import read_span

READ = (INTERACTION_TURNS, SESSION_CONTROL, DEAD_LETTERS)


@dataclass(slots=True)
class Session:
    """``accepted``: by tick, the digest of the turn that counts; ``fenced`` and ``repeated`` are those that do not."""

    accepted: dict[int, int] = field(default_factory=dict)
    in_order: bool = True
    fenced: int = 0
    repeated: int = 0
    ticks: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Sums over sessions: ``missing`` ticks without a turn, ``unended`` sessions, ``other`` turns at clients that are
    not the log's, ``repeated`` and ``fenced`` records that readers ignore, ``dead`` letters."""

    missing: int
    disordered: int
    unended: int
    other: int
    repeated: int
    fenced: int
    dead: int


def digest(turn: InteractionTurn | client.Turn) -> int:
    """Of what a client gets of a turn."""
    said = (turn.tick, str(turn.floor), str(turn.user), turn.text, turn.user_text, turn.audio, turn.final)
    return zlib.crc32(msgspec.msgpack.encode(said))


async def ends(log: Log) -> dict[TopicPartition, int]:
    """Where the topics that are read here end just now."""
    reader = await log.consumer(client_id="chaos-ledger")
    try:
        sources = [TopicPartition(t.name, p) for t in READ for p in range(await log.partitions(t.name))]
        return await reader.end_offsets(sources)
    finally:
        await reader.close()


async def audit(log: Log, since: Mapping[TopicPartition, int], everybody: Iterable[Heard]) -> Account:
    """Read what was written since then, and compare it with what was heard. Raises ``LogUnavailable``."""
    until = await ends(log)
    records = await read_span(log, since, until, client_id="chaos-ledger")
    return settle(records, everybody)


def settle(records: Iterable[LogRecord], everybody: Iterable[Heard]) -> Account:
    """The account of some records, in order per partition; ``expected`` of the heard is raised to what the log says."""
    heard = {one.session_id: one for one in everybody}
    sessions = {session_id: Session() for session_id in heard}
    dead = 0
    fence = TurnFence()
    for record in records:
        if record.topic == DEAD_LETTERS.name:
            dead += 1
            continue
        try:
            value = codec.decode(TOPICS[record.topic], record.value)
        except codec.UndecodableRecord:
            continue  # a fault's; dead.letters has it
        if isinstance(value, TurnsClaimed):
            fence.claimed(value)
        elif isinstance(value, InteractionTurn):
            admitted = fence.admits(record.partition, value)
            if value.session_id in sessions:
                _take(sessions[value.session_id], value, admitted=admitted)
        elif isinstance(value, SessionEnded) and value.session_id in sessions:
            sessions[value.session_id].ticks = value.ticks
    for session_id, session in sessions.items():
        heard[session_id].expected = max(heard[session_id].expected, session.ticks or 0)
    return _sum(sessions, heard, dead)


def _take(session: Session, turn: InteractionTurn, *, admitted: bool) -> None:
    if not admitted:
        session.fenced += 1
    elif turn.tick in session.accepted:
        session.repeated += 1
    else:
        session.in_order = session.in_order and turn.tick == len(session.accepted)
        session.accepted[turn.tick] = digest(turn)


def _sum(sessions: Mapping[str, Session], heard: Mapping[str, Heard], dead: int) -> Account:
    other = 0
    for session_id, session in sessions.items():
        for tick, crc in zip(heard[session_id].ticks, heard[session_id].digests, strict=True):
            other += session.accepted.get(tick) != crc
    return Account(
        missing=sum(len(set(range(s.ticks or 0)) - s.accepted.keys()) for s in sessions.values()),
        disordered=sum(not s.in_order for s in sessions.values()),
        unended=sum(s.ticks is None for s in sessions.values()),
        other=other,
        repeated=sum(s.repeated for s in sessions.values()),
        fenced=sum(s.fenced for s in sessions.values()),
        dead=dead,
    )
