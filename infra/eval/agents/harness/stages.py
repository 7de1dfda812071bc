"""What all conversations of the cascade share: the loaded models and the threads that they run on.

A conversation has at most one turn in examination and one answer in the making, so what waits for a thread is bounded
by the number of conversations; what has been given up leaves the queue.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import numpy as np

from infra.eval.agents.harness.chat import History, sentences
from infra.eval.agents.harness.turn_end import COMPLETE, TurnEnd
from infra.eval.agents.harness.vad import Voice
from infra.eval.agents.settings import AgentSettings
from infra.eval.agents.speech import Speech, speak
from services.background.hearing import Hearing
from services.background.llm import ChatEndpoint
from services.background.local_llm import LocalLlm

SLOTS = 3
SPEAKERS = 2
NICE = 5


def _behind_the_ticks() -> None:
    """This thread's work can wait for a tick; a tick cannot wait for it. (Linux counts niceness by thread.)"""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Stages:
    """Loads everything in the constructor (seconds; call it from a thread).

    ``chat`` is ``EVAL_CHAT_LLM_URL`` or SmolLM2 in this process; ``look_up`` is ``BACKGROUND_LLM_URL``, what the
    background service would ask, or None.
    """

    def __init__(self, settings: AgentSettings) -> None:
        """Raises ``WeightsMissing``, ``HearingMissing`` or ``ModelMissing``."""
        self.voice = Voice()
        self._turn_end = TurnEnd()
        self._hearing = Hearing()
        self._local = None if settings.eval_chat_llm_url else LocalLlm(slots=SLOTS, threads=1)
        timeout_s = settings.background_llm_timeout_s
        if self._local is None:
            self.chat = ChatEndpoint(settings.eval_chat_llm_url, timeout_s=timeout_s)
        else:
            local = self._local
            self.chat = ChatEndpoint(local.url, model=local.model, key=local.key, timeout_s=timeout_s)
        self.look_up: ChatEndpoint | None = None
        if settings.background_llm_url:
            key = settings.background_llm_key.get_secret_value()
            model = settings.background_llm_model
            self.look_up = ChatEndpoint(settings.background_llm_url, model=model, key=key, timeout_s=timeout_s)
        self._deciding = ThreadPoolExecutor(1, thread_name_prefix="turn-end", initializer=_behind_the_ticks)
        self._speaking = ThreadPoolExecutor(SPEAKERS, thread_name_prefix="speak", initializer=_behind_the_ticks)

    async def warm(self) -> None:
        """Run each stage once, so that the first user does not wait for what is loaded lazily."""
        noise = (1000 * np.sin(np.arange(32_000) ** 1.5 / 50)).astype("<i2").tobytes()
        await asyncio.gather(self.complete(noise), self.transcribe(noise), self.speak("hello"))
        # At once, so that each slot of the language model has read the prompt that all conversations begin with.
        await asyncio.gather(*(self._say_hello() for _ in range(SLOTS)))

    async def _say_hello(self) -> None:
        async with aclosing(sentences(self.chat, History().prompt_with("hello"))) as answer:
            async for _ in answer:
                pass

    async def complete(self, pcm: bytes) -> bool:
        """Whether a turn with this audio is over."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._deciding, self._turn_end.probability, pcm) > COMPLETE

    async def transcribe(self, pcm: bytes) -> str:
        """The words of a turn; "" where there are none."""
        return await self._hearing.transcribe(pcm)

    async def speak(self, text: str) -> Speech:
        return await asyncio.get_running_loop().run_in_executor(self._speaking, speak, text)

    async def close(self) -> None:
        self._deciding.shutdown(wait=False, cancel_futures=True)
        self._speaking.shutdown(wait=False, cancel_futures=True)
        self._hearing.close()
        for endpoint in (self.chat, self.look_up):
            if endpoint is not None:
                await endpoint.close()
        if self._local is not None:
            await asyncio.to_thread(self._local.close)
