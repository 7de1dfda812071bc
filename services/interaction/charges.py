"""A partition in a worker's charge: followed, or owned; and how following one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import codec
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, ENCODER_FRAMES, INTERACTION_TURNS
from shared.fencing import TurnFence
from shared.log.api import Consumer, Log, LogRecord, TopicPartition
from shared.log.reading import read_span, resume_offsets

TOPICS = (ENCODER_FRAMES, BACKGROUND_RESULTS, INTERACTION_TURNS)
TAIL = 200  # last turns of a partition that are searched for its newest epoch


@dataclass(slots=True)
class Charge:
    """One partition. ``epoch`` is that of its newest claim, ``owned`` says that the claim is ours.

    By topic: ``starts``, where following begins; ``ends``, where the topic ended then; ``positions``, one past the last
    record taken.
    """

    partition: int
    starts: dict[str, int]
    ends: dict[str, int]
    epoch: int = 0
    owned: bool = False
    positions: dict[str, int] = field(default_factory=dict)

    @property
    def fresh_from(self) -> int:
        """The first frame that came after we began to follow."""
        return self.ends[ENCODER_FRAMES.name]

    @property
    def results_position(self) -> int:
        return self.positions.get(BACKGROUND_RESULTS.name, self.starts[BACKGROUND_RESULTS.name])

    @property
    def caught_up(self) -> bool:
        """Whether all that was there when we began has been taken."""
        return all(self.positions.get(topic, self.starts[topic]) >= end for topic, end in self.ends.items())

    def took(self, record: LogRecord) -> None:
        self.positions[record.topic] = record.offset + 1


async def begin(log: Log, partitions: Sequence[int], *, group: str, client_id: str) -> list[Charge]:
    """Find out where to follow partitions from: their frames since the group's commit, turns and results from now on.

    What lies before that is read when a session needs it. Raises ``LogUnavailable``.
    """
    consumer = await log.consumer(client_id=client_id, group=group)
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
