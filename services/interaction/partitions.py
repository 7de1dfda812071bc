"""The partitions in a worker's charge: which it follows, which it owns, how following begins, how one is claimed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import codec
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, CLAIM_KEY, ENCODER_FRAMES, INTERACTION_TURNS
from shared.clock import Clock
from shared.fencing import TurnFence
from shared.log.api import Consumer, Log, LogRecord, TopicPartition
from shared.log.loop import Incoming, Outgoing, Output
from shared.log.reading import read_span, resume_offsets
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger

TOPICS = (ENCODER_FRAMES, BACKGROUND_RESULTS, INTERACTION_TURNS)
GROUP = "interaction"
TAIL = 200  # last turns of a partition that are searched for its newest epoch

logger = get_logger(__name__)


class Following(Protocol):
    """The part of the consume loop that changes what is read, and keeps inputs open; see ``ConsumeLoop``."""

    started: asyncio.Event

    async def follow(self, partitions: Mapping[TopicPartition, int | None]) -> None: ...

    async def emit(self, outputs: Sequence[Output]) -> bool: ...

    def defer(self, incoming: Incoming) -> None: ...


@dataclass(slots=True)
class Charge:
    """One partition. ``epoch`` is that of its newest claim, ``owned`` says that the claim is ours.

    By topic: ``starts``, where following begins; ``ends``, where the topic ended then; ``positions``, one past the last
    record taken. ``caught_up_at``: when all that was there in the beginning had been taken, monotonic.
    """

    partition: int
    starts: dict[str, int]
    ends: dict[str, int]
    epoch: int = 0
    owned: bool = False
    caught_up_at: float = float("inf")
    positions: dict[str, int] = field(default_factory=dict)

    @property
    def fresh_from(self) -> int:
        """The first frame that came after we began to follow."""
        return self.ends[ENCODER_FRAMES.name]

    @property
    def results_position(self) -> int:
        return self.positions.get(BACKGROUND_RESULTS.name, self.starts[BACKGROUND_RESULTS.name])

    def took(self, record: LogRecord) -> None:
        self.positions[record.topic] = record.offset + 1

    def look(self, now: float) -> None:
        """Note whether all that was there when we began has been taken by ``now`` (monotonic, s)."""
        behind = any(self.positions.get(topic, self.starts[topic]) < end for topic, end in self.ends.items())
        if self.caught_up_at == float("inf") and not behind:
            self.caught_up_at = now


class Partitions:
    """Tenant of the leases. The worker, reading claims in the log, says which charges are owned."""

    def __init__(
        self, log: Log, clock: Clock, cold: Callable[[], set[int]], *, client_id: str, warm_after_s: float
    ) -> None:
        """``cold`` names partitions with sessions that are not as far as the log."""
        self.charges: dict[int, Charge] = {}
        self.worker_id = f"{client_id}/{secrets.token_hex(4)}"
        """Signs our claims; another one than in our name's earlier lives."""
        self._log = log
        self._clock = clock
        self._cold = cold
        self._client_id = client_id
        self._warm_after_s = warm_after_s
        self._loop: Following | None = None

    def bind(self, loop: Following) -> None:
        self._loop = loop

    @property
    def _bound(self) -> Following:
        if self._loop is None:
            raise RuntimeError("bind the worker to a consume loop first")
        return self._loop

    def owned(self) -> Mapping[int, int]:
        return {p: charge.epoch for p, charge in self.charges.items() if charge.owned}

    def warm(self) -> frozenset[int]:
        now, cold = self._clock.monotonic(), self._cold()
        warm = set()
        for partition, charge in self.charges.items():
            charge.look(now)
            if not charge.owned and charge.caught_up_at <= now - self._warm_after_s and partition not in cold:
                warm.add(partition)
        return frozenset(warm)

    def epoch(self, partition: int) -> int:
        charge = self.charges.get(partition)
        return 0 if charge is None else charge.epoch

    def commits(self, source: TopicPartition) -> bool:
        """Offsets of a partition are its owner's to commit; turns are never resumed from an offset."""
        charge = self.charges.get(source.partition)
        return charge is not None and charge.owned and source.topic != INTERACTION_TURNS.name

    async def follow(self, partitions: frozenset[int]) -> None:
        """See ``Tenant``. Raises ``LogUnavailable``."""
        new = sorted(partitions - self.charges.keys())
        if not new and all(p in partitions or charge.owned for p, charge in self.charges.items()):
            return
        await self._bound.started.wait()
        begun = await retrying(
            lambda: begin(self._log, new, client_id=self._client_id), clock=self._clock, backoff=Backoff()
        )
        for charge in begun:
            self.charges[charge.partition] = charge
        kept = [charge for p, charge in sorted(self.charges.items()) if p in partitions or charge.owned]
        await self._bound.follow({TopicPartition(t.name, c.partition): c.starts[t.name] for c in kept for t in TOPICS})
        logger.info("partitions_followed", partitions=[charge.partition for charge in kept])

    async def claim(self, epochs: Mapping[int, int]) -> None:
        """Claim partitions in their log; each is ours once the claim is read back, unless another one came first."""
        now_ms = int(self._clock.wall_ms())
        claims = [
            r.TurnsClaimed(partition=partition, epoch=epoch, worker=self.worker_id, claimed_at_ms=now_ms)
            for partition, epoch in epochs.items()
        ]
        await self._bound.emit(
            [
                Outgoing(INTERACTION_TURNS, claim, key=CLAIM_KEY, partition=claim.partition, timestamp_ms=now_ms)
                for claim in claims
            ]
        )

    async def superseded(self, partition: int, epoch: int) -> None:
        """Hearsay: the claim itself, in the log, is what counts."""


async def begin(log: Log, partitions: Sequence[int], *, client_id: str) -> list[Charge]:
    """Find out where to follow partitions from: their frames since the group's commit, turns and results from now on.

    What lies before that is read when a session needs it. Raises ``LogUnavailable``.
    """
    if not partitions:
        return []
    consumer = await log.consumer(client_id=client_id, group=GROUP)
    try:
        charges = []
        # Turns first: of a frame that comes after the end found here, the turn comes after the end found before.
        turns = await consumer.end_offsets([TopicPartition(INTERACTION_TURNS.name, p) for p in partitions])
        results = await consumer.end_offsets([TopicPartition(BACKGROUND_RESULTS.name, p) for p in partitions])
        frames = await consumer.end_offsets([TopicPartition(ENCODER_FRAMES.name, p) for p in partitions])
        resume = await resume_offsets(consumer, list(frames))
        for source, start in resume.items():
            ends = {s.topic: end for of in (turns, results, frames) for s, end in of.items() if s[1] == source[1]}
            charges.append(Charge(source.partition, ends | {source.topic: start}, ends))
        fence = await _epochs(log, consumer, turns, client_id)
    finally:
        await consumer.close()
    for charge in charges:
        charge.epoch = fence.epoch(charge.partition)
    return charges


async def _epochs(log: Log, consumer: Consumer, ends: dict[TopicPartition, int], client_id: str) -> TurnFence:
    begins = await consumer.beginning_offsets(list(ends))
    starts = {source: max(begins[source], end - TAIL) for source, end in ends.items()}
    fence = TurnFence()
    for record in await read_span(log, starts, ends, client_id=client_id):
        try:
            value = codec.decode(INTERACTION_TURNS, record.value)
        except codec.UndecodableRecord:
            continue
        if isinstance(value, r.TurnsClaimed):
            fence.claimed(value)
        else:
            fence.admits(record.partition, value)
    return fence
