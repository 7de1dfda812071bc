"""What stands in the shared context at the end of a session: the conversation as every other process knows it."""

from __future__ import annotations

from schemas.records import ContextEntry
from shared.clock import Clock
from shared.context import CURSOR, TRANSCRIPT, ContextUnavailable, SharedContext

WITHIN_S = 5.0  # notes are written behind the path
_PAUSE_S = 0.05


async def transcript(redis_url: str, session_id: str, last_tick: int, clock: Clock) -> list[ContextEntry] | None:
    """The session's transcript once its ``last_tick`` is noted; None when it does not come, or nobody answers."""
    context = SharedContext(redis_url)
    until = clock.monotonic() + WITHIN_S
    try:
        while clock.monotonic() < until:
            cursor = await context.get(CURSOR, session_id)
            if cursor is not None and cursor.tick >= last_tick:
                noted = await context.get(TRANSCRIPT, session_id)
                return noted.entries if noted is not None else None
            await clock.sleep(_PAUSE_S)
        return None
    except ContextUnavailable:
        return None
    finally:
        await context.close()
