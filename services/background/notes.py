"""What this service writes into the shared context: a session's tasks, what they found out, what lies further back.

Every note is a function of records that lie in the log, so ``python -m infra.context rebuild`` writes the same ones.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.records import BackgroundCancel, BackgroundResult, BackgroundTask, ContextEntry, ResultKind
from services.background.listen import TERMINAL
from services.background.prompt import HISTORY_ENTRIES
from shared.context import FACTS, SUMMARY, TASKS, Facts, Summary, Tasks, TaskState, WriteBehind

MAX_SESSIONS = 4096
MAX_TASKS = MAX_FACTS = 16
SUMMARY_CHARS = 1_000
_LINE_CHARS = 80


def summary_of(entries: Sequence[ContextEntry]) -> Summary | None:
    """The beginnings of what was said before the entries that a prompt holds, the newest last; None when all fit."""
    older = [entry for entry in entries[:-HISTORY_ENTRIES] if entry.text.strip()]
    if not older:
        return None
    lines = [
        f"{'user' if e.role.startswith('user_') else 'assistant'}: {' '.join(e.text.split())[:_LINE_CHARS]}"
        for e in older
    ]
    while len(lines) > 1 and sum(map(len, lines)) + len(lines) > SUMMARY_CHARS:
        lines.pop(0)
    return Summary(text="\n".join(lines), through_ms=older[-1].timestamp_ms)


@dataclass(slots=True)
class _Notes:
    tasks: OrderedDict[str, TaskState] = field(default_factory=OrderedDict)
    facts: deque[ContextEntry] = field(default_factory=lambda: deque(maxlen=MAX_FACTS))
    summary: Summary | None = None
    over: bool = False


class Notebook:
    """Newest notes of the sessions that this worker has served lately; written behind, lost without harm."""

    def __init__(self, behind: WriteBehind) -> None:
        self._behind = behind
        self._sessions: OrderedDict[str, _Notes] = OrderedDict()

    def knows(self, session_id: str) -> bool:
        return session_id in self._sessions

    def took(self, record: BackgroundTask | BackgroundCancel | BackgroundResult) -> None:
        """Take a record as the log has it, of a task that this worker may never have seen itself."""
        if isinstance(record, BackgroundTask):
            self.began(record)
        elif isinstance(record, BackgroundResult) and record.kind in TERMINAL:
            self.ended(record)

    def began(self, task: BackgroundTask) -> None:
        """A task is worked on; one that is noted already changes nothing."""
        notes = self._of(task.session_id)
        if task.task_id in notes.tasks:
            return
        notes.tasks[task.task_id] = TaskState(
            task_id=task.task_id, state="running", since_ms=task.timestamp_ms, deadline_ms=task.deadline_ms
        )
        while len(notes.tasks) > MAX_TASKS:
            notes.tasks.popitem(last=False)
        notes.summary = summary_of(task.context.entries) or notes.summary
        self._put(task.session_id, notes)

    def ended(self, result: BackgroundResult) -> None:
        """A task's last result; a second last one, of a task that was given to two workers, changes nothing."""
        notes = self._sessions.get(result.session_id)
        task = notes.tasks.get(result.task_id) if notes else None
        if notes is None or task is None or task.state != "running":
            return
        notes.tasks[result.task_id] = TaskState(
            task_id=task.task_id,
            state=result.kind.value,
            since_ms=result.timestamp_ms,
            deadline_ms=task.deadline_ms,
        )
        if result.kind is ResultKind.FINAL:
            notes.facts.append(ContextEntry(role="result", timestamp_ms=result.timestamp_ms, text=result.text))
        self._put(result.session_id, notes)

    def session_ended(self, session_id: str) -> None:
        """What is written stays for its time, and need not be written again."""
        if session_id in self._sessions:
            self._sessions[session_id].over = True

    def note_again(self) -> None:
        """The shared context may have lost everything: write what is known of the sessions that go on."""
        for session_id, notes in self._sessions.items():
            if not notes.over:
                self._put(session_id, notes)

    def _of(self, session_id: str) -> _Notes:
        notes = self._sessions.setdefault(session_id, _Notes())
        self._sessions.move_to_end(session_id)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return notes

    def _put(self, session_id: str, notes: _Notes) -> None:
        self._behind.put(TASKS, session_id, Tasks(tasks=list(notes.tasks.values())))
        if notes.facts:
            self._behind.put(FACTS, session_id, Facts(facts=list(notes.facts)))
        if notes.summary is not None:
            self._behind.put(SUMMARY, session_id, notes.summary)
