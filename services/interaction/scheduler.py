"""One pass of the interaction worker over what has arrived: schedule rounds, run the model, make turns.

A round takes at most one frame of each session. Frames whose turn is recorded already (after a restore) are
prefilled with the recorded tokens; the others are stepped, all sessions in one batch. ``advance`` and ``run`` are
called off the event loop, from one thread, and touch only the sessions and the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from schemas import records as r
from services.interaction.protocol import InteractionModel, StepInput, StepOutput
from services.interaction.session import Session
from shared import metrics

PASS_ROUNDS = 8  # recorded ticks of one session in a pass,
PASS_TICKS = 96  # and of all of them: a long restore shares the thread with everybody's live ticks
STEP_SESSIONS = 64  # sessions per model step


@dataclass(slots=True)
class Work:
    """One frame in turn. ``recorded`` is its turn if the log has one; ``skip`` asks for a prefill without an answer,
    which the turn explains by ``why``."""

    session: Session
    frame: r.EncodedFrame
    offset: int
    recorded: r.InteractionTurn | None = None
    skip: bool = False
    why: str = "caught_up"


@dataclass(slots=True)
class Done:
    """A frame that has been taken in; ``turn`` is new or recorded, ``sides`` are the background's records."""

    work: Work
    turn: r.InteractionTurn
    sides: list[r.BackgroundTask | r.BackgroundCancel] = field(default_factory=list)


class Scheduler:
    """Owns the model."""

    def __init__(self, model: InteractionModel) -> None:
        self._model = model
        self._open: set[str] = set()
        self._refused: set[str] = set()

    def run(self, queues: dict[str, deque[Work]]) -> list[Done]:
        """Empty the queues (one per session, ticks in order). Returns what was done, in an order that keeps each
        session's ticks in order."""
        done: list[Done] = []
        while queues:
            done += self.advance(queues)
        return done

    def advance(self, queues: dict[str, deque[Work]], may: Callable[[Work], bool] = lambda _: True) -> list[Done]:
        """One pass of bounded length: every live tick whose turn it is, then some recorded ones of each session.

        Work that ``may`` refuses now stays where it is, and so does what comes behind it. Emptied queues are dropped.
        """
        done: list[Done] = []
        while batch := [q.popleft() for q in queues.values() if q and q[0].recorded is None and may(q[0])]:
            for at in range(0, len(batch), STEP_SESSIONS):
                self._step_round(batch[at : at + STEP_SESSIONS], done)
        done += self._prefill(self._recorded(queues, may))
        for session_id in [s for s, queue in queues.items() if not queue]:
            del queues[session_id]
        return done

    def holds(self, session_id: str) -> bool:
        """Whether the model has this session's state."""
        return session_id in self._open

    def forget(self, session_id: str) -> None:
        """Drop a session's state."""
        self._model.close(session_id)
        self._open.discard(session_id)
        self._refused.discard(session_id)
        metrics.SESSIONS_HELD.labels("interaction").set(len(self._open))

    # --- recorded or skipped ticks: prefill ----------------------------------------------------------------------

    @staticmethod
    def _recorded(queues: dict[str, deque[Work]], may: Callable[[Work], bool]) -> list[Work]:
        """The next recorded ticks, round by round, so that the model can take one tick of many sessions at once."""
        run: list[Work] = []
        for _ in range(PASS_ROUNDS):
            for queue in queues.values():
                if queue and queue[0].recorded is not None and len(run) < PASS_TICKS and may(queue[0]):
                    run.append(queue.popleft())
        return run

    def _prefill(self, run: Sequence[Work]) -> list[Done]:
        inputs: list[StepInput] = []
        outputs: list[tuple[int, ...]] = []
        done: list[Done] = []
        for work in run:
            turn, session = work.recorded, work.session
            assert turn is not None
            session.take_results(before_offset=turn.results_offset)
            item = self._input(work)
            if self._ensure_open(session, work.frame.tick):
                inputs.append(item)
                # Another model's ids mean nothing to this one: to it, the tick was a quiet one.
                outputs.append(tuple(turn.tokens) if turn.model == self._model.name else self._model.quiet_tokens)
            session.fold(turn)
            done.append(Done(work, turn, session.side_records(turn)))
        if inputs:
            self._model.prefill(inputs, outputs)
            metrics.RESTORE_TICKS.labels("interaction").inc(len(inputs))
        for work in run:
            if work.frame.final:
                self.forget(work.session.session_id)
        return done

    # --- live ticks: step ----------------------------------------------------------------------------------------

    def _step_round(self, batch: Sequence[Work], done: list[Done]) -> None:
        ready: list[tuple[Work, StepInput]] = []
        for work in batch:
            work.session.take_results()
            item = self._input(work)
            if not self._ensure_open(work.session, work.frame.tick):
                done.append(self._quiet(work, "refused"))
            elif work.skip:
                self._model.prefill([item], [self._model.quiet_tokens])
                metrics.CATCH_UP_TICKS.inc()
                done.append(self._quiet(work, work.why))
            else:
                ready.append((work, item))
        if ready:
            metrics.STEP_SESSIONS.labels("interaction").observe(len(ready))
            with metrics.STEP_SECONDS.labels("interaction").time():
                outputs = self._model.step([item for _, item in ready])
            for (work, _), output in zip(ready, outputs, strict=True):
                done.append(self._finish(work, output))

    def _finish(self, work: Work, output: StepOutput, *, prefilled: bool = False) -> Done:
        session = work.session
        turn = session.decide(work.frame, output, model=self._model.name, input_offset=work.offset, prefilled=prefilled)
        session.fold(turn)
        if work.frame.final:
            self.forget(session.session_id)
        return Done(work, turn, session.side_records(turn))

    def _quiet(self, work: Work, why: str) -> Done:
        output = StepOutput(
            floor=r.Floor.HOLD, user=r.UserActivity.SILENT, tokens=self._model.quiet_tokens, ui={"quiet": why}
        )
        return self._finish(work, output, prefilled=True)

    def _ensure_open(self, session: Session, tick: int) -> bool:
        session_id = session.session_id
        if session_id in self._open:
            return True
        if len(self._open) >= self._model.capacity:
            self._refused.add(session_id)
        if session_id in self._refused:  # stays out to its end: half a conversation would be no conversation
            return False
        self._model.open(session_id, session.seed, tick)
        self._open.add(session_id)
        metrics.SESSIONS_HELD.labels("interaction").set(len(self._open))
        return True

    @staticmethod
    def _input(work: Work) -> StepInput:
        frame = work.frame
        work.session.take_events(frame.events)
        kinds = np.frombuffer(frame.kinds, np.uint8)
        embeddings = np.frombuffer(frame.embeddings, np.float16).reshape(len(kinds), frame.d)
        return work.session.step_input(frame, embeddings, kinds)
