"""The background's language model in the evaluation: an OpenAI-compatible endpoint that answers from the scenarios.

It finds the key words in the last question and answers, after the scripted delay, what the scenario says; so it is
known when a result can be ready, and no figure depends on what some language model happens to know.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import msgspec
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from infra.eval.meaning import plain
from infra.eval.scenario import Scenario

MODEL = "scripted"
UNKNOWN = "I could not find anything about that."
UNKNOWN_AFTER_MS = 1200


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    delay_ms: int


class Clash(ValueError):
    """Two scenarios want different answers for the same key word."""


class Script:
    """What is known, by key word."""

    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        """Raises ``Clash``."""
        self._answers: dict[tuple[str, ...], Answer] = {}
        for scenario in scenarios:
            for key, text in scenario.results.items():
                answer = Answer(text, scenario.delays_ms.get(key, UNKNOWN_AFTER_MS))
                if self._answers.setdefault(tuple(plain(key)), answer) != answer:
                    raise Clash(f"{scenario.id}: {key!r} has another answer or delay elsewhere")

    def answer(self, question: str) -> Answer:
        """That of the first key in the question; a key is one word or more, numbers are equal however written."""
        words = plain(question)
        for place in range(len(words)):
            for key, answer in self._answers.items():
                if tuple(words[place : place + len(key)]) == key:
                    return answer
        return Answer(UNKNOWN, UNKNOWN_AFTER_MS)


def application(script: Script) -> FastAPI:
    """The two calls that the background service makes."""
    app = FastAPI()

    @app.get("/v1/models")
    async def models() -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> StreamingResponse:
        body = await request.json()
        questions = [m["content"] for m in body["messages"] if m["role"] == "user"]
        answer = script.answer(questions[-1] if questions else "")
        return StreamingResponse(_events(answer), media_type="text/event-stream")

    return app


async def _events(answer: Answer) -> AsyncIterator[bytes]:
    await asyncio.sleep(answer.delay_ms / 1000)
    for delta in ({"role": "assistant", "content": answer.text}, {}):
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        event = {"id": "scripted", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}
        yield b"data: " + msgspec.json.encode(event) + b"\n\n"
    yield b"data: [DONE]\n\n"


class _Server(uvicorn.Server):
    """Leaves Ctrl-C to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    """The endpoint's base address while the block runs."""
    door = socket.create_server(("127.0.0.1", 0))  # calls wait at the door until the server takes them
    config = uvicorn.Config(application(script), log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[door]))
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await running
        door.close()
