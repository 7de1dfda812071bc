"""Runs a recorded session through a model again, by the scheduler and the session that serve live ones.

Two ways. ``follow`` repeats what happened: each tick takes in the results that the recorded step had seen, ticks that
a late worker took in without an answer are taken in so again, and what this model said is fed back to it.
``counterfactual`` lets another model live through the same input: it is fed with its own decisions, and gets a
background's answer where the recorded conversation had one to give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from infra.replay.recorded import Input, Recorded
from schemas import records as r
from services.interaction.protocol import InteractionModel, SpeechOut
from services.interaction.scheduler import Done, Scheduler, Work
from services.interaction.session import Session

MATCH_TICKS = 25  # a delegation this near to a recorded one is taken for the same question

Side = r.BackgroundTask | r.BackgroundCancel


@dataclass(slots=True)
class Rerun:
    """What a run made. ``compared`` are the ticks whose turn the model made as in the recorded session.

    ``taken_in`` are ticks that were only fed to it: they stand where the log's memory begins, or another model answered
    them. ``lost`` are ticks that have a turn but no frame any more.
    """

    model: str
    turns: dict[int, r.InteractionTurn] = field(default_factory=dict)
    sides: dict[int, list[Side]] = field(default_factory=dict)
    results: list[tuple[int, r.BackgroundResult]] = field(default_factory=list)  # tick at which it was given
    compared: list[int] = field(default_factory=list)
    taken_in: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


def follow(
    model: InteractionModel, recorded: Recorded, inputs: Mapping[int, Input], voice: SpeechOut | None = None
) -> Rerun:
    """The recorded session again. ``inputs`` are what its turns were made from, by tick; ``voice`` says its words."""
    return _Following(model, recorded, inputs, voice).run()


def counterfactual(
    model: InteractionModel, recorded: Recorded, inputs: Mapping[int, Input], voice: SpeechOut | None = None
) -> Rerun:
    """Another model over the recorded input, by the same voice.

    Its delegations within ``MATCH_TICKS`` of a recorded one (each used once, the nearest first) are answered by that
    one's results, as long after the delegation as they were then; others stay unanswered: nobody knows the answer.
    """
    return _Counterfactual(model, recorded, inputs, voice).run()


class _Following:
    def __init__(
        self, model: InteractionModel, recorded: Recorded, inputs: Mapping[int, Input], voice: SpeechOut | None
    ) -> None:
        self._model = model
        self._recorded = recorded
        self._inputs = inputs
        self._scheduler = Scheduler(model, voice)
        self._session = new_session(recorded, inputs)
        self._due = deque(sorted(recorded.results.items()))
        self._out = Rerun(model.name)

    def run(self) -> Rerun:
        expected, warm = 0, 0
        for tick, turn in sorted(self._recorded.turns.items()):
            given = self._inputs.get(tick)
            self._offer(tick, turn.results_offset)
            if given is None:
                self._out.lost.append(tick)
                self._session.take_results()
                self._session.fold(turn)
                continue
            if tick != expected:  # the memory begins anew: take in as much as a restore would
                self._scheduler.forget(self._session.session_id)
                warm = self._model.context_ticks
            self._step(given, turn, answer=not warm and turn.model == self._model.name)
            expected, warm = tick + 1, max(0, warm - 1)
        self._scheduler.forget(self._session.session_id)
        return self._out

    def _offer(self, tick: int, before_offset: int) -> None:
        while self._due and self._due[0][0] < before_offset:
            offset, result = self._due.popleft()
            self._session.offer_result(offset, result)
            self._out.results.append((tick, result))

    def _step(self, given: Input, turn: r.InteractionTurn, *, answer: bool) -> None:
        # Who made a turn, and at which offset, is the worker's, not the model's.
        self._session.epoch = turn.epoch
        work = Work(self._session, given.frame, given.offset)
        if not answer:
            work.recorded = turn
        elif turn.prefilled:
            work.skip, work.why = True, quiet_reason(turn)
        keep(self._out, run_one(self._scheduler, work))
        (self._out.compared if answer else self._out.taken_in).append(turn.tick)


@dataclass(slots=True)
class _Answer:
    """Results of one recorded task, each as many ticks after the delegation as a step saw it."""

    tick: int
    results: list[tuple[int, r.BackgroundResult]]


class _Counterfactual:
    def __init__(
        self, model: InteractionModel, recorded: Recorded, inputs: Mapping[int, Input], voice: SpeechOut | None
    ) -> None:
        self._recorded = recorded
        self._inputs = inputs
        self._scheduler = Scheduler(model, voice)
        self._session = new_session(recorded, inputs)
        self._answers = recorded_answers(recorded)
        self._due: dict[int, list[r.BackgroundResult]] = {}
        self._next_offset = 0
        self._out = Rerun(model.name)

    def run(self) -> Rerun:
        expected = min(self._inputs, default=0)
        for tick, given in sorted(self._inputs.items()):
            if tick != expected:
                self._scheduler.forget(self._session.session_id)
            expected = tick + 1
            for result in self._due.pop(tick, []):
                self._session.offer_result(self._next_offset, result)
                self._next_offset += 1
                self._out.results.append((tick, result))
            done = run_one(self._scheduler, Work(self._session, given.frame, given.offset))
            keep(self._out, done)
            self._out.compared.append(tick)
            for event in done.turn.events:
                if event.name == "delegated":
                    self._delegated(tick, event.task_id)
        self._scheduler.forget(self._session.session_id)
        return self._out

    def _delegated(self, tick: int, task_id: str) -> None:
        near = [answer for answer in self._answers if abs(answer.tick - tick) <= MATCH_TICKS]
        if not near:
            return
        answer = min(near, key=lambda one: abs(one.tick - tick))
        self._answers.remove(answer)
        for after, result in answer.results:
            told = msgspec.structs.replace(result, task_id=task_id)
            self._due.setdefault(tick + max(1, after), []).append(told)


def recorded_answers(recorded: Recorded) -> list[_Answer]:
    """The recorded tasks that were delegated and had results which some step saw."""
    delegated = {
        event.task_id: tick
        for tick, turn in sorted(recorded.turns.items())
        for event in turn.events
        if event.name == "delegated"
    }
    answers = {task_id: _Answer(tick, []) for task_id, tick in delegated.items()}
    due = deque(sorted(recorded.results.items()))
    for tick, turn in sorted(recorded.turns.items()):
        while due and due[0][0] < turn.results_offset:
            result = due.popleft()[1]
            if result.task_id in answers:
                answers[result.task_id].results.append((tick - delegated[result.task_id], result))
    return [answer for answer in answers.values() if answer.results]


def new_session(recorded: Recorded, inputs: Mapping[int, Input]) -> Session:
    """A session that has seen nothing yet; configured from the log's control records when its begin is gone."""
    first = min(inputs, default=0)
    config = recorded.config_at(inputs[first].frame.timestamp_ms) if first else r.SessionConfig()
    return Session(recorded.session_id, recorded.partition, config=config)


def run_one(scheduler: Scheduler, work: Work) -> Done:
    """One tick through the live path."""
    (done,) = scheduler.run({work.session.session_id: deque([work])})
    return done


def keep(out: Rerun, done: Done) -> None:
    out.turns[done.turn.tick] = done.turn
    if done.sides:
        out.sides[done.turn.tick] = done.sides


def quiet_reason(turn: r.InteractionTurn) -> str:
    """Why a tick was taken in without an answer, as its turn says."""
    return next((str(e.data["quiet"]) for e in turn.events if e.name == "ui" and "quiet" in e.data), "caught_up")
