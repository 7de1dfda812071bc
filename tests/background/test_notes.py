"""What the background notes in the shared context: a fold over the log's records, recalled after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.redis import LocalRedis
from schemas import records as r
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS
from services.background.notes import MAX_TASKS, SUMMARY_CHARS, Notebook, summary_of
from services.background.prompt import HISTORY_ENTRIES
from services.background.settings import BackgroundSettings
from shared import context as ctx
from shared.clock import SystemClock
from tests.background.rig import Rig, serving


def entries(count: int, *, words: str = "so they said") -> list[r.ContextEntry]:
    roles = ("user_heard", "assistant")
    return [r.ContextEntry(role=roles[n % 2], timestamp_ms=200 * n, text=f"{n} {words}") for n in range(count)]


def test_the_summary_holds_the_beginnings_of_what_a_prompt_does_not() -> None:
    assert summary_of(entries(HISTORY_ENTRIES)) is None
    summary = summary_of(entries(HISTORY_ENTRIES + 3))
    assert summary is not None
    assert summary.text.splitlines() == ["user: 0 so they said", "assistant: 1 so they said", "user: 2 so they said"]
    assert summary.through_ms == 400


def test_a_long_summary_keeps_the_newest() -> None:
    summary = summary_of(entries(64, words="very " * 100))
    assert summary is not None
    lines = summary.text.splitlines()
    assert len(summary.text) <= SUMMARY_CHARS
    assert lines[-1].split()[1] == str(64 - HISTORY_ENTRIES - 1)
    assert lines[0].split()[1] != "0"


class Kept(ctx.WriteBehind):
    """Notes that are looked at before they are written."""

    def __init__(self) -> None:
        super().__init__(ctx.SharedContext("redis://127.0.0.1:1/0"), SystemClock(), capacity=10_000)
        self.values: dict[tuple[str, str], object] = {}

    def put(self, family: ctx.Family[object], session_id: str, value: object) -> None:
        super().put(family, session_id, value)
        self.values[family.name, session_id] = value


def task(n: int, session: str = "s") -> r.BackgroundTask:
    at = 1_700_000_000_000 + 1000 * n
    context = r.ContextPackage(span_start_ms=at, span_end_ms=at + 200)
    return r.BackgroundTask(
        session_id=session, timestamp_ms=at, task_id=f"{session}-{n}", deadline_ms=at + 30_000, context=context
    )


def last(n: int, kind: r.ResultKind, text: str = "", session: str = "s", seq: int = 1) -> r.BackgroundResult:
    at = 1_700_000_000_400 + 1000 * n
    return r.BackgroundResult(
        session_id=session, timestamp_ms=at, task_id=f"{session}-{n}", seq=seq, kind=kind, text=text
    )


def test_the_same_records_give_the_same_notes_however_often_they_come() -> None:
    records = [task(1), last(1, r.ResultKind.FINAL, "Paris"), task(2), last(2, r.ResultKind.ERROR, "no"), task(3)]
    records += [last(1, r.ResultKind.PARTIAL, "Pa", seq=0), last(9, r.ResultKind.FINAL, "of nobody")]
    once, twice = Kept(), Kept()
    for notes, times in ((once, 1), (twice, 2)):
        notebook = Notebook(notes)
        for record in records * times:
            notebook.took(record)
    assert once.values == twice.values
    tasks = once.values["tasks", "s"]
    assert isinstance(tasks, ctx.Tasks)
    assert [(one.task_id, one.state) for one in tasks.tasks] == [("s-1", "final"), ("s-2", "error"), ("s-3", "running")]
    facts = once.values["facts", "s"]
    assert isinstance(facts, ctx.Facts)
    assert [fact.text for fact in facts.facts] == ["Paris"]


def test_after_a_loss_only_sessions_that_go_on_are_written_again() -> None:
    notes = Kept()
    notebook = Notebook(notes)
    for session in ("a", "b"):
        for n in range(MAX_TASKS + 4):
            notebook.began(task(n, session))
    notebook.session_ended("a")
    notes.values.clear()
    notebook.note_again()
    assert list(notes.values) == [("tasks", "b")]
    tasks = notes.values["tasks", "b"]
    assert isinstance(tasks, ctx.Tasks)
    assert len(tasks.tasks) == MAX_TASKS
    notebook.ended(last(MAX_TASKS, r.ResultKind.CANCELLED, session="a"))
    assert ("tasks", "a") in notes.values  # a task that ends after its session is noted all the same


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path / "redis") as server:
        yield server


async def test_a_worker_that_was_started_anew_recalls_what_its_sessions_know(
    rig: Rig, options: BackgroundSettings, redis: LocalRedis
) -> None:
    """The fact of a former task, known to the log alone, stands beside the new one's."""
    old = rig.task("s-1", "What is the capital of France?", at_ms=rig.task().timestamp_ms - 60_000)
    await rig.send(BACKGROUND_TASKS, old)
    done = r.BackgroundResult(
        session_id="s",
        timestamp_ms=old.timestamp_ms + 2_000,
        task_id="s-1",
        seq=0,
        kind=r.ResultKind.FINAL,
        text="It is Paris.",
    )
    await rig.send(BACKGROUND_RESULTS, done)
    before = (r.ContextEntry(role="user_typed", timestamp_ms=old.timestamp_ms - 200, text="hello"),)
    async with serving(rig, options.model_copy(update={"redis_url": redis.url})):
        await rig.delegate(rig.task("s-2", "And of Spain?", before=before))
        await rig.ended("s-2")
    shared = ctx.SharedContext(redis.url)
    tasks, facts = await shared.get(ctx.TASKS, "s"), await shared.get(ctx.FACTS, "s")
    await shared.close()
    assert tasks is not None
    assert facts is not None
    assert {one.task_id: one.state for one in tasks.tasks} == {"s-1": "final", "s-2": "final"}
    assert facts.facts[0].text == "It is Paris."
    assert len(facts.facts) == 2
