"""One conversation of the cascade: listen, decide that the turn is over, answer, stop when interrupted.

``step`` never waits. Examinations of turns and answers are tasks; what they have found by the next tick is used then.
"""

from __future__ import annotations

import asyncio

from infra.eval.agents.harness.answer import Answer
from infra.eval.agents.harness.chat import History
from infra.eval.agents.harness.route import wants_look_up
from infra.eval.agents.harness.stages import Stages
from infra.eval.agents.harness.turn import Channel, OpenTurn
from infra.eval.agents.harness.vad import Listener
from infra.eval.agents.protocol import Reply
from infra.eval.agents.speech import Player
from schemas import records as r

INTERRUPT_MS = 500  # so much voice stops the answer (LiveKit Agents' default); less is a sign of listening
GIVE_UP_WAITING_MS = 1_500  # a turn that was not thought complete is answered after so much quiet
"""Pipecat waits for 3 s. But smart-turn was trained on people, and is often unsure about whole sentences of synthetic
voices (seen on training voices); waiting for 3 s after each of them would make the cascade look slower than it is."""


class HarnessSession:
    """State of one conversation."""

    def __init__(self, session_id: str, stages: Stages) -> None:
        self._id = session_id
        self._stages = stages
        self._listener = Listener(stages.voice)
        self._channel = Channel()
        self._turn: OpenTurn | None = None
        self._answer: Answer | None = None
        self._asked = ""  # the words that the answer is for, while it may still turn out that the user goes on
        self._player = Player()
        self._said = ""
        self._history = History()
        self._events: list[r.TurnEvent] = []
        self._results: list[r.BackgroundResult] = []

    def step(self, frame: r.CaptureFrame) -> Reply:
        self._events, self._results = [], []
        self._channel.append(frame.audio)
        for began in self._listener.hear(frame.audio):
            if not began and self._turn is not None:
                self._turn.examine(self._stages, self._channel, self._listener.segments.ended)
            elif began and self._turn is not None:
                self._turn.drop_examination()
        if self._listener.segments.speaking and self._turn is None and not self._player.speaking:
            self._open_turn()  # speech over the answer is an interruption only if it lasts
        floor, user, user_text = r.Floor.HOLD, r.UserActivity.SILENT, ""
        if self._interrupted():
            floor = r.Floor.YIELD
        if self._listener.segments.speaking:
            user = r.UserActivity.SPEAKING
        elif words := self._turn_over(frame):
            user, user_text = r.UserActivity.ENDED, words
        audio, text = self._say(frame)
        return Reply(
            floor=r.Floor.TAKE if audio else floor,
            user=user,
            text=text,
            user_text=user_text,
            audio=audio,
            events=tuple(self._events),
            results=tuple(self._results),
        )

    def offer(self, result: r.BackgroundResult) -> None:
        """Its own reports come back; nobody else works for it."""

    def close(self) -> None:
        if self._turn is not None:
            self._turn.drop_examination()
        if self._answer is not None:
            self._answer.drop()

    async def settled(self) -> None:
        """Return when no stage works for this conversation; for who has more time than a tick, as tests have."""
        tasks = {task for task in (self._turn and self._turn.task, self._answer and self._answer.task) if task}
        if tasks:
            await asyncio.wait(tasks)

    # --- the user

    def _open_turn(self) -> None:
        self._turn = OpenTurn(self._listener.segments.began)
        if self._answer is not None and not self._said:
            # The user goes on before a word was said: one turn, answered as a whole.
            self._turn.before, self._asked = self._asked, ""
            self._drop_answer()

    def _interrupted(self) -> bool:
        """Stop speaking when the user has spoken for long enough; what was said stays in the history."""
        segments = self._listener.segments
        if not (self._player.speaking and segments.speaking and segments.voiced_ms >= INTERRUPT_MS):
            return False
        self._drop_answer()
        self._turn = OpenTurn(segments.began)
        return True

    def _turn_over(self, frame: r.CaptureFrame) -> str:
        """The words of a turn that is over now; "" while there is none."""
        found = self._turn.found() if self._turn is not None else None
        if self._turn is None or found is None:
            return ""
        over, words = found
        if not over and self._listener.segments.quiet_ms < GIVE_UP_WAITING_MS:
            return ""
        words = f"{self._turn.before} {words}".strip()
        self._turn = None
        if words:
            self._begin_answer(words, frame)
        return words

    # --- the answer

    def _begin_answer(self, words: str, frame: r.CaptureFrame) -> None:
        if self._answer is not None:
            self._drop_answer()  # what is still being looked up is not wanted any more
        self._asked = words
        task_id = ""
        if self._stages.look_up is not None and wants_look_up(words):
            task_id = f"{self._id}-{frame.tick}"
            self._events.append(r.TurnEvent(name="delegated", task_id=task_id))
        history = self._history.prompt_with(words)
        self._answer = Answer(self._stages, history, task_id)

    def _drop_answer(self) -> None:
        answer, self._answer = self._answer, None
        self._player.stop()
        if answer is None:
            return
        answer.drop()
        if answer.task_id:
            name = "weave_dropped" if answer.result is not None else "cancelled"
            self._events.append(r.TurnEvent(name=name, task_id=answer.task_id))
        self._remember()

    def _remember(self) -> None:
        self._history.add("user", self._asked)
        self._history.add("assistant", self._said)
        self._asked = self._said = ""

    def _say(self, frame: r.CaptureFrame) -> tuple[bytes | None, str]:
        answer = self._answer
        if answer is None:
            return None, ""
        answer.check()
        self._report(answer, frame)
        waits = self._turn is not None or self._listener.segments.speaking
        if not self._player.speaking and answer.ready and not waits:
            self._player.say(answer.ready.popleft())
            self._weave(answer)
        audio, text = self._player.next()
        self._said += text
        if answer.made and not answer.ready and not self._player.speaking:
            self._finish(answer)
        return audio, text

    def _weave(self, answer: Answer) -> None:
        if answer.filler:
            answer.filler = False
        elif answer.task_id and not answer.woven:
            answer.woven = True
            self._events.append(r.TurnEvent(name="weave_started", task_id=answer.task_id))

    def _finish(self, answer: Answer) -> None:
        if answer.task_id and answer.woven:
            self._events.append(r.TurnEvent(name="weave_finished", task_id=answer.task_id))
        self._answer = None
        self._remember()

    def _report(self, answer: Answer, frame: r.CaptureFrame) -> None:
        """Tell the client when the result of a look-up was there, as the background service does."""
        if not answer.task_id or answer.reported or answer.result is None:
            return
        answer.reported = True
        self._results.append(
            r.BackgroundResult(
                session_id=self._id,
                timestamp_ms=frame.timestamp_ms,
                task_id=answer.task_id,
                seq=0,
                kind=r.ResultKind.FINAL,
                text=answer.result,
            )
        )
