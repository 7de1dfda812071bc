"""What this worker writes into the shared context: which tasks a session has, and what they found out."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from schemas.records import BackgroundTask, ContextEntry, ResultKind
from shared.context import FACTS, TASKS, Facts, Tasks, TaskState, WriteBehind

MAX_SESSIONS = 4096
MAX_TASKS = MAX_FACTS = 16


@dataclass(slots=True)
class _Notes:
    tasks: OrderedDict[str, TaskState] = field(default_factory=OrderedDict)
    facts: deque[ContextEntry] = field(default_factory=lambda: deque(maxlen=MAX_FACTS))


class Notebook:
    """Newest notes of the sessions that this worker has served lately; written behind, lost without harm."""

    def __init__(self, behind: WriteBehind) -> None:
        self._behind = behind
        self._sessions: OrderedDict[str, _Notes] = OrderedDict()

    def began(self, task: BackgroundTask, now_ms: int) -> None:
        self._task(task, "running", now_ms)

    def ended(self, task: BackgroundTask, kind: ResultKind, text: str, now_ms: int) -> None:
        notes = self._task(task, kind.value, now_ms)
        if kind is ResultKind.FINAL:
            notes.facts.append(ContextEntry(role="result", timestamp_ms=now_ms, text=text))
            self._behind.put(FACTS, task.session_id, Facts(facts=list(notes.facts)))

    def _task(self, task: BackgroundTask, state: str, now_ms: int) -> _Notes:
        notes = self._sessions.setdefault(task.session_id, _Notes())
        self._sessions.move_to_end(task.session_id)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        notes.tasks[task.task_id] = TaskState(
            task_id=task.task_id, state=state, since_ms=now_ms, deadline_ms=task.deadline_ms
        )
        while len(notes.tasks) > MAX_TASKS:
            notes.tasks.popitem(last=False)
        self._behind.put(TASKS, task.session_id, Tasks(tasks=list(notes.tasks.values())))
        return notes
