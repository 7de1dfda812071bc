"""Compares a run with the recording, field by field of every turn, to the byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from infra.replay.recorded import Input, Recorded
from infra.replay.rerun import Rerun
from schemas import codec
from schemas import records as r

# Who made a turn, in which assignment, and where its input lay: the worker's, not the model's.
NOT_COMPARED = frozenset({"epoch", "input_offset"})
COMPARED = tuple(name for name in r.InteractionTurn.__struct_fields__ if name not in NOT_COMPARED)
ENCODED = tuple(name for name in r.EncodedFrame.__struct_fields__ if name != "input_offset")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a run first differs: ``where`` is a topic, ``was`` and ``now`` are short renderings."""

    tick: int
    where: str
    field: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"tick {self.tick}: {self.where}.{self.field} was {self.was}, is {self.now}"


@dataclass(slots=True)
class Comparison:
    """``turns`` and ``tasks`` and ``frames`` count what was compared; ``differing`` are ticks with a difference."""

    turns: int = 0
    tasks: int = 0
    frames: int = 0
    differing: set[int] = field(default_factory=set)
    first: Difference | None = None

    @property
    def identical(self) -> bool:
        return self.first is None

    def differs(self, difference: Difference) -> None:
        self.differing.add(difference.tick)
        if self.first is None or difference.tick < self.first.tick:
            self.first = difference


def compare_turns(recorded: Recorded, rerun: Rerun, comparison: Comparison) -> None:
    """Every turn that the model made again, and the background's records that follow from it."""
    for tick in rerun.compared:
        was, now = recorded.turns[tick], rerun.turns[tick]
        comparison.turns += 1
        for name in _differing(was, now, COMPARED):
            comparison.differs(_difference(tick, "interaction.turns", name, was, now))
            break
    _compare_tasks(recorded, rerun, comparison)


def compare_frames(
    inputs: Mapping[int, Input], encoded: Mapping[int, r.EncodedFrame], ticks: Sequence[int], comparison: Comparison
) -> None:
    """Encoded frames, embeddings bit by bit."""
    for tick in ticks:
        was, now = inputs[tick].frame, encoded[tick]
        comparison.frames += 1
        for name in _differing(was, now, ENCODED):
            comparison.differs(_difference(tick, "encoder.frames", name, was, now))
            break


def _compare_tasks(recorded: Recorded, rerun: Rerun, comparison: Comparison) -> None:
    """What was asked of the background. The log may hold a record twice (it is sent again when a worker dies before its
    commit) or, near its begin, not any more; a worker that was restored knows the last minutes' transcript only."""
    whole = recorded.turns[0].epoch if 0 in rerun.turns and rerun.compared[:1] == [0] else None
    for tick in rerun.compared:
        for now in rerun.sides.get(tick, ()):
            copies = [w for w in recorded.tasks if type(w) is type(now) and w.task_id == now.task_id]
            if not copies:
                continue
            comparison.tasks += 1
            told_all = recorded.turns[tick].epoch == whole
            if not any(_plain(was, told_all) == _plain(now, told_all) for was in copies):
                was = copies[0]
                names = _differing(was, now, was.__struct_fields__)
                comparison.differs(_difference(tick, "background.tasks", names[0], was, now))


def _plain(record: r.BackgroundTask | r.BackgroundCancel, told_all: bool) -> bytes:
    if isinstance(record, r.BackgroundTask) and not told_all:
        record = msgspec.structs.replace(record, context=msgspec.structs.replace(record.context, entries=[]))
    return codec.encode(record)


def _differing(was: msgspec.Struct, now: msgspec.Struct, names: Sequence[str]) -> list[str]:
    return [name for name in names if _bytes(getattr(was, name)) != _bytes(getattr(now, name))]


def _bytes(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def _difference(tick: int, where: str, name: str, was: msgspec.Struct, now: msgspec.Struct) -> Difference:
    before, after = getattr(was, name), getattr(now, name)
    return Difference(tick, where, name, _shown(before, after), _shown(after, before))


def _shown(value: object, other: object) -> str:
    if isinstance(value, bytes):
        pairs = enumerate(zip(value, other, strict=False)) if isinstance(other, bytes) else iter(())
        at = next((n for n, (a, b) in pairs if a != b), min(len(value), len(other) if isinstance(other, bytes) else 0))
        return f"{len(value)} bytes (from byte {at}: {value[at : at + 8].hex() or 'none'})"
    text = repr(value)
    return text if len(text) <= 160 else text[:159] + "…"
