"""A session's turns, to the byte: alone, among others, in whatever order they arrive, with chance and without.

The released weights, through the scheduler and the sessions that serve live ones, delegations and results included.
"""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from functools import cache

import numpy as np
import pytest
import torch

from schemas import codec
from schemas import records as r
from schemas.ticks import FRAME_MS, INPUT_SAMPLES
from services.encoder import dmel
from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from services.interaction.scheduler import Scheduler, Work
from services.interaction.session import Session
from tests.model.nano_sessions import SMALL, Recorder, frames, network
from tests.replay.conversations import ANSWER, RELEASED, START_MS, demo_samples

RESULT_AFTER = 6
NAMES = tuple(f"session-{n:02}" for n in range(16))
WARM = dataclasses.replace(SMALL, temperature=1.5)


# --- chance ----------------------------------------------------------------------------------------------------------


def warm(capacity: int = 24) -> Recorder:
    return Recorder(NanoModel(network(WARM), capacity))


def lived(name: str, seed: int, ticks: int) -> Recorder:
    recorder = warm()
    recorder.nano.open(name, seed)
    for item in frames(name, ticks):
        recorder.step([item])
    return recorder


def test_chance_follows_from_seed_and_tick_alone():
    one = lived("a", 5, 60).outputs["a"]
    assert lived("a", 5, 60).outputs["a"] == one
    assert lived("a", 6, 60).outputs["a"] != one
    together = warm()
    for name, seed in (("a", 5), ("b", 5), ("c", 9)):
        together.nano.open(name, seed)
    for rows in zip(*(frames(name, 60) for name in "cab"), strict=True):
        together.step(list(rows))
    assert together.outputs["a"] == one


def test_a_restored_session_throws_the_dice_that_it_would_have_thrown():
    one, cut = lived("a", 5, 100), 75
    restored, first = warm(), cut - WARM.context_ticks
    restored.nano.open("a", 5, first_tick=first)
    inputs = frames("a", 100)
    restored.nano.prefill(inputs[first:cut], [o.tokens for o in one.outputs["a"][first:cut]])
    for item in inputs[cut:]:
        restored.step([item])
    assert restored.outputs["a"] == one.outputs["a"][cut:]


def test_rules_of_decision_are_part_of_the_models_name():
    name = NanoModel(network(SMALL)).name
    assert name + "~1.5" == NanoModel(network(WARM)).name
    assert name + "~y-1" == NanoModel(network(dataclasses.replace(SMALL, yield_logit=-1.0))).name
    kinds = [NanoModel(network(dataclasses.replace(SMALL, kinds={"fruit": (word,)}))).name for word in ("h1", "h2")]
    meant = [NanoModel(network(dataclasses.replace(SMALL, spanish={"h1": word}))).name for word in ("t1", "t2")]
    assert len({name, *kinds, *meant}) == 5
    signed = [NanoModel(network(dataclasses.replace(SMALL, signs=(word,)))).name for word in SMALL.text_words[3:5]]
    assert len({name, *signed}) == 3
    with pytest.raises(ValueError, match="negative"):
        NanoModel(network(dataclasses.replace(SMALL, temperature=-1.0)))


@pytest.mark.parametrize("rows", [3, 16])
def test_batches_filled_up_or_split_give_the_same_bits(rows):
    names = [f"s{n}" for n in range(7)]
    plain = warm()
    even = Recorder(NanoModel(network(WARM), 24, rows=rows))
    for recorder in (plain, even):
        for seed, name in enumerate(names):
            recorder.nano.open(name, seed)
    for items in zip(*(frames(name, 40) for name in names), strict=True):
        plain.step(list(items))
        even.step(list(items))
    assert even.outputs == plain.outputs
    assert even.bits == plain.bits


# --- the released model ----------------------------------------------------------------------------------------------


@cache
def encoder() -> FrameEncoder:
    return FrameEncoder.load(RELEASED)


def pcm(name: str, ticks: int) -> np.ndarray:
    """int16 ``[ticks, 3200]``: the demo's recording from a place of the session's own, looped, under noise."""
    rng = np.random.default_rng([*name.encode()])
    samples = np.roll(demo_samples(), -int(rng.integers(0, 30)) * INPUT_SAMPLES)
    looped = np.resize(samples, ticks * INPUT_SAMPLES).astype(np.int32)
    noise = rng.normal(0, 60, looped.size).astype(np.int32)
    return np.clip(looped + noise, -32768, 32767).astype(np.int16).reshape(ticks, INPUT_SAMPLES)


@cache
def encoded(name: str, ticks: int) -> tuple[r.EncodedFrame, ...]:
    """A whole session's frames."""
    codes, tails = [], dmel.new_tails(1)
    for frame in pcm(name, ticks):
        one, tails = dmel.encode(frame[None], tails)
        codes.append(one[0])
    texts = ["what time is it in london" if tick % 200 == 20 else "" for tick in range(ticks)]
    made = encoder().encode(np.stack(codes), [None] * ticks, texts)
    return tuple(
        r.EncodedFrame(
            session_id=name,
            timestamp_ms=START_MS + FRAME_MS * tick,
            tick=tick,
            d=encoder().d,
            kinds=kinds.tobytes(),
            embeddings=embeddings.astype("<f2", copy=False).tobytes(),
            encoder_version=encoder().version,
            input_offset=tick,
            text=texts[tick],
            gap_ms=40 if tick % 61 == 60 else 0,
            final=tick == ticks - 1,
        )
        for tick, (kinds, embeddings) in enumerate(made)
    )


