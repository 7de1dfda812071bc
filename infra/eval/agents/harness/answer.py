"""One answer in the making: words from a language model, made into speech a sentence at a time, ahead of its saying."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

from infra.eval.agents.harness.chat import sentences
from infra.eval.agents.harness.stages import Stages
from infra.eval.agents.speech import Speech
from services.background.llm import LlmRejected, LlmUnavailable
from services.background.prompt import Message
from shared.logging import get_logger

logger = get_logger(__name__)
FILLER = "One moment, let me check."
SORRY = "Sorry, I could not find that out."


class Answer:
    """``task_id`` is set when something is looked up: then a filler is said at once, as stacks with tools do."""

    def __init__(self, stages: Stages, prompt: list[Message], task_id: str) -> None:
        self.task_id = task_id
        self.ready: deque[Speech] = deque()
        """What can be said, in order."""
        self.result: str | None = None
        """The whole answer once the language model has ended."""
        self.reported = False
        """Whether the client was told that it is there."""
        self.woven = False
        """Whether the first words of what was looked up have been said."""
        self.filler = bool(task_id)
        """Whether the next speech is the filler."""
        self._stages = stages
        self._prompt = prompt
        self._task = asyncio.create_task(self._make())

    @property
    def made(self) -> bool:
        """Nothing more will become ready."""
        return self._task.done()

    @property
    def task(self) -> asyncio.Task[None]:
        return self._task

    def check(self) -> None:
        """Raises what went wrong in the making, if that was a bug."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def drop(self) -> None:
        """Stop making it."""
        self._task.cancel()
        self.ready.clear()

    async def _make(self) -> None:
        stages, said = self._stages, []
        looked_up = self.task_id and stages.look_up is not None
        if self.task_id:
            self.ready.append(await stages.speak(FILLER))
        llm = stages.look_up if looked_up and stages.look_up is not None else stages.chat
        try:
            async with aclosing(sentences(llm, self._prompt)) as answer:
                async for sentence in answer:
                    said.append(sentence)
                    self.ready.append(await stages.speak(sentence))
        except (LlmUnavailable, LlmRejected) as error:
            logger.warning("no_answer", error=str(error), sentences=len(said))
        if not said:
            said.append(SORRY)
            self.ready.append(await stages.speak(SORRY))
        self.result = " ".join(said)
