"""One session as the log has it: every record that belongs to it, decoded, and which of them count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas import codec
from schemas import records as r
from schemas.topics import (
    BACKGROUND_RESULTS,
    BACKGROUND_TASKS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
    SESSION_CONTROL,
    TOPICS,
)
from services.interaction.restore import AcceptedTurns
from services.interaction.session import stand_in
from shared.fencing import Fence
from shared.log.api import LogRecord

# In flow order; what a session consists of.
SESSION_TOPICS = (
    SESSION_CONTROL,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    BACKGROUND_RESULTS,
    INTERACTION_TURNS,
    BACKGROUND_TASKS,
)


Control = r.SessionStarted | r.SessionHeld | r.SessionUpdated | r.SessionEnded


def counts(control: Control, fence: Fence) -> bool:
    """Whether a control record comes from the session's holder; ``fence`` follows the session's records in order."""
    return not isinstance(control, r.SessionHeld | r.SessionEnded) or fence.admits(control.capture_epoch)


@dataclass(frozen=True, slots=True)
class Input:
    """What a tick's turn was made from: the encoded frame, and the offset of the record that brought it.

    ``stands_in`` marks a tick that never came, so that its frame is silence.
    """

    frame: r.EncodedFrame
    offset: int
    stands_in: bool = False


@dataclass(slots=True)
class Recorded:
    """A session's records. Frames are found by their offset, because a record that was written twice (an encoder
    began again) lies there twice and the turn names the one that it was made from.

    ``turns`` are those that count, by tick: the first of each tick that no newer epoch had fenced off. ``fenced`` are
    the offsets of those that do not, ``undecodable`` is how many records this build cannot read.
    """

    session_id: str
    records: list[LogRecord] = field(default_factory=list)
    control: list[Control] = field(default_factory=list)
    capture: dict[int, r.CaptureFrame] = field(default_factory=dict)
    frames: dict[int, r.EncodedFrame] = field(default_factory=dict)
    results: dict[int, r.BackgroundResult] = field(default_factory=dict)
    tasks: list[r.BackgroundTask | r.BackgroundCancel] = field(default_factory=list)
    fenced: set[int] = field(default_factory=set)
    undecodable: int = 0
    _accepted: AcceptedTurns = field(default_factory=AcceptedTurns)
    _holder: Fence = field(default_factory=Fence)

    @classmethod
    def of(cls, session_id: str, records: Iterable[LogRecord]) -> Recorded:
        """From records of this session (others are left out), in order per topic."""
        recorded = cls(session_id)
        for record in records:
            recorded.add(record)
        return recorded

    def add(self, record: LogRecord, *, fenced: bool = False) -> None:
        """Take one record in. Records of one topic must come in the order of their offsets.

        ``fenced``: a turn that does not count, because the partition had a newer owner when it was written.
        """
        try:
            value = codec.decode(TOPICS[record.topic], record.value)
        except codec.UndecodableRecord:
            self.undecodable += 1
            return
        if getattr(value, "session_id", "") != self.session_id:
            return
        self.records.append(record)
        if fenced:
            self.fenced.add(record.offset)
            return
        match value:
            case r.CaptureFrame():
                self.capture[record.offset] = value
            case r.EncodedFrame():
                self.frames[record.offset] = value
            case r.BackgroundResult():
                self.results[record.offset] = value
            case r.BackgroundTask() | r.BackgroundCancel():
                self.tasks.append(value)
            case r.InteractionTurn():
                self._accepted.offer(value)
                if self._accepted.by_tick.get(value.tick) is not value:
                    self.fenced.add(record.offset)
            case _:
                if counts(value, self._holder):
                    self.control.append(value)

    @property
    def turns(self) -> Mapping[int, r.InteractionTurn]:
        return self._accepted.by_tick

    @property
    def ended(self) -> r.SessionEnded | None:
        """How the session ended; None while it runs, or when nobody was there to say so."""
        return next((c for c in self.control if isinstance(c, r.SessionEnded)), None)

    @property
    def answered(self) -> bool:
        """Whether the last frame has its turn, so that no further turn can count."""
        turns = self._accepted.by_tick
        return bool(turns) and next(reversed(turns.values())).final

    @property
    def partition(self) -> int:
        return self.records[0].partition if self.records else 0

    @property
    def models(self) -> list[str]:
        """Names of the models that made the turns, in order of their first."""
        return list(dict.fromkeys(self.turns[tick].model for tick in sorted(self.turns)))

    @property
    def encoders(self) -> list[str]:
        return list(dict.fromkeys(frame.encoder_version for frame in self.frames.values()))

    def config_at(self, timestamp_ms: int) -> r.SessionConfig:
        """The configuration by ``session.control``, for a session whose first frame is gone."""
        config = r.SessionConfig()
        for control in self.control:
            if not isinstance(control, r.SessionEnded) and control.timestamp_ms <= timestamp_ms:
                config = control.config
        return config

    def inputs(self) -> dict[int, Input]:
        """What each turn was made from, by tick; a tick whose frame the log has dropped is not there."""
        inputs: dict[int, Input] = {}
        for tick, turn in sorted(self.turns.items()):
            frame = self.frames.get(turn.input_offset)
            if frame is not None:
                absent = frame.tick != tick
                inputs[tick] = Input(stand_in(frame, tick) if absent else frame, turn.input_offset, absent)
        return inputs

    def missing_turns(self) -> list[int]:
        """Ticks without a turn between the first and the last that has one."""
        ticks = self.turns.keys()
        return [tick for tick in range(min(ticks), max(ticks)) if tick not in ticks] if ticks else []
