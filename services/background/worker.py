"""The background worker: tasks and cancels in, streams of results out, without ever holding up a partition.

A task's input stays open (deferred) until its last result is acknowledged, so a crash or a rebalance gives the task
to somebody again; who takes it first reads what the log already holds of its results. A task ends exactly once: by
its answer, an error, its deadline or a cancel, whichever comes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from schemas.records import BackgroundCancel, BackgroundResult, BackgroundTask, ResultKind, SessionEnded
from schemas.ticks import floor_to_frame
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS
from services.background.answer import Answerer, Step
from services.background.listen import TERMINAL, Past, read_notes, read_past
from services.background.notes import Notebook
from shared.clock import Clock
from shared.log.api import Consumer, Log, LogUnavailable, TopicPartition
from shared.log.loop import Incoming, InvalidRecord, Outgoing
from shared.log.retry import Backoff, retrying
from shared.logging import get_logger
from shared.metrics import DUPLICATES_IGNORED, TASK_SECONDS, TASKS_ENDED, TASKS_RUNNING

_log = get_logger(__name__)
REMEMBERED = 10_000


class Deferring(Protocol):
    """The part of the consume loop that work needs which outlasts its batch; see ``ConsumeLoop``."""

    def defer(self, incoming: Incoming) -> None: ...

    async def emit(self, outputs: Sequence[Outgoing | InvalidRecord]) -> bool: ...

    async def complete(self, incoming: Incoming, outputs: Sequence[Outgoing | InvalidRecord] = ()) -> bool: ...


@dataclass(slots=True, eq=False)
class Running:
    """A task being worked on. All that may happen to it comes through ``inbox``, in order."""

    task: BackgroundTask
    source: Incoming
    check_past: bool
    began: float
    seq: int = 0
    inbox: asyncio.Queue[Step | BaseException] = field(default_factory=asyncio.Queue)
    job: asyncio.Task[None] | None = None


class BackgroundWorker:
    """Handler of the consume loop; ``bind`` it to the loop before that runs.

    ``failed`` completes with the error of a task that met a bug: the process should die of it.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        answerer: Answerer,
        notebook: Notebook,
        *,
        concurrency: int,
        queue: int,
        client_id: str,
    ) -> None:
        self._log = log
        self._clock = clock
        self._answerer = answerer
        self._notebook = notebook
        self._capacity = concurrency + queue
        self._slots = asyncio.Semaphore(concurrency)
        self._client_id = client_id
        self._loop: Deferring | None = None
        self._running: dict[str, Running] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._fresh: dict[int, tuple[int, float]] = {}  # partition -> first new offset, when it was assigned
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def running(self) -> int:
        return len(self._running)

    def bind(self, loop: Deferring) -> None:
        self._loop = loop

    # --- partitions come and go

    async def assigned(self, partitions: frozenset[TopicPartition], consumer: Consumer) -> None:
        """Remember where new tasks begin: older ones may have been worked on by somebody else."""
        mine = sorted(p for p in partitions if p.topic == BACKGROUND_TASKS.name)
        for source, end in (await consumer.end_offsets(mine)).items():
            self._fresh[source.partition] = (end, self._clock.wall_ms())

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Drop the work on these: their next owner is given the tasks again."""
        await self._drop([r for r in self._running.values() if r.source.record.source in partitions])

    async def close(self) -> None:
        """End all work, however the loop has ended."""
        await self._drop(list(self._running.values()))

    async def _drop(self, lost: list[Running]) -> None:
        jobs = [r.job for r in lost if r.job is not None]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for running in lost:
            self._running.pop(running.task.task_id, None)
        TASKS_RUNNING.set(len(self._running))

    # --- a batch

    async def handle(self, batch: Sequence[Incoming]) -> list[Outgoing | InvalidRecord]:
        """Start and cancel; what cannot be taken is answered at once."""
        out: list[Outgoing | InvalidRecord] = []
        for incoming in batch:
            match incoming.value:
                case BackgroundTask() as task:
                    out += self._take(incoming, task)
                case BackgroundCancel() as cancel:
                    self._cancel(cancel.task_id, cancel.reason)
                case SessionEnded() as ended:
                    for task_id in [t for t, r in self._running.items() if r.task.session_id == ended.session_id]:
                        self._cancel(task_id, "the session has ended")
                    self._notebook.session_ended(ended.session_id)
        return out

    def _take(self, incoming: Incoming, task: BackgroundTask) -> list[Outgoing | InvalidRecord]:
        if not task.task_id:
            return [InvalidRecord(incoming, "task_id is empty")]
        if task.context.span_end_ms < task.context.span_start_ms:
            return [InvalidRecord(incoming, "the delegated span ends before it begins")]
        if task.task_id in self._running or task.task_id in self._ended:
            DUPLICATES_IGNORED.labels("background").inc()
            return []
        if len(self._running) >= self._capacity:
            refusal = Step(ResultKind.ERROR, "the background is busy, please ask again later", {"code": "overloaded"})
            self._remember(task.task_id)
            TASKS_ENDED.labels("overloaded").inc()
            result = self._result(task, 0, refusal)
            self._notebook.began(task)
            self._notebook.ended(result)
            return [Outgoing(BACKGROUND_RESULTS, result, source=incoming)]
        self._deferring.defer(incoming)
        running = Running(task, incoming, self._may_be_old(incoming, task), self._clock.monotonic())
        self._running[task.task_id] = running
        TASKS_RUNNING.set(len(self._running))
        running.job = asyncio.create_task(self._run(running))
        running.job.add_done_callback(self._report_bug)
        return []

    def _may_be_old(self, incoming: Incoming, task: BackgroundTask) -> bool:
        offset, assigned_ms = self._fresh.get(incoming.record.partition, (0, float("inf")))
        return incoming.record.offset < offset or task.timestamp_ms < assigned_ms

    def _cancel(self, task_id: str, reason: str) -> None:
        running = self._running.get(task_id)
        if running is not None:  # else it has ended: the cancel came too late
            running.inbox.put_nowait(Step(ResultKind.CANCELLED, "", {"reason": reason}))

    # --- one task

    async def _run(self, running: Running) -> None:
        """Publish what comes into the inbox until something ends the task."""
        task = running.task
        past = await self._past(running)
        if past.ended:
            DUPLICATES_IGNORED.labels("background").inc()
            self._forget(running, ended=await self._deferring.complete(running.source))
            return
        running.seq = past.next_seq
        await self._recall(running)
        self._notebook.began(task)
        helpers = [asyncio.create_task(self._work(running)), asyncio.create_task(self._expire(running))]
        try:
            while True:
                step = await running.inbox.get()
                if isinstance(step, BaseException):
                    raise step
                if step.kind in TERMINAL:
                    break
                await self._deferring.emit([self._next(running, step)])
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        last = self._next(running, step)
        ended = await self._deferring.complete(running.source, [last])
        if ended:
            self._count(running, step)
            self._notebook.ended(last.value)
        self._forget(running, ended=ended)

    async def _recall(self, running: Running) -> None:
        """Before the first note on a session that somebody else has served: what the log says of its former tasks."""
        task = running.task
        entries = task.context.entries
        since_ms = entries[0].timestamp_ms if entries else task.timestamp_ms
        assigned_ms = self._fresh.get(running.source.record.partition, (0, float("inf")))[1]
        if self._notebook.knows(task.session_id) or since_ms >= assigned_ms:
            return
        try:
            for record in await read_notes(self._log, task.session_id, since_ms, client_id=self._client_id):
                self._notebook.took(record)
        except LogUnavailable as error:  # they are only notes
            _log.warning("notes_not_recalled", session=task.session_id, error=str(error))

    async def _past(self, running: Running) -> Past:
        if not running.check_past:
            return Past()
        return await retrying(
            lambda: read_past(self._log, running.task, client_id=self._client_id),
            clock=self._clock,
            backoff=Backoff(),
        )

    async def _work(self, running: Running) -> None:
        """Wait for a slot, then put the answer's steps into the inbox."""
        try:
            async with self._slots, aclosing(self._answerer.answer(running.task)) as steps:
                async for step in steps:
                    running.inbox.put_nowait(step)
        except Exception as error:  # a bug: it must not die unseen in this helper
            running.inbox.put_nowait(error)

    async def _expire(self, running: Running) -> None:
        left_ms = running.task.deadline_ms - self._clock.wall_ms()
        await self._clock.sleep(left_ms / 1000)
        running.inbox.put_nowait(Step(ResultKind.ERROR, "the deadline has passed", {"code": "deadline"}))

    # --- small things

    @property
    def _deferring(self) -> Deferring:
        if self._loop is None:
            raise RuntimeError("bind the worker to a consume loop first")
        return self._loop

    def _next(self, running: Running, step: Step) -> Outgoing:
        result = self._result(running.task, running.seq, step)
        running.seq += 1
        return Outgoing(BACKGROUND_RESULTS, result, source=running.source)

    def _result(self, task: BackgroundTask, seq: int, step: Step) -> BackgroundResult:
        # Never before its task, whatever the clocks say: a reader looks for results from the task's time on.
        at_ms = max(floor_to_frame(self._clock.wall_ms()), task.timestamp_ms)
        return BackgroundResult(
            session_id=task.session_id,
            timestamp_ms=at_ms,
            task_id=task.task_id,
            seq=seq,
            kind=step.kind,
            text=step.text,
            data=step.data,
        )

    def _count(self, running: Running, step: Step) -> None:
        seconds = self._clock.monotonic() - running.began
        TASKS_ENDED.labels(step.kind.value).inc()
        TASK_SECONDS.observe(seconds)
        _log.info("task_ended", task=running.task.task_id, kind=step.kind.value, seconds=round(seconds, 3))

    def _forget(self, running: Running, *, ended: bool) -> None:
        self._running.pop(running.task.task_id, None)
        if ended:  # else the partition has gone, and may come back with the task
            self._remember(running.task.task_id)
        TASKS_RUNNING.set(len(self._running))

    def _remember(self, task_id: str) -> None:
        self._ended[task_id] = None
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _report_bug(self, job: asyncio.Task[None]) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)
