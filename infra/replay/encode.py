"""Encodes a recorded session again from ``capture.frames``, by the encoder's own worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.replay.find import CLIENT_ID
from infra.replay.recorded import Input, Recorded
from schemas import records as r
from schemas.topics import CAPTURE_FRAMES
from services.encoder.worker import LOOK_BACK_TICKS, EncoderWorker
from shared.clock import SystemClock
from shared.fencing import Fence
from shared.log.api import LogRecord
from shared.log.loop import Incoming, Outgoing
from shared.log.memory import MemoryLog


class NothingToEncode(LookupError):
    """The session's captured frames are not there."""


async def encode_again(recorded: Recorded, model_dir: Path) -> dict[int, r.EncodedFrame]:
    """Encoded frames by tick, made by the encoder in ``model_dir`` from what the recorded encoder had taken in.

    Raises:
        NothingToEncode: the log (or file) holds no captured frame of the session.
        FileNotFoundError, ValueError: see ``FrameEncoder.load``.
    """
    from services.encoder.model import FrameEncoder

    chosen = consumed(recorded)
    if not chosen:
        raise NothingToEncode(f"no captured frame of session {recorded.session_id} is left to encode")
    log = MemoryLog()  # stays empty: what a restore would look for there is what we do not have
    await log.create_topics(recorded.partition + 1)
    worker = EncoderWorker(FrameEncoder.load(model_dir), log, SystemClock(), client_id=CLIENT_ID)
    encoded: dict[int, r.EncodedFrame] = {}
    for record, frame in chosen:
        for out in await worker.handle([Incoming(CAPTURE_FRAMES, record, frame)]):
            if isinstance(out, Outgoing):
                encoded[out.value.tick] = out.value
    return encoded


def consumed(recorded: Recorded) -> list[tuple[LogRecord, r.CaptureFrame]]:
    """The captured frames that the recorded encoder made its own from, in order of their ticks.

    A tick that never came, or too late, is left out: the worker gives it up as it did then.
    """
    records = {record.offset: record for record in recorded.records if record.topic == CAPTURE_FRAMES.name}
    used: dict[int, int] = {}
    for frame in recorded.frames.values():
        captured = recorded.capture.get(frame.input_offset)
        if captured is not None and captured.tick == frame.tick:
            used.setdefault(frame.tick, frame.input_offset)
    if not recorded.frames:  # nothing tells which; then the first of each tick
        fence = Fence()
        for offset, captured in recorded.capture.items():
            if fence.admits(captured.capture_epoch):
                used.setdefault(captured.tick, offset)
    return [(records[used[tick]], recorded.capture[used[tick]]) for tick in sorted(used)]


def replaced(inputs: Mapping[int, Input], encoded: Mapping[int, r.EncodedFrame]) -> dict[int, Input]:
    """The inputs of a run with the new frames in place of the recorded ones; what never came still has not come."""
    return {
        tick: given if given.stands_in else Input(encoded[tick], given.offset)
        for tick, given in inputs.items()
        if given.stands_in or tick in encoded
    }


def comparable(inputs: Mapping[int, Input], encoded: Mapping[int, r.EncodedFrame]) -> list[int]:
    """Ticks whose recorded and new frame can be compared: not those that look back beyond what is there."""
    first = min(encoded, default=0)
    begin = 0 if first == 0 else first + LOOK_BACK_TICKS
    return [tick for tick in sorted(inputs) if tick >= begin and tick in encoded and not inputs[tick].stands_in]
