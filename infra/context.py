"""The shared context, from outside: ``python -m infra.context rebuild | show SESSION``.

``rebuild`` writes every family anew from the log, by the folds of the services that own them. The services do the same
for their live sessions when Redis has lost what they wrote; this is for what no running service knows any more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.replay.find import CLIENT_ID, Listed, sessions
from schemas import codec
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, INTERACTION_TURNS, Topic
from services.background.notes import Notebook
from services.interaction.session import Session
from shared.clock import Clock, SystemClock
from shared.context import (
    CONFIG,
    CURSOR,
    FAMILIES,
    TRANSCRIPT,
    ContextUnavailable,
    Cursor,
    SharedContext,
    Transcript,
    WriteBehind,
)
from shared.fencing import TurnFence
from shared.log.api import Log, LogError, TopicPartition
from shared.log.kafka import KafkaLog
from shared.log.kafka_settings import KafkaSettings
from shared.log.reading import read_since
from shared.settings import ServiceSettings, load

MAX_VALUES = 1_000_000


@dataclass(slots=True)
class _Folded:
    """One session as its records tell it. Turns come in order per session; fenced and second ones are passed over."""

    session: Session
    tick: int = -1
    turn: r.InteractionTurn | None = None

    def take(self, turn: r.InteractionTurn) -> None:
        if turn.epoch >= self.session.epoch_seen and turn.tick > self.tick:
            self.tick, self.turn = turn.tick, turn
            self.session.fold(turn)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    sessions: int
    values: int


async def rebuild(
    log: Log, context: SharedContext, clock: Clock, *, ended: bool = False, overwrite: bool = False
) -> Rebuilt:
    """Write every family of the live sessions (``ended``: of all that the log still knows) from the log.

    A value that is there is newer than the log was a moment ago, and stays unless ``overwrite``.

    Raises:
        LogUnavailable, LogError: the log can't be read.
        ContextUnavailable: Redis can't be written.
    """
    wanted = {one.session_id: one for one in await sessions(log) if ended or not one.ended}
    notes = WriteBehind(context, clock, capacity=MAX_VALUES, missing_only=not overwrite)
    await _Folding(log, wanted, notes).run()
    values = len(notes)
    if not await notes.drain():
        raise ContextUnavailable(f"Redis took {values - len(notes)} of {values} values, then no more")
    return Rebuilt(len(wanted), values)


@dataclass(slots=True)
class _Folding:
    log: Log
    wanted: Mapping[str, Listed]
    notes: WriteBehind
    folded: dict[str, _Folded] = field(default_factory=dict)

    async def run(self) -> None:
        notebook = Notebook(self.notes)
        for session_id, listed in self.wanted.items():
            if listed.config is not None:
                self.notes.put(CONFIG, session_id, listed.config)
        for turn in await self._read(INTERACTION_TURNS):
            self.folded.setdefault(turn.session_id, _Folded(Session(turn.session_id, 0))).take(turn)
        for topic in (BACKGROUND_TASKS, BACKGROUND_RESULTS):
            for record in await self._read(topic):
                notebook.took(record)
        for session_id, one in self.folded.items():
            if one.turn is not None:
                turn = one.turn
                cursor = Cursor(tick=turn.tick, timestamp_ms=turn.timestamp_ms, epoch=turn.epoch)
                self.notes.put(TRANSCRIPT, session_id, Transcript(entries=list(one.session.transcript)))
                self.notes.put(CURSOR, session_id, cursor)

    async def _read(self, topic: Topic) -> list[Any]:
        """The wanted sessions' records of a topic, decoded, in order per partition."""
        since: dict[TopicPartition, int] = {}
        for one in self.wanted.values():
            source = TopicPartition(topic.name, one.partition)
            since[source] = min(since.get(source, one.start_ms), one.start_ms)
        found: list[Any] = []
        fence = TurnFence()
        async for chunk in read_since(self.log, since, client_id=CLIENT_ID):
            for record in chunk:
                session_id = (record.key or b"").decode("utf-8", "replace").rpartition(":")[0]
                if topic is not INTERACTION_TURNS and session_id not in self.wanted:
                    continue  # turns of others tell who owns the partition
                try:
                    value = codec.decode(topic, record.value)
                except codec.UndecodableRecord:
                    continue
                if isinstance(value, r.TurnsClaimed):
                    fence.claimed(value)
                elif isinstance(value, r.InteractionTurn) and not fence.admits(record.partition, value):
                    continue
                elif value.session_id in self.wanted:
                    found.append(value)
        return found


async def show(context: SharedContext, session_id: str) -> dict[str, Any]:
    """Every family's value of a session, None where there is none. Raises ``ContextUnavailable``."""
    values = {family.name: await context.get(family, session_id) for family in FAMILIES}
    return {name: None if value is None else msgspec.to_builtins(value) for name, value in values.items()}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with status 2 and the usage on a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m infra.context", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    again = commands.add_parser("rebuild", help="write all families of the live sessions from the log")
    again.add_argument("--ended", action="store_true", help="of ended sessions too, as far as the log goes back")
    again.add_argument("--overwrite", action="store_true", help="replace values that are there")
    one = commands.add_parser("show", help="a session's values, as JSON")
    one.add_argument("session")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace, settings: ServiceSettings) -> None:
    context = SharedContext(settings.redis_url)
    log = KafkaLog(KafkaSettings(settings.kafka_bootstrap_servers))
    try:
        if options.command == "show":
            print(json.dumps(await show(context, options.session), indent=2, ensure_ascii=False, default=str))
            return
        done = await rebuild(log, context, SystemClock(), ended=options.ended, overwrite=options.overwrite)
        print(f"{done.values} values of {done.sessions} sessions")
    finally:
        await log.close()
        await context.close()


def main() -> int:
    try:
        asyncio.run(run(parse(sys.argv[1:]), load(ServiceSettings)))
    except (LogError, ContextUnavailable) as error:
        print(f"context: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
