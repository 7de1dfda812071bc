"""nano, to the bit: batch neighbours, batch size, threads, restore, slots; and streaming against whole sequences."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch

from services.interaction.nano.model import NOTHING_YET
from services.interaction.nano.network import NanoNet, TickInputs
from services.interaction.nano.registers import Tokens
from services.interaction.protocol import StepInput
from tests.model.nano_sessions import SMALL, Recorder, alone, frames, model, network

# The sizes that ship, in which products and sums take the library's other code paths.
SHIPPED = dataclasses.replace(
    SMALL,
    d=256,
    head_width=64,
    windows=(4, 8, 48),
    dense_width=768,
    experts=8,
    expert_width=96,
    shared_width=384,
    text_words=tuple(f"t{n}" for n in range(85)),
    heard_words=tuple(f"h{n}" for n in range(322)),
)


@pytest.mark.parametrize(("config", "ticks"), [(SMALL, 40), (SHIPPED, 12)], ids=["small", "shipped sizes"])
def test_neighbours_and_batch_size_change_no_bit(config, ticks):
    names = [f"s{n}" for n in range(17)]
    inputs = {name: frames(name, ticks, config.d) for name in names}
    together = Recorder(model(config))
    for name in names:
        together.nano.open(name, 0)
    rng = random.Random(1)
    done = dict.fromkeys(names, 0)
    while any(count < ticks for count in done.values()):
        ready = [name for name in names if done[name] < ticks]
        chosen = rng.sample(ready, rng.randint(1, len(ready)))
        together.step([inputs[name][done[name]] for name in chosen])
        for name in chosen:
            done[name] += 1
    for name in names[:5]:
        single = alone(name, ticks, config)
        assert together.bits[name] == single.bits[name]
        assert together.outputs[name] == single.outputs[name]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_thread_count_changes_no_bit(threads):
    before = torch.get_num_threads()
    expected = alone("s", 10, SHIPPED).bits["s"]
    try:
        torch.set_num_threads(threads)
        batch = Recorder(model(SHIPPED))
        for name in ("s", "a", "b"):
            batch.nano.open(name, 0)
        for rows in zip(*(frames(name, 10, SHIPPED.d) for name in ("a", "s", "b")), strict=True):
            batch.step(list(rows))
        assert batch.bits["s"] == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_a_session_restored_from_its_context_continues_to_the_bit(chunk):
    name, ticks, cut = "y", 125, 100  # one whose last ticks are full of words
    assert SMALL.context_ticks < cut
    lived = alone(name, ticks)
    inputs = frames(name, ticks)
    first = cut - SMALL.context_ticks
    restored = Recorder(model())
    restored.nano.open(name, 0, first_tick=first)
    for at in range(first, cut, chunk):
        upto = min(cut, at + chunk)
        restored.nano.prefill(inputs[at:upto], [o.tokens for o in lived.outputs[name][at:upto]])
    restored.bits.clear()
    for item in inputs[cut:]:
        restored.step([item])
    assert restored.bits[name] == lived.bits[name][cut:]
    assert restored.outputs[name] == lived.outputs[name][cut:]
    assert sum(len(output.user_text.split()) for output in restored.outputs[name]) > 5, "words are found meanwhile"


def test_context_ticks_is_tight_enough_to_matter():
    """Restoring from much less than the context is not exact: the test above is about something."""
    lived, inputs, cut = alone("s", 45), frames("s", 45), 41
    short = Recorder(model())
    short.nano.open("s", 0, first_tick=cut - 4)
    short.nano.prefill(inputs[cut - 4 : cut], [o.tokens for o in lived.outputs["s"][cut - 4 : cut]])
    short.bits.clear()
    short.step([inputs[cut]])
    assert short.bits["s"][0] != lived.bits["s"][cut]


def test_prefill_from_the_beginning_equals_living_through():
    lived, inputs = alone("s", 20), frames("s", 20)
    filled = Recorder(model())
    filled.nano.open("s", 0)
    filled.nano.prefill(inputs[:15], [o.tokens for o in lived.outputs["s"][:15]])
    assert filled.bits["s"] == lived.bits["s"][:15]
    for item in inputs[15:]:
        filled.step([item])
    assert filled.bits["s"] == lived.bits["s"]


def test_prefill_of_several_sessions_in_turn_equals_living_through():
    lives = {name: alone(name, 20) for name in ("s", "t", "u")}
    inputs = {name: frames(name, 20) for name in lives}
    filled = Recorder(model())
    for name in lives:
        filled.nano.open(name, 0)
    ticks = [(name, k) for k in range(15) for name in lives if name != "u" or k < 7]  # one of them is not as far
    filled.nano.prefill([inputs[n][k] for n, k in ticks], [lives[n].outputs[n][k].tokens for n, k in ticks])
    for name, far in (("s", 15), ("t", 15), ("u", 7)):
        for item in inputs[name][far:]:
            filled.step([item])
        assert filled.bits[name] == lives[name].bits[name]


def test_a_slot_carries_nothing_over():
    recorder = Recorder(model(capacity=1))
    recorder.nano.open("first", 0)
    for item in frames("first", 30):
        recorder.step([item])
    recorder.nano.close("first")
    recorder.nano.open("second", 0)
    for item in frames("second", 30):
        recorder.step([item])
    assert recorder.bits["second"] == alone("second", 30).bits["second"]


def test_the_future_changes_nothing_before_it():
    inputs, other = frames("s", 30), frames("other", 30)
    mixed = inputs[:20] + [dataclasses.replace(item, session_id="s") for item in other[20:]]
    recorder = Recorder(model())
    recorder.nano.open("s", 0)
    for item in mixed:
        recorder.step([item])
    expected = alone("s", 30).bits["s"]
    assert recorder.bits["s"][:20] == expected[:20]
    assert recorder.bits["s"][20] != expected[20]


def _sequence_inputs(inputs: list[StepInput], fed: list[tuple[int, ...]], nano) -> TickInputs:
    parts = []
    for item, tokens in zip(inputs, fed, strict=True):
        session = dataclasses.replace(nano._sessions["s"], next_tick=item.tick, fed=Tokens(*tokens))
        parts.append(nano._inputs([item], [session]))
    return TickInputs(*(torch.cat(columns, dim=1) for columns in zip(*parts, strict=True)))


@pytest.mark.parametrize("ticks", [5, 33])
def test_streaming_agrees_with_the_training_forward(ticks):
    """The two ways of computing differ only by float32 rounding."""
    net: NanoNet = network()
    recorder = alone("s", ticks)
    fed = [NOTHING_YET, *(o.tokens for o in recorder.outputs["s"][:-1])]
    with torch.inference_mode():
        whole, _ = net(_sequence_inputs(frames("s", ticks), fed, recorder.nano))
    rows = torch.cat([part[0] for part in whole], dim=-1).numpy()
    live = np.stack([np.frombuffer(raw, dtype=np.float32) for raw in recorder.bits["s"]])
    np.testing.assert_allclose(live, rows, rtol=2e-4, atol=2e-4)
