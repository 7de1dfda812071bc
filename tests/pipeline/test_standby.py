"""A standby that follows, takes over and gives back; a zombie that nobody listens to; nobody hears a difference."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schemas import records as r
from schemas.topics import (
    BACKGROUND_RESULTS,
    BACKGROUND_TASKS,
    CAPTURE_FRAMES,
    ENCODER_FRAMES,
    INTERACTION_TURNS,
)
from services.interaction.echo import EchoModel
from services.interaction.protocol import StepInput, StepOutput
from tests.pipeline.rig import (
    Rig,
    capture_frame,
    encoded_frame,
    memory_rig,
    publish,
    read_all,
    turns_that_count,
)
from tests.pipeline.test_interaction_worker import Delegating, by_session, essence, result

SESSIONS = ("a", "b", "c", "d", "e")


def frames(ticks: range) -> list[r.EncodedFrame]:
    return [encoded_frame(s, k) for k in ticks for s in SESSIONS]


class Watched(EchoModel):
    """Remembers which ticks it stepped and which were prefilled."""

    def __init__(self) -> None:
        super().__init__()
        self.stepped: list[tuple[str, int]] = []
        self.prefilled: list[tuple[str, int]] = []

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        self.stepped += [(item.session_id, item.tick) for item in batch]
        return super().step(batch)

    def prefill(self, inputs: Sequence[StepInput], outputs: Sequence[tuple[int, ...]]) -> None:
        self.prefilled += [(item.session_id, item.tick) for item in inputs]
        super().prefill(inputs, outputs)


async def until(rig: Rig, name: str, owns: int) -> None:
    """Wait until a worker owns so many partitions."""
    async with asyncio.timeout(30):
        while len(rig.processes[name].worker.partitions.owned()) != owns:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def uninterrupted(ticks: int) -> set[str]:
    async with memory_rig() as rig:
        await rig.interaction()
        await publish(rig.log, ENCODER_FRAMES, frames(range(ticks)))
        turns = await turns_that_count(rig.log, ticks * len(SESSIONS))
    return {repr((s, essence(turn))) for (s, _), turn in turns.items()}


async def test_a_standby_takes_over_a_dead_workers_sessions_from_where_they_were() -> None:
    wanted, warm = await uninterrupted(20), Watched()
    async with memory_rig() as rig:
        await rig.interaction("primary")
        await rig.interaction("spare", warm, standby=True)
        await publish(rig.log, ENCODER_FRAMES, frames(range(10)))
        await turns_that_count(rig.log, 10 * len(SESSIONS))
        assert rig.processes["spare"].worker.partitions.owned() == {}
        await rig.crash("primary")
        await publish(rig.log, ENCODER_FRAMES, frames(range(10, 20)))
        turns = await turns_that_count(rig.log, 20 * len(SESSIONS))
        everything = await read_all(rig.log, INTERACTION_TURNS, 20 * len(SESSIONS))
    assert {repr((s, essence(turn))) for (s, _), turn in turns.items()} == wanted
    assert len(everything) == 20 * len(SESSIONS)  # no tick has a second turn, not even one that nobody hears
    assert sorted(warm.prefilled) == sorted((s, k) for s in SESSIONS for k in range(10))
    assert sorted(warm.stepped) == sorted((s, k) for s in SESSIONS for k in range(10, 20))
    for own in by_session(everything).values():
        assert [t.tick for t in own] == list(range(20))
        assert [t.epoch for t in own] == sorted(t.epoch for t in own)
        assert len({t.epoch for t in own}) == 2


async def test_a_worker_that_is_stopped_hands_over_first_and_gets_its_share_back() -> None:
    wanted = await uninterrupted(30)
    async with memory_rig() as rig:
        await rig.interaction("primary")
        await rig.interaction("spare", standby=True)
        await publish(rig.log, ENCODER_FRAMES, frames(range(10)))
        await turns_that_count(rig.log, 10 * len(SESSIONS))
        await rig.stop("primary")
        assert len(rig.processes["spare"].worker.partitions.owned()) == 4  # before the primary was gone
        await publish(rig.log, ENCODER_FRAMES, frames(range(10, 20)))
        await turns_that_count(rig.log, 20 * len(SESSIONS))
        await rig.interaction("primary")
        await until(rig, "primary", 4)
        await until(rig, "spare", 0)
        await publish(rig.log, ENCODER_FRAMES, frames(range(20, 30)))
        turns = await turns_that_count(rig.log, 30 * len(SESSIONS))
    assert {repr((s, essence(turn))) for (s, _), turn in turns.items()} == wanted
    assert len({turn.epoch for turn in turns.values()}) >= 3


async def test_nobody_listens_to_a_worker_that_was_only_paused() -> None:
    wanted = await uninterrupted(30)
    async with memory_rig() as rig:
        await rig.interaction("primary", max_records=5)
        await rig.interaction("spare", standby=True)
        await publish(rig.log, ENCODER_FRAMES, frames(range(10)))
        await turns_that_count(rig.log, 10 * len(SESSIONS))
        sending = asyncio.create_task(publish(rig.log, ENCODER_FRAMES, frames(range(10, 20))))
        rig.freeze("primary")  # with turns that it is about to write
        await sending
        await until(rig, "spare", 4)
        await turns_that_count(rig.log, 20 * len(SESSIONS))
        rig.thaw("primary")
        await publish(rig.log, ENCODER_FRAMES, frames(range(20, 30)))
        await until(rig, "primary", 4)  # a living primary gets its share back
        turns = await turns_that_count(rig.log, 30 * len(SESSIONS))
    assert {repr((s, essence(turn))) for (s, _), turn in turns.items()} == wanted


async def test_a_zombies_delegation_is_the_same_task() -> None:
    async with memory_rig() as rig:
        await rig.interaction("primary", Delegating(), max_records=5)
        await rig.interaction("spare", Delegating(), standby=True)
        await publish(rig.log, ENCODER_FRAMES, frames(range(2)))
        await turns_that_count(rig.log, 2 * len(SESSIONS))
        rig.freeze("primary")
        await publish(rig.log, ENCODER_FRAMES, frames(range(2, 6)))  # tick 3 delegates
        await turns_that_count(rig.log, 6 * len(SESSIONS))
        rig.thaw("primary")
        await until(rig, "primary", 4)
        await publish(rig.log, BACKGROUND_RESULTS, [result(s, r.ResultKind.FINAL, "a b c") for s in SESSIONS])
        await publish(rig.log, ENCODER_FRAMES, frames(range(6, 12)))
        turns = await turns_that_count(rig.log, 12 * len(SESSIONS))
        tasks = await read_all(rig.log, BACKGROUND_TASKS, len(SESSIONS))
    for session in SESSIONS:
        own = {repr(task) for task in tasks if task.session_id == session}
        assert len(own) == 1, own  # sent twice, perhaps; the background knows it by its id and runs it once
        said = [turns[session, k].text.strip() for k in range(12) if turns[session, k].text]
        assert said == ["a", "b", "c"]


async def test_a_task_that_died_with_its_worker_is_sent_by_the_next_one() -> None:
    async with memory_rig() as rig:
        await rig.interaction("primary", Delegating())
        await rig.interaction("spare", Delegating(), standby=True)
        await publish(rig.log, ENCODER_FRAMES, frames(range(6)))
        await turns_that_count(rig.log, 6 * len(SESSIONS))
        before = await read_all(rig.log, BACKGROUND_TASKS, len(SESSIONS))
        await rig.crash("primary")
        await until(rig, "spare", 4)
        await publish(rig.log, ENCODER_FRAMES, frames(range(6, 8)))
        await turns_that_count(rig.log, 8 * len(SESSIONS))
        after = await read_all(rig.log, BACKGROUND_TASKS, 2 * len(SESSIONS))
    assert {repr(task) for task in after} == {repr(task) for task in before}


async def test_workers_that_join_share_the_partitions_without_a_pause_or_a_second_turn() -> None:
    wanted = await uninterrupted(30)
    async with memory_rig() as rig:
        await rig.interaction("interaction-0")
        await publish(rig.log, ENCODER_FRAMES, frames(range(10)))
        await turns_that_count(rig.log, 10 * len(SESSIONS))
        await rig.interaction("interaction-1")
        await publish(rig.log, ENCODER_FRAMES, frames(range(10, 20)))
        await until(rig, "interaction-0", 2)
        await until(rig, "interaction-1", 2)
        await publish(rig.log, ENCODER_FRAMES, frames(range(20, 30)))
        turns = await turns_that_count(rig.log, 30 * len(SESSIONS))
        await rig.crash("interaction-0")  # no standby: the other one takes over
        await until(rig, "interaction-1", 4)
    assert {repr((s, essence(turn))) for (s, _), turn in turns.items()} == wanted


async def test_an_encoder_standby_goes_on_bit_for_bit() -> None:
    async def encoded(*, crash: bool) -> list[bytes]:
        inputs = [capture_frame("s", k) for k in range(16)]
        async with memory_rig() as rig:
            await rig.encoder("primary")
            await rig.encoder("spare", standby=True)
            await publish(rig.log, CAPTURE_FRAMES, inputs[:8])
            await read_all(rig.log, ENCODER_FRAMES, 8)
            if crash:
                await rig.crash("primary")
            await publish(rig.log, CAPTURE_FRAMES, inputs[8:])
            found = await read_all(
                rig.log, ENCODER_FRAMES, 16, done=lambda got: {f.tick for f in got} == set(range(16))
            )
        first: dict[int, r.EncodedFrame] = {}
        for frame in found:
            first.setdefault(frame.tick, frame)
        return [first[k].embeddings for k in range(16)]

    assert await encoded(crash=True) == await encoded(crash=False)


async def test_a_frame_that_waits_for_an_earlier_one_survives_a_crash() -> None:
    order = [0, 1, 3, 4, 2, 5, 6, 7]  # 3 and 4 are held until 2 comes
    async with memory_rig() as rig:
        await rig.encoder("encoder-0")
        await publish(rig.log, CAPTURE_FRAMES, [capture_frame("s", k) for k in order[:4]])
        await publish(
            rig.log, CAPTURE_FRAMES, [capture_frame("t", 0)]
        )  # goes on; its commit does not pass the rest
        await read_all(rig.log, ENCODER_FRAMES, 3)
        await rig.stop("encoder-0")  # commits all that is done
        await publish(rig.log, CAPTURE_FRAMES, [capture_frame("s", k) for k in order[4:]])
        await rig.encoder("encoder-1")
        found = await read_all(
            rig.log, ENCODER_FRAMES, 9, done=lambda got: {f.tick for f in got if f.session_id == "s"} == set(range(8))
        )
    assert all(frame.gap_ms == 0 for frame in found)
