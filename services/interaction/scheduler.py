"""One pass of the interaction worker over what has arrived: schedule rounds, run the model, make turns.

A round takes at most one frame of each session. Frames whose turn is recorded already (after a restore) are
prefilled with the recorded tokens; the others are stepped, all sessions in one batch. ``advance`` and ``run`` are
called off the event loop, from one thread, and touch only the sessions and the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from schemas import records as r
from services.interaction.protocol import DEFAULT_VOICE, InteractionModel, SpeechOut, StepInput, StepOutput
from services.interaction.session import CONFIG_EVENTS, Session
from shared import metrics

PASS_ROUNDS = 8  # recorded ticks of one session in a pass,
PASS_TICKS = 96  # and of all of them: a long restore shares the thread with everybody's live ticks
STEP_SESSIONS = 64  # sessions per model step
REFUSED = "refused"  # why a tick is quiet: the model had no room for its session


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
    """Owns the model, and the voice if there is one."""

    def __init__(self, model: InteractionModel, voice: SpeechOut | None = None) -> None:
        self._model = model
        self._voice = voice
        self._chosen: dict[str, str] = {}  # session -> the voice that it asked for
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
        self._hush(session_id)
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
            self._hush(work.session.session_id)  # rebuilt from the session's stretch of speech when it next speaks
            if work.frame.final:
                self.forget(work.session.session_id)
        return done

    # --- live ticks: step ----------------------------------------------------------------------------------------

    def _step_round(self, batch: Sequence[Work], done: list[Done]) -> None:
        ready: list[tuple[Work, StepInput]] = []
        decided: list[tuple[Work, r.InteractionTurn]] = []
        for work in batch:
            work.session.take_results()
            item = self._input(work)
            if not self._ensure_open(work.session, work.frame.tick):
                decided.append((work, self._quiet(work, REFUSED, self._model.quiet_tokens)))
            elif work.skip:
                refused = work.why == REFUSED  # played again: nothing had been known of the session then
                tokens = self._model.quiet_tokens if refused else self._model.quiet(item.session_id)
                self._model.prefill([item], [tokens])
                metrics.CATCH_UP_TICKS.inc()
                decided.append((work, self._quiet(work, work.why, tokens)))
            else:
                ready.append((work, item))
        if ready:
            metrics.STEP_SESSIONS.labels("interaction").observe(len(ready))
            with metrics.STEP_SECONDS.labels("interaction").time():
                outputs = self._model.step([item for _, item in ready])
            decided += [
                (work, self._decide(work, output)) for (work, _), output in zip(ready, outputs, strict=True)
            ]
        done += [self._finish(work, turn) for work, turn in self._voiced(decided)]

    def _decide(self, work: Work, output: StepOutput, *, prefilled: bool = False) -> r.InteractionTurn:
        return work.session.decide(
            work.frame, output, model=self._model.name, input_offset=work.offset, prefilled=prefilled
        )

    def _finish(self, work: Work, turn: r.InteractionTurn) -> Done:
        session = work.session
        session.fold(turn)
        if work.frame.final:
            self.forget(session.session_id)
        return Done(work, turn, session.side_records(turn))

    def _quiet(self, work: Work, why: str, tokens: tuple[int, ...]) -> r.InteractionTurn:
        output = StepOutput(floor=r.Floor.HOLD, user=r.UserActivity.SILENT, tokens=tokens, ui={"quiet": why})
        return self._decide(work, output, prefilled=True)

    # --- the voice ---------------------------------------------------------------------------------------------

    def _voiced(self, decided: list[tuple[Work, r.InteractionTurn]]) -> list[tuple[Work, r.InteractionTurn]]:
        """The turns with their sound; one step of the voice for all sessions."""
        voice = self._voice
        if voice is None or not decided:
            return decided
        self._raise_voices(voice, [work.session for work, _ in decided])
        decided = [(work, self._named(voice, work, turn)) for work, turn in decided]
        said = [work.session.to_say(turn) for work, turn in decided]
        with metrics.SPEECH_SECONDS.time():
            outputs = voice.step(said)
        metrics.SPEECH_WORDS_REFUSED.inc(sum(output.refused for output in outputs))
        return [
            (work, work.session.voiced(turn, item, output, by=voice.name))
            for (work, turn), item, output in zip(decided, said, outputs, strict=True)
        ]

    def _raise_voices(self, voice: SpeechOut, sessions: Sequence[Session]) -> None:
        """Make sure that the voice holds each session's state: what was said since its last silence, said again, all
        sessions side by side. A new choice of voice counts from the next silence on."""
        raised = [s for s in sessions if not self._has_voice(voice, s)]
        for session in raised:
            wanted = session.config.voice
            voice.close(session.session_id)
            voice.open(session.session_id, wanted if wanted in voice.voices else DEFAULT_VOICE)
            self._chosen[session.session_id] = wanted
        for place in range(max((len(s.stretch) for s in raised), default=0)):
            voice.step([s.stretch[place] for s in raised if place < len(s.stretch)])

    def _has_voice(self, voice: SpeechOut, session: Session) -> bool:
        chosen = self._chosen.get(session.session_id) == session.config.voice
        return voice.is_open(session.session_id) and (chosen or bool(session.stretch))

    @staticmethod
    def _named(voice: SpeechOut, work: Work, turn: r.InteractionTurn) -> r.InteractionTurn:
        """A voice that nobody has is told in the turn of the tick that asked for it; the default one speaks."""
        wanted = work.session.config.voice
        asked = any(event.name in CONFIG_EVENTS for event in work.frame.events)
        if not asked or wanted == DEFAULT_VOICE or wanted in voice.voices:
            return turn
        data = {"unknown_voice": wanted, "voice": voice.voices[0], "voices": list(voice.voices)}
        return msgspec.structs.replace(turn, events=[*turn.events, r.TurnEvent(name="ui", data=data)])

    def _hush(self, session_id: str) -> None:
        self._chosen.pop(session_id, None)
        if self._voice is not None:
            self._voice.close(session_id)

    # --- sessions ----------------------------------------------------------------------------------------------

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
