"""Acknowledgements in the order of the log, whatever order the work ends in.

Faust commits past a record that is still open when a later one is acknowledged first and nothing was committed
before, so it is never given the chance.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from faust.types import TP, EventT


@dataclass(slots=True)
class _Open:
    event: EventT[bytes]
    done: bool = False


class InOrder:
    """Per partition, the records that were given to us and are not acknowledged yet."""

    def __init__(self) -> None:
        self._open: dict[TP, OrderedDict[int, _Open]] = {}

    def take(self, event: EventT[bytes]) -> None:
        """A record has come; in order of its partition."""
        self._open.setdefault(event.message.tp, OrderedDict())[event.message.offset] = _Open(event)

    def done(self, event: EventT[bytes]) -> None:
        """It is finished: acknowledge it and what was only waiting for it. Unknown after ``forget``: ignored."""
        records = self._open.get(event.message.tp, OrderedDict())
        record = records.get(event.message.offset)
        if record is None or record.event is not event:
            return
        record.done = True
        while records and (first := next(iter(records.values()))).done:
            records.popitem(last=False)
            first.event.ack()

    def forget(self) -> None:
        """The partitions were given back: their next owner is given again what is open."""
        self._open.clear()
