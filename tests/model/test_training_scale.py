"""Sizes, several processes, checkpoints: what a run on bigger machines must keep of one on a small one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from services.interaction.nano.config import NanoConfig
from services.interaction.nano.model import CONFIG, WEIGHTS, NanoModel
from services.interaction.nano.network import TickInputs
from tests.model.nano_sessions import Recorder, frames
from tests.model.ranks import PLAN, drawn, merged
from training.checkpoint import BEFORE, LAST, find, read, read_plan
from training.export import TASK_ROWS, TEXT_ROWS, Former, Rules, averaged, export, main
from training.learner import Learner
from training.run import Run
from training.sizes import config_of, parameters
from training.train import _muon, arguments_of

pytestmark = pytest.mark.timeout(900)  # torch is imported three times, on machines that have other work
ROOT = Path(__file__).parents[2]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in run.learner.state_dict().items()}


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert set(one) == set(other)
    return max(float((t.float() - other[name].float()).abs().max()) for name, t in one.items())


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_the_sizes_are_what_they_are_called():
    every, active = parameters(Learner(config_of("nano")))
    assert active < every and active <= 12e6
    with torch.device("meta"):
        small = Learner(config_of("small"))
    every, active = parameters(small)
    assert 60e6 <= active < every
    assert arguments_of(["--size", "small"]).size == "small"


def test_listening_is_a_share():
    assert arguments_of(["--listening", "0.1"]).listening == 0.1
    with pytest.raises(SystemExit):
        arguments_of(["--listening", "27"])


def test_small_streams_what_it_trains():
    """Two ticks live and as a sequence; the rest of the size's road is nano's own code."""
    config = config_of("small")
    torch.manual_seed(0)
    net = Learner(config).backbone.eval()
    recorder = Recorder(NanoModel(net, capacity=1))
    recorder.nano.open("s", 0)
    columns = []
    for item in frames("s", 2, config.d):
        columns.append(recorder.nano._inputs([item], [recorder.nano._sessions["s"]]))
        recorder.step([item])
    with torch.inference_mode():
        whole, _ = net(TickInputs(*(torch.cat(parts, dim=1) for parts in zip(*columns, strict=True))))
    rows = torch.cat([part[0] for part in whole], dim=-1).numpy()
    live = np.stack([np.frombuffer(raw, dtype=np.float32) for raw in recorder.bits["s"]])
    np.testing.assert_allclose(live, rows, rtol=2e-4, atol=2e-4)


# --- several processes -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, "-m", "tests.model.ranks", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize("step", [0, 1])
def test_two_ranks_hold_the_same_weights(two_ranks, step):
    one, other = (load_file(two_ranks / f"step-{step}-rank-{rank}.safetensors") for rank in range(2))
    assert largest_difference(one, other) == 0.0


def test_two_ranks_step_as_one_does_over_both_their_batches(two_ranks, tmp_path):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    begun = weights(run)
    run.step(merged(drawn(0), drawn(1)))
    one = weights(run)
    both = load_file(two_ranks / "step-0-rank-0.safetensors")
    moved, apart = largest_difference(begun, one), largest_difference(one, both)
    assert moved > 1e-4
    # Adam's first step is as long as the rate whatever the gradient, so what is near zero may differ; all else not.
    assert apart < 0.05 * moved


def test_ranks_that_were_one_run_go_on_as_another_number(two_ranks, tmp_path):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    run.resume(path=find(two_ranks))
    assert run.progress.step == 2
    assert run.progress.sessions_heard == 2 * 2 * len(drawn(0).codes)
    run.step(drawn(4))


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [{"vary": True}, {"muon": True, "ears": 0.1}], ids=["adamw", "muon"])
def test_a_resumed_run_goes_on_to_the_bit(tmp_path, optimizer):
    plan = dataclasses.replace(PLAN, **optimizer)
    lived = Run(plan, config_of("tiny"), tmp_path, tmp_path)
    lived.step(drawn(1))
    lived.save()
    lived.step(drawn(2))
    resumed = Run(plan, config_of("tiny"), tmp_path, tmp_path)
    resumed.resume()
    resumed.step(drawn(2))
    assert largest_difference(weights(lived), weights(resumed)) == 0.0
    assert lived.progress == resumed.progress
    assert read_plan(tmp_path / LAST) == dataclasses.asdict(plan)


def test_a_checkpoint_of_before_is_still_read(tmp_path):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    run.step(drawn(1))
    run.save()
    saved = read(run.checkpoint)
    old = {name: getattr(saved, name) for name in ("plan", "config", "progress", "learner", "ema", "optimizer")}
    torch.save(old | {"torch_rng": saved.random[0]}, tmp_path / BEFORE)
    assert export(tmp_path / BEFORE, tmp_path / "old") == export(run.checkpoint, tmp_path / "new")
    resumed = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    resumed.resume(path=tmp_path / BEFORE)
    run.step(drawn(2))
    resumed.step(drawn(2))
    assert largest_difference(weights(run), weights(resumed)) == 0.0


def test_a_release_may_be_averaged_with_the_one_it_was_learned_from(tmp_path):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    for number in (1, 2):
        run.step(drawn(number))
        run.save()
        export(run.checkpoint, tmp_path / f"model {number}")
    former = Former(tmp_path / "model 1", 0.25)
    config = export(run.checkpoint, tmp_path / "both", former=former)
    first, second, both = (load_file(tmp_path / name / WEIGHTS) for name in ("model 1", "model 2", "both"))
    assert any(not torch.equal(first[name], second[name]) for name in both)
    for name, tensor in both.items():
        assert torch.allclose(tensor, 0.25 * first[name] + 0.75 * second[name], atol=1e-6)
    assert config.backbone_version != NanoConfig.load(tmp_path / "model 2" / CONFIG).backbone_version
    NanoModel.load(tmp_path / "both")
    fewer = {name: t[:-1] if name in TASK_ROWS else t for name, t in first.items()}
    learned = averaged(second, fewer, 0.25)
    for name, tensor in learned.items():
        assert torch.equal(tensor[:-1], averaged(second, first, 0.25)[name][:-1])
        assert torch.equal(tensor[-1], (second if name in TASK_ROWS else both)[name][-1]), "a new task is as learned"
    unanswering = {name: t for name, t in first.items() if name != "answers.weight"}
    learned = averaged(second, unanswering, 0.25)
    assert torch.equal(learned["answers.weight"], second["answers.weight"]), "a new input is as learned"
    assert torch.equal(learned["norm.weight"], both["norm.weight"])
    with pytest.raises(ValueError, match="another architecture"):
        averaged(second, {name: t for name, t in first.items() if name != "norm.weight"}, 0.25)
    with pytest.raises(ValueError, match="another architecture"):
        averaged(second, fewer | {"norm.weight": first["norm.weight"][:-1]}, 0.25)
    words = (*config.heard_words[:-1], "another")
    dataclasses.replace(config, heard_words=words).save(tmp_path / "model 1" / CONFIG)
    with pytest.raises(ValueError, match="other words"):
        export(run.checkpoint, tmp_path / "both", former=former)


def test_a_former_release_may_lack_words_and_have_fields_that_are_gone(tmp_path):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    run.save()
    export(run.checkpoint, tmp_path / "former")
    former = load_file(tmp_path / "former" / WEIGHTS)
    config = NanoConfig.load(tmp_path / "former" / CONFIG)
    gone = [at for at, word in enumerate(config.text_words) if word == "<next>"]
    kept = [at for at in range(len(config.text_words)) if at not in gone]
    fewer = {name: t[kept].contiguous() if name in TEXT_ROWS else t for name, t in former.items()}
    save_file(fewer, tmp_path / "former" / WEIGHTS)
    raw = dataclasses.asdict(config) | {"text_words": [config.text_words[at] for at in kept], "note_logit": 0.5}
    (tmp_path / "former" / CONFIG).write_text(json.dumps(raw))
    run.step(drawn(3))
    run.save()
    export(run.checkpoint, tmp_path / "alone")
    export(run.checkpoint, tmp_path / "both", former=Former(tmp_path / "former", 0.25))
    alone, both = (load_file(tmp_path / name / WEIGHTS) for name in ("alone", "both"))
    for name in TEXT_ROWS:
        expected = alone[name].lerp(former[name], 0.25)
        assert torch.allclose(both[name][kept], expected[kept], atol=1e-6)
        assert torch.equal(both[name][gone], alone[name][gone]), "a new word is as it was learned"
    NanoModel.load(tmp_path / "both")


# --- Muon ------------------------------------------------------------------------------------------------------------


def test_muon_moves_the_matrices_inside_and_every_parameter_has_one_group(tmp_path):
    run = Run(dataclasses.replace(PLAN, muon=True, ears=0.1), config_of("tiny"), tmp_path, tmp_path)
    groups = run.optimizer.param_groups
    members = [id(p) for group in groups for p in group["params"]]
    names = {id(p): name for name, p in run.learner.named_parameters()}
    assert sorted(members) == sorted(names)
    turned = {names[id(p)] for group in groups if group.get("muon") for p in group["params"]}
    assert "backbone.layers.0.attention.query.weight" in turned
    assert "encoder.heard_1" in turned
    assert not any("router" in name or "heads" in name or "fed" in name or "text" in name for name in turned)
    slow = {names[id(p)] for group in groups if group.get("share") == 0.1 for p in group["params"]}
    assert slow == {name for name, p in run.learner.named_parameters() if p.ndim > 1 and run.learner.hears(name)}


def test_a_run_is_resumed_with_the_optimizer_that_it_began_with(tmp_path):
    Run(PLAN, config_of("tiny"), tmp_path, tmp_path).save()
    folder = ["--folder", str(tmp_path)]
    assert not _muon(arguments_of(["--resume", *folder]))
    assert _muon(arguments_of(["--resume", "--muon", *folder]))
    assert _muon(arguments_of(folder))
    assert not _muon(arguments_of(["--no-muon", *folder]))


def test_a_checkpoint_of_the_other_optimizer_is_refused(tmp_path):
    Run(PLAN, config_of("tiny"), tmp_path, tmp_path).save()
    other = Run(dataclasses.replace(PLAN, muon=True), config_of("tiny"), tmp_path, tmp_path)
    with pytest.raises(ValueError, match="--resume needs --no-muon"):
        other.resume()


def test_other_rules_for_the_same_weights(tmp_path, capsys):
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    run.save()
    export(run.checkpoint, tmp_path / "model", rules=Rules(yield_logit=0.5))
    before = NanoConfig.load(tmp_path / "model" / CONFIG)
    assert (before.yield_logit, before.yield_at) == (0.5, 0.0)
    options = ["--yield-logit", "2", "--yield-at", "1", "--yield-keep", "0.6", "--release", "9.9.9"]
    assert main(["--folder", str(tmp_path / "model"), "--only-rules", *options]) == 0
    after = NanoConfig.load(tmp_path / "model" / CONFIG)
    assert after == dataclasses.replace(before, release="9.9.9", yield_logit=2.0, yield_at=1.0, yield_keep=0.6)
    assert "~y2~d1.0.6" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path / "nowhere"), "--only-rules"])
    assert "is no model folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path / "model"), "--only-rules", "--yield-at", "20"])
    assert "--yield-at lies between 0 and 15" in capsys.readouterr().err
