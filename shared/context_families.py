"""What the shared context holds: the families of keys, their values, who writes them and how long they live.

Redis is a notebook here, never the truth: every value is a fold over records of the log. When it is lost or emptied,
the writing services notice by their leases and write what they know of their live sessions again, and ``python -m
infra.context rebuild`` writes all of it from the log. Every family has a time to live, one writing service, and readers
that cope with nothing being there:

| key | value | writer | lives |
|---|---|---|---|
| ``ctx:{session}:config`` | ``SessionConfig`` | capture, write-behind | 24 h |
| ``ctx:{session}:transcript`` | ``Transcript``: the last entries | interaction, write-behind | 24 h |
| ``ctx:{session}:cursor`` | ``Cursor``: how far it is; at most a second old | interaction, write-behind | 24 h |
| ``ctx:{session}:tasks`` | ``Tasks``: what the background is working on | background, write-behind | 24 h |
| ``ctx:{session}:facts`` | ``Facts``: what was found out | background, write-behind | 24 h |
| ``ctx:{session}:summary`` | ``Summary``: what was said before what a prompt holds | background, write-behind | 24 h |
| ``worker:{service}:lease:<instance>`` | owner of the instance's name | that worker | its lease |
| ``worker:{service}:info:<instance>`` | ``Worker``: load, announced encoder version, … | that worker | its lease |
| ``worker:{service}:names`` | names to look under ``info`` for | the service's workers | 24 h |

The braces are hash tags: they keep a session, and a service's workers, in one slot of a Redis Cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from schemas.records import ContextEntry, SessionConfig

_DAY_MS = 24 * 3_600_000
T = TypeVar("T")


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation's last entries, oldest first."""

    entries: list[ContextEntry] = []


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """A tick of a session that has a turn, no more than five before the newest, and who made it."""

    tick: int
    timestamp_ms: int
    epoch: int = 0
    worker: str = ""


class TaskState(msgspec.Struct, frozen=True, kw_only=True):
    task_id: str
    state: str  # running | final | error | cancelled
    since_ms: int
    deadline_ms: int


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    tasks: list[TaskState] = []


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What background tasks found out, oldest first."""

    facts: list[ContextEntry] = []


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation up to ``through_ms`` in few words."""

    text: str
    through_ms: int


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A live worker and what it says of itself, e.g. ``{"encoder_version": "nano-0.1.0"}``."""

    service: str
    instance_id: str
    info: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Family(Generic[T]):
    """One key per session: ``ctx:{<session>}:<name>``. ``writer`` is the only service that may put it."""

    name: str
    kind: type[T]
    writer: str
    ttl_ms: int = _DAY_MS

    def key(self, session_id: str) -> str:
        return f"ctx:{{{session_id}}}:{self.name}"


CONFIG = Family("config", SessionConfig, "capture")
TRANSCRIPT = Family("transcript", Transcript, "interaction")
CURSOR = Family("cursor", Cursor, "interaction")
TASKS = Family("tasks", Tasks, "background")
FACTS = Family("facts", Facts, "background")
SUMMARY = Family("summary", Summary, "background")
FAMILIES: tuple[Family[Any], ...] = (CONFIG, TRANSCRIPT, CURSOR, TASKS, FACTS, SUMMARY)
