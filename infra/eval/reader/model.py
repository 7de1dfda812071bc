"""The reader: asks the background for every typed line, says the answer word by word, falls silent when typed to.

Its words take nano's road: delegated, answered, woven in as fast as the voice takes them, dropped when it yields. It
holds no state: every decision follows from its input alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.records import Floor, TokenKind, UserActivity
from services.interaction.protocol import StepInput, StepOutput, Voice

CAPACITY = 256
_QUIET, _ASK, _SAY, _STOP = range(4)


class Reader:
    """See ``InteractionModel``."""

    name = "reader-1 (not a model: it reads aloud for the report)"
    encoder_version = ""
    d = 0
    context_ticks = 1
    quiet_tokens: tuple[int, ...] = (_QUIET,)

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._open: set[str] = set()

    def open(self, session_id: str, seed: int, first_tick: int = 0) -> None:
        if session_id in self._open:
            raise ValueError(f"session {session_id} is open already")
        self._open.add(session_id)

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        if not self._open.issuperset(item.session_id for item in batch):
            raise KeyError("a session is not open")
        return [_decide(item) for item in batch]

    def prefill(self, inputs: Sequence[StepInput], outputs: Sequence[tuple[int, ...]]) -> None:
        """Nothing to rebuild."""

    def quiet(self, session_id: str) -> tuple[int, ...]:
        if session_id not in self._open:
            raise KeyError(session_id)
        return self.quiet_tokens

    def close(self, session_id: str) -> None:
        self._open.discard(session_id)


def _decide(item: StepInput) -> StepOutput:
    """A line that is typed while something is said or awaited means: stop."""
    typed = bool((item.kinds == TokenKind.TEXT).any())
    busy = item.voice is not Voice.SILENT or item.pending_left > 0 or item.delegated
    if typed and busy:
        return _output(_STOP, Floor.YIELD)
    if typed:
        return _output(_ASK, Floor.HOLD)
    if item.pending_left and item.voice is not Voice.BUSY:
        return _output(_SAY, Floor.TAKE)
    return _output(_QUIET, Floor.HOLD)


def _output(what: int, floor: Floor) -> StepOutput:
    return StepOutput(
        floor=floor,
        user=UserActivity.SILENT,
        tokens=(what,),
        delegate=what == _ASK,
        say_pending=what == _SAY,
        cancel=what == _STOP,
    )