class Player:
    """Plays sessions through one scheduler; results come a fixed number of ticks after their delegation."""

    def __init__(self, model: NanoModel, names: tuple[str, ...], ticks: int) -> None:
        self._scheduler = Scheduler(model)
        self._sessions = {name: Session(name, 0) for name in names}
        self._ticks = ticks
        self._next = dict.fromkeys(names, 0)
        self._due: dict[str, deque[tuple[int, str]]] = {name: deque() for name in names}
        self._offset = dict.fromkeys(names, 0)
        self.bytes: dict[str, list[bytes]] = {name: [] for name in names}
        self.events: dict[str, list[str]] = {name: [] for name in names}

    def play(self, rng: random.Random) -> None:
        """Rounds of a random few sessions, each with a few frames, in a random order, to the end."""
        while waiting := [name for name, tick in self._next.items() if tick < self._ticks]:
            chosen = rng.sample(waiting, rng.randint(1, len(waiting)))
            self._run({name: self._queue(name, rng.randint(1, 3)) for name in chosen})

    def _queue(self, name: str, most: int) -> deque[Work]:
        first, due = self._next[name], self._due[name]
        if due and due[0][0] == first:
            self._result(name, due.popleft()[1])
        until = min(first + most, self._ticks, due[0][0] if due else self._ticks)
        self._next[name] = until
        return deque(Work(self._sessions[name], encoded(name, self._ticks)[k], k) for k in range(first, until))

    def _result(self, name: str, task_id: str) -> None:
        result = r.BackgroundResult(
            session_id=name, timestamp_ms=START_MS, task_id=task_id, seq=0, kind=r.ResultKind.FINAL, text=ANSWER
        )
        self._sessions[name].offer_result(self._offset[name], result)
        self._offset[name] += 1

    def _run(self, queues: dict[str, deque[Work]]) -> None:
        for done in self._scheduler.run(queues):
            name = done.turn.session_id
            self.bytes[name] += [codec.encode(one) for one in (done.turn, *done.sides)]
            self.events[name] += [event.name for event in done.turn.events]
            for side in done.sides:
                if isinstance(side, r.BackgroundTask):
                    self._due[name].append((done.turn.tick + RESULT_AFTER, side.task_id))


def played(names: tuple[str, ...], ticks: int, seed: int, **options: object) -> Player:
    model = NanoModel.load(RELEASED, capacity=len(names), **options)
    player = Player(model, names, ticks)
    player.play(random.Random(seed))
    return player


def compare(ticks: int, others: int, **options: object) -> None:
    """One session alone, and twice among others in other orders; those among themselves as well."""
    names = NAMES[: others + 1]
    alone = played(NAMES[:1], ticks, 1, **options)
    assert len(alone.events[NAMES[0]]) >= 3
    assert {"delegated", "weave_finished"} <= set(alone.events[NAMES[0]])
    first, second = played(names, ticks, 2, **options), played(tuple(reversed(names)), ticks, 3, **options)
    assert first.bytes[NAMES[0]] == alone.bytes[NAMES[0]]
    assert second.bytes[NAMES[0]] == alone.bytes[NAMES[0]]
    assert first.bytes == second.bytes
    assert len({b"".join(own) for own in first.bytes.values()}) == len(names)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_a_session_alone_and_among_others_gives_identical_bytes():
    compare(ticks=60, others=7)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_ticks_alone_and_among_fifteen_others_give_identical_bytes():
    compare(ticks=1000, others=15)


@pytest.mark.model
@pytest.mark.timeout(600)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: its bits stay unchecked")
def test_a_session_alone_and_among_others_gives_identical_bytes_on_a_gpu():
    compare(ticks=1000, others=15, device="cuda")


@pytest.mark.model
def test_encoding_in_any_batch_gives_identical_bytes():
    """Every frame of a session, alone and at random places of random batches."""
    ticks, rng = 60, random.Random(4)
    names = NAMES[:4]
    streams = {name: pcm(name, ticks) for name in names}
    expected = {name: [f.embeddings for f in encoded(name, ticks)] for name in names}
    tails = {name: dmel.new_tails(1)[0] for name in names}
    done = dict.fromkeys(names, 0)
    while waiting := [name for name in names if done[name] < ticks]:
        chosen = rng.sample(waiting, rng.randint(1, len(waiting)))
        frames_in = np.stack([streams[name][done[name]] for name in chosen])
        codes, after = dmel.encode(frames_in, np.stack([tails[name] for name in chosen]))
        texts = [encoded(name, ticks)[done[name]].text for name in chosen]
        made = encoder().encode(codes, [None] * len(chosen), texts)
        for name, tail, (_, embeddings) in zip(chosen, after, made, strict=True):
            assert embeddings.astype("<f2", copy=False).tobytes() == expected[name][done[name]]
            tails[name] = tail
            done[name] += 1
