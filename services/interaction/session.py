"""One session as the interaction worker knows it, beside the model's state: tasks, pending words, transcript.

Everything here is a fold over the session's own turns plus the texts of background results, so that a restored
worker, which reads the turns from the log, holds the same state as one that lived through them. The live path makes
a turn and folds it in; the restore path folds in the recorded one.
"""

from __future__ import annotations

import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from schemas import records as r
from schemas.ticks import FRAME_MS
from services.interaction.protocol import READY_BELOW_MS, SayInput, SayOutput, StepInput, StepOutput, Voice

TASK_DEADLINE_MS = 30_000
TRANSCRIPT_ENTRIES = 64
SPAN_LIMIT_MS = 20_000
SPAN_LEAD_MS = 2 * FRAME_MS
AUDIO_TOKENS = 4
SPAN_RESET_TICKS = 15  # a user silent for 3 s has begun something new
APOLOGY = "sorry, I could not find that out"
CONFIG_EVENTS = ("session.started", "session.updated")


def stand_in(frame: r.EncodedFrame, tick: int) -> r.EncodedFrame:
    """What a session is given for a ``tick`` that never came, because of the later ``frame`` that gave it up: nothing
    was heard. The encoder fills gaps, so this is for foreign producers."""
    return msgspec.structs.replace(
        frame,
        tick=tick,
        timestamp_ms=frame.timestamp_ms - (frame.tick - tick) * FRAME_MS,
        kinds=bytes(AUDIO_TOKENS),
        embeddings=bytes(2 * frame.d * AUDIO_TOKENS),
        text="",
        events=[],
        gap_ms=FRAME_MS,
        final=False,
    )


@dataclass(slots=True)
class Task:
    """A delegation until its result is said, dropped or cancelled."""

    task_id: str
    started_ms: int
    result_offset: int = -1
    words_said: int = 0
    words: tuple[str, ...] = ()

    def snapshot(self) -> r.TaskState:
        return r.TaskState(
            task_id=self.task_id,
            started_ms=self.started_ms,
            result_offset=self.result_offset,
            words_said=self.words_said,
        )


@dataclass(slots=True)
class UserSpan:
    """Where in the log the user's current (or latest) turn lies, by the model's own belief."""

    start_ms: int = -1
    end_ms: int = -1
    ended: bool = True

    def fold(self, user: r.UserActivity, timestamp_ms: int) -> None:
        if user is r.UserActivity.SILENT:
            return
        stale = timestamp_ms - self.end_ms > SPAN_RESET_TICKS * FRAME_MS
        if self.start_ms < 0 or self.ended or stale:
            self.start_ms = timestamp_ms
        self.end_ms = timestamp_ms + FRAME_MS
        self.ended = user is r.UserActivity.ENDED


