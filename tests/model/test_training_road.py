"""The training road end to end at toy size: synthesis, training, resuming, export, loading, closed loop."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from training.checkpoint import LAST, read
from training.data import Loader, Source, heard_at
from training.script import Recipe
from training.tiny import PLAN, tiny_run
from training.train import main

pytestmark = pytest.mark.skipif(
    shutil.which("flite") is None or shutil.which("espeak-ng") is None, reason="flite and espeak-ng make the speech"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    assert main(["--tiny", "--folder", str(path)]) == 0
    return path


def test_the_road_ends_in_a_loadable_model_that_learned_something(folder):
    progress = json.loads((folder / "progress.json").read_text())
    assert progress["step"] == PLAN.steps
    assert progress["sessions_heard"] == PLAN.steps * PLAN.sessions
    assert {row["set"] for row in progress["held_out"]} == {"new voices", "new voices and phrasings"}
    assert {p.name for p in (folder / "model").iterdir()} == {
        "backbone.safetensors",
        "encoder.safetensors",
        "config.json",
        "lexicon.safetensors",
        "lexicon.txt",
    }


def test_a_batch_is_a_function_of_seed_and_number(folder):
    one, other = (Source(folder / "corpus", Recipe(), 2, 40, seed=5) for _ in range(2))
    assert (one.batch(3).codes == other.batch(3).codes).all()
    assert (one.batch(3).targets["text"] == other.batch(3).targets["text"]).all()
    assert (one.batch(3).codes != other.batch(4).codes).any()


def test_ranks_and_loaders_share_the_batches_of_one_seed(folder):
    """The second of two ranks, by two processes: batches 1, 3, 5."""
    arguments = (folder / "corpus", Recipe(), 2, 40, 5)
    source, loader = Source(*arguments), Loader(0, *arguments, place=1, stride=2, processes=2)
    try:
        for number in (1, 3, 5):
            assert (loader.next().codes == source.batch(number).codes).all()
    finally:
        loader.close()


def test_each_batch_is_heard_so_many_times_and_a_run_may_go_on_anywhere(folder):
    order = [heard_at(step, 3) for step in range(3000)]
    times = Counter(order)
    assert {times[number] for number in range(300, 600)} == {3}
    assert all(heard_at(step, 1) == step for step in range(50))
    arguments = (folder / "corpus", Recipe(), 1, 40, 5)
    source, loader = Source(*arguments), Loader(5, *arguments, uses=3)
    try:
        for step in range(5, 9):
            assert (loader.next().codes == source.batch(order[step]).codes).all()
    finally:
        loader.close()


def test_the_road_can_be_walked_again_over_what_it_left(folder):
    before = read(folder / LAST)
    tiny_run(folder)
    after = read(folder / LAST)
    assert before.plan == after.plan
    assert set(before.learner) == set(after.learner)
