"""One task from question to answer: hear it, ask the language model, say it sentence by sentence."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from schemas.records import BackgroundTask, ResultKind
from services.background.hearing import Hearing
from services.background.listen import read_audio
from services.background.llm import ChatEndpoint, LlmRejected, LlmUnavailable
from services.background.prompt import messages, question_in, was_typed
from services.background.speech import Spoken, spoken_sentences
from shared.clock import Clock
from shared.log.api import Log, LogUnavailable
from shared.log.retry import Backoff
from shared.logging import get_logger
from shared.metrics import RETRIES

_log = get_logger(__name__)
TOKENS_PER_WORD = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to publish about a task; becomes a ``BackgroundResult``."""

    kind: ResultKind
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    max_words: int = 60
    max_sentences: int = 2
    backoff: Backoff = field(default_factory=lambda: Backoff(attempts=4, first_s=0.25, most_s=2.0))


class Answerer:
    """``hearing`` is None where the extra is not installed: then the interaction model's own transcript must do."""

    def __init__(
        self, log: Log, clock: Clock, llm: ChatEndpoint, hearing: Hearing | None, limits: Limits, *, client_id: str
    ) -> None:
        self._log = log
        self._clock = clock
        self._llm = llm
        self._hearing = hearing
        self._limits = limits
        self._client_id = client_id

    async def answer(self, task: BackgroundTask) -> AsyncGenerator[Step, None]:
        """Steps in order, the last one FINAL or ERROR. Closing the iterator ends all work on the task."""
        question, progress = await self._question(task)
        yield progress
        if not question:
            yield Step(ResultKind.ERROR, "no question was heard")
            return
        async with aclosing(self._ask(task, question)) as steps:
            async for step in steps:
                yield step

    # --- the question

    async def _question(self, task: BackgroundTask) -> tuple[str, Step]:
        """The words to answer, and a PROGRESS that says where they come from."""
        known = question_in(task.context)
        text = " ".join(known.text.split()) if known else ""
        if was_typed(task.context):
            return text, _heard(text, "typed")
        if self._hearing is None:
            return text, _heard(text, "own_transcript", "hearing is not installed: using the model's own transcript")
        try:
            heard, why = await self._hear(self._hearing, task), ""
        except LogUnavailable as error:
            _log.warning("span_not_read", task=task.task_id, error=str(error))
            heard, why = "", "the recorded words could not be read"
        if heard:
            return heard, _heard(heard, "hearing")
        return text, _heard(text, "own_transcript", why or "nothing was heard in the recorded words")

    async def _hear(self, hearing: Hearing, task: BackgroundTask) -> str:
        span = task.context
        pcm = await read_audio(
            self._log, task.session_id, span.span_start_ms, span.span_end_ms, client_id=self._client_id
        )
        return await hearing.transcribe(pcm) if pcm else ""

    # --- the answer

    async def _ask(self, task: BackgroundTask, question: str) -> AsyncGenerator[Step, None]:
        """Ask, and ask again a bounded number of times while the endpoint is unavailable."""
        backoff = self._limits.backoff
        for attempt in range(backoff.attempts):
            spoken = Spoken(self._limits.max_words, self._limits.max_sentences)
            try:
                deltas = self._llm.stream(
                    messages(task.context, question), max_tokens=self._limits.max_words * TOKENS_PER_WORD
                )
                async with aclosing(spoken_sentences(deltas, spoken)) as sentences:
                    async for sentence in sentences:
                        yield Step(ResultKind.PARTIAL, sentence)
                yield _end(spoken)
                return
            except LlmRejected as error:
                yield Step(ResultKind.ERROR, f"the language model refused: {error}")
                return
            except LlmUnavailable as error:
                _log.warning("llm_unavailable", task=task.task_id, attempt=attempt, error=str(error))
                if spoken.said:  # whole sentences are out: better half an answer than the same words twice
                    yield Step(ResultKind.FINAL, spoken.text, {"cut_short": str(error)})
                    return
                reason = str(error)
            RETRIES.labels("background").inc()
            await self._clock.sleep(backoff.delay_s(attempt))
        yield Step(ResultKind.ERROR, f"the language model is unavailable: {reason}")


def _heard(text: str, source: str, why: str = "") -> Step:
    data = {"stage": "question", "source": source} | ({"why": why} if why else {})
    return Step(ResultKind.PROGRESS, text, data)


def _end(spoken: Spoken) -> Step:
    if not spoken.text:
        return Step(ResultKind.ERROR, "the language model had no answer")
    return Step(ResultKind.FINAL, spoken.text)
