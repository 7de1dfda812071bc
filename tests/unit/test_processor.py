"""Products of bfloat16 only where they are faster: asked where that is plain, tried where it depends."""

from __future__ import annotations

import itertools

import pytest
import torch

from training import processor


@pytest.fixture
def machine(monkeypatch):
    """A machine with these instructions, whose products take these seconds by turns, bfloat16 first."""

    def make(*, tiles: bool, vectors: bool, seconds: tuple[float, float] | None = None) -> bool:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
        taken = itertools.cycle(seconds or ())
        monkeypatch.setattr(processor, "_seconds", lambda a, b: next(taken))
        processor.multiplies_bfloat16.cache_clear()
        return processor.multiplies_bfloat16()

    yield make
    processor.multiplies_bfloat16.cache_clear()


def test_nothing_is_tried_where_it_is_plain(machine):
    assert machine(tiles=True, vectors=True)
    assert not machine(tiles=False, vectors=False)


@pytest.mark.parametrize(("seconds", "faster"), [((1.0, 2.0), True), ((2.0, 1.0), False)])
def test_with_vectors_alone_the_faster_one_is_taken(machine, seconds, faster):
    assert machine(tiles=False, vectors=True, seconds=seconds) is faster
