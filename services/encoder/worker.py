"""The encoder worker: capture frames in, model inputs out, one for every tick of a session without a hole.

State per session is an 800-sample window tail and the last picture, both rebuilt from ``capture.frames`` when a
session turns up in its middle. A tick that never came is encoded as silence, so that everything after this service
sees consecutive ticks.

Partitions come by leases. What two encoders make of one tick is the same to the bit, and whoever reads takes the first
of each tick: so an owner needs no fence, and a standby nothing but to be awake.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

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
from shared.log.loop import Finished, Incoming, InvalidRecord, Outgoing, Output
from shared.log.reading import read_since, resume_offsets
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
STUCK_S = 60.0
SWEEP_EVERY_S = 10.0
GROUP = "encoder"
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
    held: dict[int, Incoming] = field(default_factory=dict)  # inputs that wait for an earlier tick
    last_seen: float = 0.0
    fence: Fence = field(default_factory=Fence)


@dataclass(slots=True)
class Work:
    """One frame in turn; ``problem`` is set when its pictures could not be decoded."""

    stream: Stream
    frame: r.CaptureFrame
    source: Incoming
    problem: str = ""


def sources(partitions: Iterable[int]) -> list[TopicPartition]:
    return [TopicPartition(CAPTURE_FRAMES.name, partition) for partition in partitions]


class Following(Protocol):
    """The part of the consume loop that changes what is read, and keeps inputs open; see ``ConsumeLoop``."""

    started: asyncio.Event

    async def follow(self, partitions: Mapping[TopicPartition, int | None]) -> None: ...

    def defer(self, incoming: Incoming) -> None: ...


class EncoderWorker:
    """Handler of the consume loop and tenant of its leases; ``bind`` it to the loop before that runs."""

    def __init__(self, encoder: FrameEncoder, log: Log, clock: Clock, *, client_id: str) -> None:
        self._encoder = encoder
        self._log = log
        self._clock = clock
        self._client_id = client_id
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._streams: dict[str, Stream] = {}
        self._fresh_from: dict[int, int] = {}  # partition -> first offset that came after we took it
        self._owned: dict[int, int] = {}  # partition -> epoch of our claim
        self._followed: frozenset[int] = frozenset()
        self._asking: Consumer | None = None  # connected, so that a take-over need not wait for that
        self._loop: Following | None = None
        self._next_sweep = 0.0

    def bind(self, loop: Following) -> None:
        self._loop = loop

    # --- leases -----------------------------------------------------------------------------------------------------

    def owned(self) -> Mapping[int, int]:
        return self._owned

    def warm(self) -> frozenset[int]:
        return self._followed - self._owned.keys()

    def epoch(self, partition: int) -> int:
        return 0

    async def follow(self, partitions: frozenset[int]) -> None:
        """A restore reads a second of frames: there is nothing to keep warm but the process and its connections.

        Raises:
            LogUnavailable: the log does not answer.
        """
        if self._asking is None:
            self._asking = await retrying(
                lambda: self._log.consumer(client_id=self._client_id, group=GROUP), clock=self._clock, backoff=Backoff()
            )
        self._followed = partitions

    async def claim(self, epochs: Mapping[int, int]) -> None:
        """Go on where the former owner has committed; what it had done since is done again, and ignored.

        Raises:
            LogUnavailable: the log does not answer.
        """
        await self._bound.started.wait()
        new = sources(epochs)
        starts = await retrying(lambda: self._find_starts(new), clock=self._clock, backoff=Backoff())
        await self._bound.follow({**dict.fromkeys(sources(self._owned)), **starts})
        self._owned.update(epochs)
        self._count()

    async def _find_starts(self, new: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        assert self._asking is not None
        for source, end in (await self._asking.end_offsets(new)).items():
            self._fresh_from[source.partition] = end
        return await resume_offsets(self._asking, new)

    async def close(self) -> None:
        """End what is kept open beside the loop."""
        if self._asking is not None:
            await self._asking.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def superseded(self, partition: int, epoch: int) -> None:
        """Somebody else has it: stop, and commit what was done."""
        await self._bound.follow(dict.fromkeys(sources(p for p in self._owned if p != partition)))
        self._count()

    def _count(self) -> None:
        metrics.PARTITIONS_OWNED.labels("encoder").set(len(self._owned))

    @property
    def _bound(self) -> Following:
        if self._loop is None:
            raise RuntimeError("bind the worker to a consume loop first")
        return self._loop

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        logger.info("partitions_assigned", partitions=sorted(s.partition for s in partitions))

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing to save: the log has it."""
        lost = {source.partition for source in partitions}
        for session_id in [s for s, stream in self._streams.items() if stream.partition in lost]:
            del self._streams[session_id]
        for partition in lost:
            self._owned.pop(partition, None)

    # --- a batch ---------------------------------------------------------------------------------------------------

    async def handle(self, batch: Sequence[Incoming]) -> list[Output]:
        """Encoded frames for all ticks that are ready. Raises ``LogUnavailable`` when a tail can't be read back."""
        await self._open_unknown(batch)
        queues: dict[str, deque[Work]] = {}
        refused: list[Output] = []
        released: list[Output] = []
        for item in batch:
            self._receive(item, queues, refused, released)
        encoded = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, queues)
        return [*refused, *encoded, *released, *self._sweep()]

    def _receive(
        self, item: Incoming, queues: dict[str, deque[Work]], refused: list[Output], released: list[Output]
    ) -> None:
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
        elif pushed.verdict is Verdict.HELD:
            self._bound.defer(item)  # not committed before it is encoded: a crash must find it again
            stream.held[frame.tick] = item
        queue = queues.setdefault(frame.session_id, deque())
        for tick, arrival in pushed.ready:
            source, ready = arrival or (item, self._silent(frame, tick))
            queue.append(Work(stream, ready, source))
            if tick in stream.held:
                released.append(Finished(stream.held.pop(tick)))
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

    def _run(self, queues: dict[str, deque[Work]]) -> list[Output]:
        out: list[Output] = []
        while queues:
            for session_id in [s for s, queue in queues.items() if not queue]:
                del queues[session_id]
            round_ = [queue.popleft() for queue in queues.values()]
            if round_:
                metrics.STEP_SESSIONS.labels("encoder").observe(len(round_))
                with metrics.STEP_SECONDS.labels("encoder").time():
                    self._encode(round_, out)
        return out

    def _encode(self, round_: Sequence[Work], out: list[Output]) -> None:
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

    def _sweep(self) -> list[Output]:
        """Forget sessions that fell silent without an end; sooner when one keeps its partition from committing."""
        now = self._clock.monotonic()
        if now < self._next_sweep:
            return []
        self._next_sweep = now + SWEEP_EVERY_S
        idle = [
            session_id
            for session_id, stream in self._streams.items()
            if now - stream.last_seen > (STUCK_S if stream.held else IDLE_S)
        ]
        return [Finished(item) for session_id in idle for item in self._streams.pop(session_id).held.values()]
