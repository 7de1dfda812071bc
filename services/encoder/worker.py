"""The encoder worker: capture frames in, model inputs out, one for every tick of a session without a hole.

State per session is an 800-sample window tail and the last picture, both rebuilt from ``capture.frames`` when a
session turns up in its middle. A tick that never came is encoded as silence, so that everything after this service
sees consecutive ticks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from schemas import codec
from schemas import records as r
from schemas.ticks import FRAME_MS, INPUT_SAMPLES, SAMPLE_BYTES
from schemas.topics import CAPTURE_FRAMES, ENCODER_FRAMES
from services.encoder import dmel, video
from shared import metrics
from shared.clock import Clock
from shared.fencing import Fence
from shared.log.api import Consumer, Log, TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from shared.log.reading import read_since
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger
from shared.ordering import TickOrder, Verdict

if TYPE_CHECKING:
    from services.encoder.model import FrameEncoder

FRAME_BYTES = INPUT_SAMPLES * SAMPLE_BYTES
PICTURE_TICKS = 5  # a picture older than this is no first half of a pair
LOOK_BACK_TICKS = PICTURE_TICKS + 1
REORDER_TICKS = 3
IDLE_S = 900.0
_SILENCE = bytes(FRAME_BYTES)

logger = get_logger(__name__)


@dataclass(slots=True)
class Stream:
    """State of one session."""

    partition: int
    order: TickOrder[tuple[Incoming, r.CaptureFrame]]
    tail: dmel.Pcm = field(default_factory=lambda: dmel.new_tails(1)[0])
    picture: video.Picture | None = None
    picture_tick: int = -1
    last_seen: float = 0.0
    fence: Fence = field(default_factory=Fence)


@dataclass(slots=True)
class Work:
    """One frame in turn; ``problem`` is set when its pictures could not be decoded."""

    stream: Stream
    frame: r.CaptureFrame
    source: Incoming
    problem: str = ""


class EncoderWorker:
    """Handler of the consume loop."""

    def __init__(self, encoder: FrameEncoder, log: Log, clock: Clock, *, client_id: str) -> None:
        self._encoder = encoder
        self._log = log
        self._clock = clock
        self._client_id = client_id
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._streams: dict[str, Stream] = {}
        self._fresh_from: dict[int, int] = {}  # partition -> first offset that came after the assignment
        self._next_offset: dict[int, int] = {}  # partition -> one past the last frame taken
        self._next_sweep = 0.0

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Take partitions over; streams of ones that come back unmoved are kept."""
        ends = await consumer.end_offsets(sorted(partitions))
        for source in partitions:
            if self._next_offset.get(source.partition) != await consumer.committed(source):
                self._forget_partition(source.partition)
            self._fresh_from[source.partition] = ends[source]
        for partition in set(self._next_offset) - {source.partition for source in partitions}:
            self._forget_partition(partition)
        logger.info("partitions_assigned", partitions=sorted(s.partition for s in partitions))

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to save: the log has it."""

    def _forget_partition(self, partition: int) -> None:
        self._next_offset.pop(partition, None)
        for session_id in [s for s, stream in self._streams.items() if stream.partition == partition]:
            del self._streams[session_id]

    # --- a batch ---------------------------------------------------------------------------------------------------

    async def handle(self, batch: Sequence[Incoming]) -> list[Outgoing | InvalidRecord]:
        """Encoded frames for all ticks that are ready. Raises ``LogUnavailable`` when a tail can't be read back."""
        await self._open_unknown(batch)
        queues: dict[str, deque[Work]] = {}
        refused: list[Outgoing | InvalidRecord] = []
        for item in batch:
            self._receive(item, queues, refused)
        encoded = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, queues)
        for item in batch:
            self._next_offset[item.record.partition] = item.record.offset + 1
        self._sweep()
        return [*refused, *encoded]

    def _receive(self, item: Incoming, queues: dict[str, deque[Work]], refused: list[Outgoing | InvalidRecord]) -> None:
        frame: r.CaptureFrame = item.value
        stream = self._streams.get(frame.session_id)
        if stream is None:  # its last frame was in this batch already
            metrics.DUPLICATES_IGNORED.labels("encoder").inc()
            return
        if not stream.fence.admits(frame.capture_epoch):
            metrics.FRAMES_FENCED.inc()
            return
        if len(frame.audio) != FRAME_BYTES:
            # Its place in the session is known, so the tick goes on as a gap and nothing after it has to wait.
            refused.append(InvalidRecord(item, f"{len(frame.audio)} bytes of audio, a frame has {FRAME_BYTES}"))
            frame = msgspec.structs.replace(frame, audio=_SILENCE, gap_ms=FRAME_MS)
        pushed = stream.order.push(frame.tick, (item, frame), last=frame.final)
        if pushed.verdict is Verdict.DUPLICATE:
            metrics.DUPLICATES_IGNORED.labels("encoder").inc()
        queue = queues.setdefault(frame.session_id, deque())
        for tick, arrival in pushed.ready:
            source, ready = arrival or (item, self._silent(frame, tick))
            queue.append(Work(stream, ready, source))
        stream.last_seen = self._clock.monotonic()
        if frame.final:
            self._streams.pop(frame.session_id, None)

    @staticmethod
    def _silent(frame: r.CaptureFrame, tick: int) -> r.CaptureFrame:
        metrics.TICKS_MISSING.labels("encoder").inc()
        return r.CaptureFrame(
            session_id=frame.session_id,
            timestamp_ms=frame.timestamp_ms - (frame.tick - tick) * FRAME_MS,
            tick=tick,
            audio=_SILENCE,
            gap_ms=FRAME_MS,
        )

    # --- off the event loop ----------------------------------------------------------------------------------------

    def _run(self, queues: dict[str, deque[Work]]) -> list[Outgoing | InvalidRecord]:
        out: list[Outgoing | InvalidRecord] = []
        while queues:
            for session_id in [s for s, queue in queues.items() if not queue]:
                del queues[session_id]
            round_ = [queue.popleft() for queue in queues.values()]
            if round_:
                metrics.STEP_SESSIONS.labels("encoder").observe(len(round_))
                with metrics.STEP_SECONDS.labels("encoder").time():
                    self._encode(round_, out)
        return out

    def _encode(self, round_: Sequence[Work], out: list[Outgoing | InvalidRecord]) -> None:
        pcm = np.stack([np.frombuffer(work.frame.audio, "<i2") for work in round_])
        codes, tails = dmel.encode(pcm, np.stack([work.stream.tail for work in round_]))
        patches = [self._look(work) for work in round_]
        encoded = self._encoder.encode(codes, patches, [work.frame.text for work in round_])
        for work, tail, (kinds, embeddings) in zip(round_, tails, encoded, strict=True):
            work.stream.tail = tail
            if work.problem:
                out.append(InvalidRecord(work.source, work.problem))
            frame = self._encoded(work, kinds.tobytes(), embeddings.astype("<f2", copy=False).tobytes())
            out.append(Outgoing(ENCODER_FRAMES, frame, source=work.source))

    def _encoded(self, work: Work, kinds: bytes, embeddings: bytes) -> r.EncodedFrame:
        frame = work.frame
        return r.EncodedFrame(
            session_id=frame.session_id,
            timestamp_ms=frame.timestamp_ms,
            tick=frame.tick,
            d=self._encoder.d,
            kinds=kinds,
            embeddings=embeddings,
            encoder_version=self._encoder.version,
            input_offset=work.source.record.offset,
            text=frame.text,
            events=frame.events,
            gap_ms=frame.gap_ms,
            final=frame.final,
        )

    @staticmethod
    def _look(work: Work) -> video.Picture | None:
        """Patches of this tick's pair of pictures, or None; remembers the newest picture."""
        stream, frame = work.stream, work.frame
        if not frame.images:
            return None
        recent = stream.picture if frame.tick - stream.picture_tick <= PICTURE_TICKS else None
        try:
            patches, newest = video.patches_from([image.jpeg for image in frame.images], recent)
        except video.UndecodablePicture as error:
            metrics.IMAGES_DROPPED.labels("undecodable").inc()
            work.problem = f"picture: {error}"
            return None
        stream.picture, stream.picture_tick = newest, frame.tick
        return patches

    # --- restore ---------------------------------------------------------------------------------------------------

    async def _open_unknown(self, batch: Sequence[Incoming]) -> None:
        first: dict[str, Incoming] = {}
        for item in batch:
            session_id = item.value.session_id
            if session_id not in self._streams and session_id not in first:
                first[session_id] = item
        for session_id, item in first.items():
            frame: r.CaptureFrame = item.value
            order: TickOrder[tuple[Incoming, r.CaptureFrame]]
            order = TickOrder.first_seen(frame.tick, window=REORDER_TICKS)
            self._streams[session_id] = Stream(item.record.partition, order)
        known = [item for item in first.values() if item.value.tick > 0 and self._may_have_a_past(item)]
        if known:
            await retrying(lambda: self._restore(known), clock=self._clock, backoff=Backoff())

    def _may_have_a_past(self, item: Incoming) -> bool:
        return item.record.offset < self._fresh_from.get(item.record.partition, 0) or item.value.tick > REORDER_TICKS

    async def _restore(self, unknown: Sequence[Incoming]) -> None:
        """Rebuild window tails and last pictures by running the frames just before each unknown one again."""
        since: dict[TopicPartition, int] = {}
        for item in unknown:
            source = item.record.source
            back = item.value.timestamp_ms - LOOK_BACK_TICKS * FRAME_MS
            since[source] = max(0, min(since.get(source, back), back))
        offsets = {item.value.session_id: item.record.offset for item in unknown}
        fences = {session_id: self._streams[session_id].fence for session_id in offsets}
        past: dict[str, dict[int, r.CaptureFrame]] = {session_id: {} for session_id in offsets}
        async for chunk in read_since(self._log, since, client_id=self._client_id):
            for record in chunk:
                try:
                    frame = codec.decode(CAPTURE_FRAMES, record.value)
                except codec.UndecodableRecord:
                    continue
                if record.offset >= offsets.get(frame.session_id, 0):
                    continue
                if fences[frame.session_id].admits(frame.capture_epoch):
                    past[frame.session_id].setdefault(frame.tick, frame)
        for item in unknown:
            self._run_again(item, past[item.value.session_id])

    def _run_again(self, item: Incoming, past: dict[int, r.CaptureFrame]) -> None:
        """Go on after the newest tick before this one that lies in the log; one in between may still come."""
        stream = self._streams[item.value.session_id]
        fenced = item.value.capture_epoch < stream.fence.epoch  # then its tick tells nothing
        newest = max((tick for tick in past if fenced or tick < item.value.tick), default=None)
        if newest is None:
            return
        stream.order = TickOrder(newest + 1, window=REORDER_TICKS)
        for tick in range(max(0, newest - LOOK_BACK_TICKS + 1), newest + 1):
            if tick in past:
                self._look(Work(stream, past[tick], item))
        if len(past[newest].audio) == FRAME_BYTES:
            stream.tail = np.frombuffer(past[newest].audio, "<i2")[-dmel.HOP :]
        metrics.RESTORES.labels("encoder").inc()

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        for session_id in [s for s, stream in self._streams.items() if now - stream.last_seen > IDLE_S]:
            del self._streams[session_id]
