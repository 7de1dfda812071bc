"""A stack for the demo: one that runs already, the local one, or all in one process where there is no Java."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from infra.local import children, oneprocess
from infra.local.jars import KafkaUnavailable
from infra.local.plan import StackOptions
from infra.local.stack import LocalStack, StackFailed

_READY_TIMEOUT_S = 120.0


class Watched:
    """Passes on what the supervisor says for people and keeps the children's last lines for the case of a failure."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.up = asyncio.Event()
        self.last_lines: deque[str] = deque(maxlen=30)

    def say(self, source: str, event: str, text: str = "", **facts: object) -> None:
        self.last_lines.append(f"{source}: {text or event}")
        if (source, event) == ("stack", "up"):
            self.up.set()
        elif text:
            self._tell(f"{source}: {text}")

    def log_line(self, source: str, line: str) -> None:
        self.last_lines.append(f"{source}: {line}")


@asynccontextmanager
async def running_stack(
    model: Literal["nano", "echo"], tell: Callable[[str], None], *, in_memory: bool = False
) -> AsyncIterator[str]:
    """The address of a stack that is ready; it is taken down at the end of the block.

    Raises:
        StackFailed: it could not be brought up; the message says why.
    """
    events = Watched(tell)
    if not in_memory:
        stack = LocalStack(StackOptions(model=model, log_level="warning"), events)
        try:
            await stack.start()
        except KafkaUnavailable as reason:
            tell(f"{reason}: all services in one process, the log in memory")
        else:
            try:
                yield stack.addresses.page
            finally:
                await stack.stop()
            return
    async with _one_process(model, events) as address:
        yield address


@asynccontextmanager
async def _one_process(model: Literal["nano", "echo"], events: Watched) -> AsyncIterator[str]:
    options = StackOptions(model=model, port=children.free_port(), log_level="warning")
    stop = asyncio.Event()
    serving = asyncio.create_task(oneprocess.run(options, events, stop))
    up = asyncio.create_task(events.up.wait())
    try:
        await asyncio.wait({serving, up}, timeout=_READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        if not up.done():
            raise StackFailed(f"not ready after {_READY_TIMEOUT_S:.0f} s: " + " / ".join(events.last_lines))
        yield f"http://{options.host}:{options.port}/"
    finally:
        up.cancel()
        stop.set()
        await asyncio.gather(serving, up, return_exceptions=True)
