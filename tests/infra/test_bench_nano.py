"""``make bench SUITE=nano`` at toy size: it measures what it reports."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from infra.bench import nano, report
from services.encoder.model import FrameEncoder
from services.interaction.nano.model import NanoModel
from training.export import export
from training.run import Plan, Run
from training.sizes import config_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    run = Run(Plan(threads=1), config_of("tiny"), path, path)
    run.save()
    export(run.checkpoint, path)
    return path


def test_the_suite_writes_what_it_measured(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "REPORTS", tmp_path)
    parser = argparse.ArgumentParser()
    nano.add_arguments(parser)
    options = ["--ticks", "3", "--sizes", "1,2", "--long", "6", "--model-dir", str(folder)]
    assert nano.run(parser.parse_args(options)) == 0
    written = json.loads((tmp_path / "nano.json").read_text())
    assert [part["windows"] for part in written["models"]] == [[3, 4], [3, 6]]
    for part in written["models"]:
        assert [(row["sessions"], row["ticks"]) for row in part["rows"]] == [(1, 3), (2, 3)]
        assert all(row["cpu_ms"]["p90"] >= row["cpu_ms"]["p50"] > 0 for row in part["rows"])
    short, long = (part["memory_bytes_per_session"] for part in written["models"])
    assert long - short == 2 * 2 * 6 * 32 * 4  # two more ticks of keys and values
    text = (tmp_path / "nano.md").read_text()
    assert all(str(row["cpu_ms"]["p50"]) in text for part in written["models"] for row in part["rows"])
    assert "Target" not in text  # 60 s were not measured


def test_a_model_that_remembers_longer_has_a_name_of_its_own_and_full_memories(folder):
    model = NanoModel.load(folder, capacity=2)
    longer = model.remembering((3, 6))
    assert longer.name != model.name
    sessions = nano.Sessions(FrameEncoder.load(folder), longer, 2)
    sessions.fill()
    assert all(bool(torch.any(layer.keys[slot] != 0, dim=(-1)).all()) for layer in longer._memory for slot in (0, 1))