@dataclass(slots=True)
class Session:
    """State of one session; ``results`` are (offset, record) that arrived and that no tick has taken in yet.

    Of the voice: ``left_ms`` of speech were left to say after the last tick; ``stretch`` is what was said since the
    last silence, which rebuilds the voice's state; ``handed`` names the task ("" for the model's own words) of every
    word that is written and not yet heard.
    """

    session_id: str
    partition: int
    tasks: list[Task] = field(default_factory=list)
    results: deque[tuple[int, r.BackgroundResult]] = field(default_factory=deque)
    results_offset: int = 0
    transcript: deque[r.ContextEntry] = field(default_factory=lambda: deque(maxlen=TRANSCRIPT_ENTRIES))
    span: UserSpan = field(default_factory=UserSpan)
    config: r.SessionConfig = field(default_factory=r.SessionConfig)
    epoch: int = 0
    epoch_seen: int = 0
    result_seen: int = -1
    speaking: bool = False
    left_ms: int = 0
    stretch: list[SayInput] = field(default_factory=list)
    handed: deque[str] = field(default_factory=deque)

    @property
    def seed(self) -> int:
        """The client's seed, or one that follows from the session's id."""
        return self.config.seed or zlib.crc32(self.session_id.encode())

    # --- before a step -----------------------------------------------------------------------------------------

    def offer_result(self, offset: int, result: r.BackgroundResult) -> None:
        """Remember a result that arrived; one that was read before, on restore, is ignored."""
        if offset > self.result_seen:
            self.result_seen = offset
            self.results.append((offset, result))

    def take_events(self, events: list[r.ClientEvent]) -> None:
        """Take in the session's configuration, which travels in the frames so that its order is the log's."""
        for event in events:
            if event.name in CONFIG_EVENTS:
                # Capture has validated it; a foreign producer's nonsense must not end the worker.
                with suppress(msgspec.ValidationError):
                    self.config = msgspec.convert(event.data, r.SessionConfig)

    def take_results(self, before_offset: int | None = None) -> None:
        """Take in results that have arrived (on replay: only those that the recorded step had seen)."""
        while self.results and (before_offset is None or self.results[0][0] < before_offset):
            offset, result = self.results.popleft()
            self.results_offset = max(self.results_offset, offset + 1)
            self._apply(offset, result)

    def _apply(self, offset: int, result: r.BackgroundResult) -> None:
        task = next((t for t in self.tasks if t.task_id == result.task_id), None)
        if task is None or task.words:
            return  # of a task that was cancelled or dropped, or said already
        if result.kind is r.ResultKind.FINAL:
            task.words = tuple(result.text.split()) or tuple(APOLOGY.split())
        elif result.kind is r.ResultKind.ERROR:
            task.words = tuple(APOLOGY.split())
        elif result.kind is r.ResultKind.CANCELLED:
            self.tasks.remove(task)
            return
        else:
            return
        task.result_offset = offset

    @property
    def pending(self) -> Task | None:
        """The task whose result is to be said next."""
        return next((t for t in self.tasks if t.words), None)

    def step_input(
        self, frame: r.EncodedFrame, embeddings: npt.NDArray[np.float16], kinds: npt.NDArray[np.uint8]
    ) -> StepInput:
        """The model's input for ``frame``, given what has been taken in so far."""
        task = self.pending
        left = len(task.words) - task.words_said if task else 0
        return StepInput(
            session_id=self.session_id,
            tick=frame.tick,
            embeddings=embeddings,
            kinds=kinds,
            gap_ms=frame.gap_ms,
            pending_word=task.words[task.words_said] if task and left else "",
            pending_left=left,
            delegated=any(not t.words for t in self.tasks),
            voice=self.voice,
        )

    # --- after a step ------------------------------------------------------------------------------------------

    def decide(
        self,
        frame: r.EncodedFrame,
        output: StepOutput,
        *,
        model: str,
        input_offset: int,
        prefilled: bool = False,
    ) -> r.InteractionTurn:
        """Make the turn record of a step. Changes nothing: ``fold`` does."""
        tasks, events, text = self._after(frame, output)
        return r.InteractionTurn(
            session_id=self.session_id,
            timestamp_ms=frame.timestamp_ms,
            tick=frame.tick,
            floor=output.floor,
            user=output.user,
            model=model,
            epoch=self.epoch,
            input_offset=input_offset,
            results_offset=self.results_offset,
            tokens=list(output.tokens),
            tasks=tasks,
            audio=output.audio,
            text=text,
            user_text=output.user_text,
            typed=frame.text,
            events=events,
            gap_ms=frame.gap_ms,
            prefilled=prefilled,
            final=frame.final,
            manner=output.manner,
        )

    def _after(self, frame: r.EncodedFrame, output: StepOutput) -> tuple[list[r.TaskState], list[r.TurnEvent], str]:
        text, events = output.text, [r.TurnEvent(name="ui", data=output.ui)] if output.ui else []
        states = {t.task_id: t.snapshot() for t in self.tasks}
        task = self.pending
        if output.cancel:
            events += [r.TurnEvent(name="cancelled", task_id=task_id) for task_id in states]
            states.clear()
        elif output.drop_pending and task:
            events.append(r.TurnEvent(name="weave_dropped", task_id=task.task_id))
            del states[task.task_id]
        elif output.say_pending and task:
            text += " " + task.words[task.words_said]
            events += self._woven(task, states)
        elif task and task.words_said and self.speaking and output.floor is not r.Floor.TAKE:
            events.append(r.TurnEvent(name="weave_paused", task_id=task.task_id))
        if output.delegate:
            task_id = f"{self.session_id}-{frame.tick}"
            events.append(r.TurnEvent(name="delegated", task_id=task_id))
            states[task_id] = r.TaskState(task_id=task_id, started_ms=frame.timestamp_ms)
        return list(states.values()), events, text

    @staticmethod
    def _woven(task: Task, states: dict[str, r.TaskState]) -> list[r.TurnEvent]:
        said = task.words_said + 1
        events = [r.TurnEvent(name="weave_started", task_id=task.task_id)] if said == 1 else []
        if said == len(task.words):
            del states[task.task_id]
            return [*events, r.TurnEvent(name="weave_finished", task_id=task.task_id)]
        states[task.task_id] = r.TaskState(
            task_id=task.task_id, started_ms=task.started_ms, result_offset=task.result_offset, words_said=said
        )
        return events

    # --- the voice ---------------------------------------------------------------------------------------------

    @property
    def voice(self) -> Voice:
        """What of the words written so far is still to be heard, as the next tick begins."""
        if self.left_ms <= 0:
            return Voice.SILENT
        return Voice.READY if self.left_ms < READY_BELOW_MS else Voice.BUSY

    def to_say(self, turn: r.InteractionTurn) -> SayInput:
        """What a turn made just now asks of the voice; it is cut when the model yields."""
        cut = turn.floor is r.Floor.YIELD and self.left_ms > 0
        return SayInput(self.session_id, turn.text, cut, turn.manner)

    def voiced(self, turn: r.InteractionTurn, said: SayInput, output: SayOutput, *, by: str) -> r.InteractionTurn:
        """The turn with its sound, ``by`` a voice. While it sounds the floor is taken, whatever a model that writes
        faster than it speaks believes; words of a result that nobody heard are pending again."""
        floor = r.Floor.TAKE if output.left_ms and turn.floor is r.Floor.HOLD else turn.floor
        speech = r.TurnSpeech(
            words=output.words, left_ms=output.left_ms, cut=said.cut, by="" if output.audio is None else by
        )
        return msgspec.structs.replace(
            turn,
            floor=floor,
            tasks=self._rewound(turn.tasks, output.words) if said.cut else turn.tasks,
            audio=output.audio,
            speech=speech,
        )

    def _rewound(self, tasks: list[r.TaskState], words: list[r.SpokenWord]) -> list[r.TaskState]:
        heard = sum(word.end_ms is not None and not word.cut for word in words)
        lost = list(self.handed)[heard:]
        return [
            msgspec.structs.replace(task, words_said=max(0, task.words_said - lost.count(task.task_id)))
            for task in tasks
        ]

    def _fold_speech(self, turn: r.InteractionTurn) -> None:
        speech = turn.speech
        if speech is None:
            return
        if turn.audio is None:
            self.stretch.clear()
        if turn.audio is not None or turn.text:
            self.stretch.append(SayInput(self.session_id, turn.text, speech.cut, turn.manner))
        for word in speech.words:
            if word.end_ms is not None and self.handed:
                self.handed.popleft()
        if speech.cut:
            self.handed.clear()
            del self.stretch[:-1]  # a cut begins anew
        before = {task.task_id: task.words_said for task in self.tasks}
        grown = [t.task_id for t in turn.tasks if t.words_said > before.get(t.task_id, 0)]
        own = turn.text.split()
        if own and grown:
            self.handed.extend([""] * (len(own) - 1) + grown)
        else:
            self.handed.extend([""] * len(own))
        self.left_ms = speech.left_ms
        if not self.left_ms:
            self.handed.clear()

    # --- folding -----------------------------------------------------------------------------------------------

    def fold(self, turn: r.InteractionTurn) -> None:
        """Take in a turn, made just now or read from the log."""
        self._fold_speech(turn)
        known = {t.task_id: t for t in self.tasks}
        self.tasks = []
        for state in turn.tasks:
            task = known.get(state.task_id) or Task(state.task_id, state.started_ms)
            task.result_offset, task.words_said = state.result_offset, state.words_said
            self.tasks.append(task)
        self.results_offset = max(self.results_offset, turn.results_offset)
        self.epoch_seen = max(self.epoch_seen, turn.epoch)
        self.speaking = turn.floor is r.Floor.TAKE
        self.span.fold(turn.user, turn.timestamp_ms)
        self._note("user_typed", turn.timestamp_ms, turn.typed)
        self._note("user_heard", turn.timestamp_ms, turn.user_text)
        self._note("assistant", turn.timestamp_ms, self._heard(turn))

    @staticmethod
    def _heard(turn: r.InteractionTurn) -> str:
        """What the user heard of the assistant: the words whose sound ended in this tick; without a voice, the text."""
        if turn.speech is None:
            return turn.text
        return " ".join(word.text for word in turn.speech.words if word.end_ms is not None and not word.cut)

    def _note(self, role: str, timestamp_ms: int, text: str) -> None:
        if not text.strip():
            return
        last = self.transcript[-1] if self.transcript else None
        if last is not None and last.role == role and role != "user_typed":
            joint = f"{last.text} {text.strip()}"
            self.transcript[-1] = r.ContextEntry(role=role, timestamp_ms=last.timestamp_ms, text=joint[-2000:])
        else:
            self.transcript.append(r.ContextEntry(role=role, timestamp_ms=timestamp_ms, text=text.strip()[-2000:]))

    def side_records(self, turn: r.InteractionTurn) -> list[r.BackgroundTask | r.BackgroundCancel]:
        """What a folded-in turn asks of the background: a pure function of the turns, so that it can be repeated."""
        records: list[r.BackgroundTask | r.BackgroundCancel] = []
        for event in turn.events:
            if event.name == "delegated":
                records.append(self._task(turn, event.task_id))
            elif event.name in ("cancelled", "weave_dropped"):
                records.append(
                    r.BackgroundCancel(
                        session_id=self.session_id, timestamp_ms=turn.timestamp_ms, task_id=event.task_id
                    )
                )
        return records

    def _task(self, turn: r.InteractionTurn, task_id: str) -> r.BackgroundTask:
        end_ms = turn.timestamp_ms + FRAME_MS
        start_ms = self.span.start_ms if self.span.start_ms >= 0 else turn.timestamp_ms
        start_ms = max(start_ms - SPAN_LEAD_MS, end_ms - SPAN_LIMIT_MS, 0)
        return r.BackgroundTask(
            session_id=self.session_id,
            timestamp_ms=turn.timestamp_ms,
            task_id=task_id,
            deadline_ms=end_ms + TASK_DEADLINE_MS,
            context=r.ContextPackage(
                entries=list(self.transcript),
                span_start_ms=start_ms,
                span_end_ms=end_ms,
                instructions=self.config.instructions,
                language=self.config.language,
            ),
        )
