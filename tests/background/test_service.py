"""The background service at its topics: tasks and cancels in, results out, over the log in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import codec
from schemas import records as r
from schemas.partitioning import partition_of
from schemas.topics import BACKGROUND_RESULTS, BACKGROUND_TASKS, SESSION_CONTROL
from services.background.listen import TERMINAL
from services.background.local_llm import LocalLlm
from services.background.settings import BackgroundSettings
from shared.clock import SystemClock
from shared.context import FACTS, TASKS, SharedContext, WorkerRegistry
from tests.background.rig import PARTITIONS, Rig, serving, settings
from tests.saying import say

Kind = r.ResultKind
STORY = "Tell me a very long story about a dog that goes to the sea with its friends."


async def test_the_built_in_model_answers_a_typed_question(rig: Rig) -> None:
    task = rig.task()
    await rig.delegate(task)
    async with serving(rig, settings()):
        final = (await rig.ended(task.task_id))[task.task_id]
    results = await rig.results()
    assert [x.kind for x in results] == [Kind.PROGRESS, *[Kind.PARTIAL] * (len(results) - 2), Kind.FINAL]
    assert [x.seq for x in results] == list(range(len(results)))
    assert results[0].data["source"] == "typed" and results[0].text == "What is the capital of France?"
    assert "Paris" in final.text
    assert final.text == " ".join(x.text for x in results if x.kind is Kind.PARTIAL)


async def test_results_carry_the_keys_and_times_that_the_topic_promises(rig: Rig, options: BackgroundSettings) -> None:
    task = rig.task()
    async with serving(rig, options):
        await rig.delegate(task)
        await rig.ended(task.task_id)
    for record in await rig.read(BACKGROUND_RESULTS):
        result = codec.decode(BACKGROUND_RESULTS, record.value)
        assert record.key == result.key.encode()
        assert record.timestamp_ms == result.timestamp_ms
        assert record.timestamp_ms % 200 == 0 and record.timestamp_ms >= task.timestamp_ms
        assert record.partition == partition_of("s", PARTITIONS)


async def test_it_hears_the_delegated_words_in_the_log(rig: Rig, options: BackgroundSettings, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    now_ms = rig.task().timestamp_ms
    await rig.speak(say("Good morning, I like green apples.", tmp_path), end_ms=now_ms - 4_000)
    await rig.speak(say("Who wrote this book about sheep?", tmp_path), end_ms=now_ms, session_id="other")
    start_ms = await rig.speak(say("What is the capital of France?", tmp_path), end_ms=now_ms)
    task = rig.task(question="capital", role="user_heard", at_ms=now_ms - 200, span_ms=now_ms - start_ms)
    async with serving(rig, options.model_copy(update={"background_hearing": "auto"})):
        await rig.delegate(task)
        final = (await rig.ended(task.task_id))[task.task_id]
    heard = (await rig.results())[0]
    assert heard.data["source"] == "hearing"
    assert heard.text.lower().rstrip("?.") == "what is the capital of france"
    assert "Paris" in final.text


@pytest.mark.parametrize("hearing", ["off", "auto"])
async def test_without_recorded_words_the_models_own_transcript_must_do(
    rig: Rig, options: BackgroundSettings, hearing: str
) -> None:
    task = rig.task(question="what is the capital of france", role="user_heard")
    async with serving(rig, options.model_copy(update={"background_hearing": hearing})):
        await rig.delegate(task)
        final = (await rig.ended(task.task_id))[task.task_id]
    said = (await rig.results())[0]
    assert said.data["source"] == "own_transcript" and said.data["why"]
    assert "Paris" in final.text


async def test_nothing_asked_is_an_error(rig: Rig, options: BackgroundSettings) -> None:
    task = rig.task(question="")
    async with serving(rig, options):
        await rig.delegate(task)
        last = (await rig.ended(task.task_id))[task.task_id]
    assert (last.kind, last.text) == (Kind.ERROR, "no question was heard")


async def test_a_cancel_ends_the_stream(rig: Rig, options: BackgroundSettings) -> None:
    task = rig.task(question=STORY)
    long = options.model_copy(update={"background_max_words": 500, "background_max_sentences": 20})
    async with serving(rig, long):
        await rig.delegate(task)
        await rig.until(lambda results: any(x.kind is Kind.PARTIAL for x in results))
        await rig.cancel(task)
        last = (await rig.ended(task.task_id))[task.task_id]
        assert (last.kind, last.data) == (Kind.CANCELLED, {"reason": "user"})
        after = rig.task("s-2")
        await rig.delegate(after)
        await rig.ended("s-2")
    results = await rig.results(task.task_id)
    assert results[-1].kind is Kind.CANCELLED
    assert sum(x.kind in TERMINAL for x in results) == 1


async def test_a_cancel_of_what_is_unknown_or_over_changes_nothing(rig: Rig, options: BackgroundSettings) -> None:
    async with serving(rig, options):
        await rig.cancel(rig.task("never-seen"))
        first = rig.task("s-1")
        await rig.delegate(first)
        await rig.ended("s-1")
        await rig.cancel(first)
        await rig.delegate(rig.task("s-2"))
        await rig.ended("s-2")
    assert [x.kind for x in await rig.results() if x.kind in TERMINAL] == [Kind.FINAL, Kind.FINAL]


async def test_the_end_of_a_session_cancels_its_tasks(rig: Rig, silent_url: str) -> None:
    mine, other = rig.task("s-1"), rig.task("o-1", session_id="other")
    async with serving(rig, settings(background_llm_url=silent_url)):
        await rig.delegate(mine)
        await rig.delegate(other)
        await rig.until(lambda results: {x.task_id for x in results} == {"s-1", "o-1"})
        ended = r.SessionEnded(session_id="s", timestamp_ms=mine.timestamp_ms, ticks=9, reason="bye")
        await rig.send(SESSION_CONTROL, ended)
        assert (await rig.ended("s-1"))["s-1"].kind is Kind.CANCELLED
        await rig.cancel(other)
        await rig.ended("o-1")


async def test_the_deadline_ends_a_task_even_if_the_endpoint_is_silent(rig: Rig, silent_url: str) -> None:
    task, late = rig.task("s-1", deadline_in_ms=400), rig.task("s-2", deadline_in_ms=-5_000)
    async with serving(rig, settings(background_llm_url=silent_url)):
        await rig.delegate(task)
        await rig.delegate(late)
        ends = await rig.ended("s-1", "s-2")
    assert {(x.kind, x.text) for x in ends.values()} == {(Kind.ERROR, "the deadline has passed")}


async def test_more_than_the_queue_holds_is_refused_and_cancels_still_get_through(rig: Rig, silent_url: str) -> None:
    tasks = [rig.task(f"s-{i}") for i in range(6)]
    async with serving(rig, settings(background_llm_url=silent_url, background_concurrency=1, background_queue=2)):
        for task in tasks:
            await rig.delegate(task)
        refused = await rig.ended("s-3", "s-4", "s-5")
        assert {(x.kind, x.data["code"]) for x in refused.values()} == {(Kind.ERROR, "overloaded")}
        for task in tasks[:3]:  # one runs, two wait
            await rig.cancel(task)
        cancelled = await rig.ended("s-0", "s-1", "s-2")
    assert {x.kind for x in cancelled.values()} == {Kind.CANCELLED}


async def test_an_endpoint_that_is_down_is_tried_again_then_reported(rig: Rig) -> None:
    task = rig.task()
    async with serving(rig, settings(background_llm_url="http://127.0.0.1:9/v1")):
        await rig.delegate(task)
        last = (await rig.ended(task.task_id))[task.task_id]
    assert last.kind is Kind.ERROR and "unavailable" in last.text


async def test_a_wrong_key_is_reported_without_trying_again(rig: Rig, llm: LocalLlm) -> None:
    task = rig.task()
    async with serving(rig, settings(background_llm_url=llm.url, background_llm_key="wrong")):
        await rig.delegate(task)
        last = (await rig.ended(task.task_id))[task.task_id]
    assert last.kind is Kind.ERROR and "HTTP 401" in last.text
    assert "wrong" not in last.text


async def test_what_is_no_task_goes_to_dead_letters_and_the_next_is_answered(
    rig: Rig, options: BackgroundSettings
) -> None:
    good, bad = rig.task("s-2"), rig.task("s-1", span_ms=-1_000)
    async with serving(rig, options):
        await rig.send(BACKGROUND_TASKS, good, value=b"\x93 no record")
        await rig.delegate(bad)
        await rig.delegate(good)
        await rig.ended("s-2")
    letters = await rig.dead_letters()
    assert [letter.topic for letter in letters] == [BACKGROUND_TASKS.name] * 2
    assert letters[0].value == b"\x93 no record"
    assert "span" in letters[1].error
    assert {x.task_id for x in await rig.results()} == {"s-2"}


async def test_a_task_that_has_ended_already_is_not_run_again(rig: Rig, options: BackgroundSettings) -> None:
    """As after a crash between the last result and the commit."""
    done, new = rig.task("s-1"), rig.task("s-2")
    await rig.send(BACKGROUND_RESULTS, result(done, 0, Kind.PROGRESS))
    await rig.send(BACKGROUND_RESULTS, result(done, 1, Kind.FINAL, "Paris."))
    await rig.delegate(done)
    await rig.delegate(new)
    async with serving(rig, options):
        await rig.ended("s-2")
    assert [x.seq for x in await rig.results("s-1")] == [0, 1]


async def test_a_task_that_was_interrupted_goes_on_with_new_numbers(rig: Rig, options: BackgroundSettings) -> None:
    task = rig.task("s-1")
    await rig.send(BACKGROUND_RESULTS, result(task, 0, Kind.PROGRESS))
    await rig.send(BACKGROUND_RESULTS, result(task, 1, Kind.PARTIAL, "It is"))
    await rig.delegate(task)
    async with serving(rig, options):
        await rig.ended("s-1")
    results = await rig.results("s-1")
    assert [x.seq for x in results] == list(range(len(results)))
    assert results[2].kind is Kind.PROGRESS and results[-1].kind is Kind.FINAL


async def test_a_crash_in_mid_task_loses_and_doubles_nothing(rig: Rig, options: BackgroundSettings) -> None:
    tasks = [rig.task(f"s-{i}") for i in range(4)]
    async with serving(rig, options, crash=True):
        for task in tasks:
            await rig.delegate(task)
        await rig.until(lambda results: len(results) >= 2)
    async with serving(rig, options):
        await rig.ended(*(task.task_id for task in tasks))
        await rig.delegate(rig.task("marker"))
        await rig.ended("marker")
    for task in tasks:
        mine = await rig.results(task.task_id)
        assert sum(x.kind in TERMINAL for x in mine) == 1
        assert [x.seq for x in mine] == list(range(len(mine)))


async def test_a_task_given_twice_is_answered_once(rig: Rig, options: BackgroundSettings) -> None:
    task = rig.task("s-1")
    async with serving(rig, options):
        await rig.delegate(task)
        await rig.delegate(task)
        await rig.ended("s-1")
        await rig.delegate(task)
        await rig.delegate(rig.task("s-2"))
        await rig.ended("s-2")
    assert sum(x.kind in TERMINAL for x in await rig.results("s-1")) == 1


async def test_two_workers_share_the_sessions_and_a_leaving_one_hands_over(
    rig: Rig, options: BackgroundSettings
) -> None:
    tasks = [rig.task(f"t-{i}", session_id=f"s{i}") for i in range(6)]
    async with serving(rig, options.model_copy(update={"instance_id": "b"})):
        async with serving(rig, options.model_copy(update={"instance_id": "a"})):
            for task in tasks:
                await rig.delegate(task)
            await rig.until(lambda results: any(x.kind in TERMINAL for x in results))
        await rig.ended(*(task.task_id for task in tasks))
    for task in tasks:
        assert sum(x.kind in TERMINAL for x in await rig.results(task.task_id)) == 1


async def test_what_was_found_out_is_noted_in_the_shared_context(
    rig: Rig, options: BackgroundSettings, redis_url: str
) -> None:
    context = SharedContext(redis_url)
    await context.delete(FACTS, "noted")
    task = rig.task("n-1", session_id="noted")
    async with serving(rig, options.model_copy(update={"redis_url": redis_url})):
        await rig.delegate(task)
        final = (await rig.ended("n-1"))["n-1"]
        live = await WorkerRegistry(context, SystemClock(), "test", "t").live("background")
    facts, tasks = await context.get(FACTS, "noted"), await context.get(TASKS, "noted")
    assert facts is not None and [fact.text for fact in facts.facts] == [final.text]
    assert tasks is not None and [(t.task_id, t.state) for t in tasks.tasks] == [("n-1", "final")]
    assert [worker.instance_id for worker in live] == ["t"]
    await context.close()


def result(task: r.BackgroundTask, seq: int, kind: r.ResultKind, text: str = "") -> r.BackgroundResult:
    return r.BackgroundResult(
        session_id=task.session_id, timestamp_ms=task.timestamp_ms, task_id=task.task_id, seq=seq, kind=kind, text=text
    )
