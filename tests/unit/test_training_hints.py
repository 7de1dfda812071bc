"""What nano is taught to see beside its decisions: targets, losses, and runs that began without them."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from services.interaction.nano.config import COLOURS, NONE
from services.interaction.nano.model import NanoModel
from tests.model.ranks import PLAN, drawn
from tests.unit.scripts import HEARD_IDS, SAID_IDS, a_turn, judged
from training.checkpoint import read
from training.errands import lay
from training.export import export
from training.hints import PREFIX, SIGHT_CLASSES
from training.learner import Learner, skills
from training.mouth import Mouth
from training.oracle import Oracle
from training.phones import UNKNOWN
from training.phrases import TRAINING
from training.run import Run
from training.script import TICK, Due, Script
from training.shapes import show_shapes
from training.sight import KINDS, SIGHTS, draw_show
from training.sizes import config_of
from training.targets import NOTHING_SEEN
from training.tensors import tensors

TICKS = 70
pytestmark = pytest.mark.timeout(900)  # torch is imported, on machines that have other work
SEEDS = range(6)


def _shown(kind: str, seed: int):
    """A show, laid into a session in which nobody says anything, and what the oracle makes of it."""
    rng = random.Random(seed)
    show = draw_show(rng, TICKS, kind, 15)
    script = Script(TICKS, np.zeros(TICKS * TICK, np.float32), mouth=Mouth())
    lay(rng, script, show)
    return show, Oracle(script, SAID_IDS, HEARD_IDS).run()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_each_mark_is_a_target_though_nobody_asked_and_nothing_is_said(kind: str, seed: int) -> None:
    show, targets = _shown(kind, seed)
    happened = {int(tick) for tick in np.flatnonzero(targets.sight > NOTHING_SEEN)}
    told = {show.seen(moment) for moment in show.told} - {TICKS}
    assert told and told <= happened
    assert kind in ("appears", "hand") or told == happened
    assert all(tick % show.every == 0 for tick in happened)
    assert (targets.sight >= NOTHING_SEEN).all()
    assert (targets.text == NONE).all()


def test_what_happens_is_named() -> None:
    names = {kind: {SIGHTS[s - 1] for s in _shown(kind, 1)[1].sight if s > NOTHING_SEEN} for kind in KINDS}
    assert names == {
        "repetitions": {"repetition"},
        "appears": {"appears"},
        "action": {"begin", "end"},
        "hand": {"appears"},
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_an_action_is_told_no_sooner_than_it_can_be_seen(seed: int) -> None:
    show, _ = _shown("action", seed)
    for mark, told, end in zip(show.marks, show.told, (False, True) * 9, strict=False):
        assert told - mark >= (show.every if end else 0.4 * show.every) - 1e-6
        assert told - mark <= 3 * show.every + 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_colour_and_fingers_are_those_that_stand_there(seed: int) -> None:
    show, targets = _shown("appears", seed)
    assert targets.colour[show.seen(show.marks[0])] == COLOURS.index(show.label)
    for tick in np.flatnonzero(targets.colour != UNKNOWN):
        assert COLOURS[targets.colour[tick]] in {event.label for event in show.at(int(tick))}
    assert (targets.fingers == UNKNOWN).all()
    show, targets = _shown("hand", seed)
    for tick in range(0, TICKS, show.every):
        assert targets.fingers[tick] == (int(show.at(tick)[-1].label) if show.at(tick) else UNKNOWN)
    assert (targets.colour == UNKNOWN).all()


def test_shapes_have_colours_and_appear_when_they_change() -> None:
    script = Script(TICKS, np.zeros(TICKS * TICK, np.float32))
    show_shapes(random.Random(2), script)
    targets = Oracle(script, SAID_IDS, HEARD_IDS).run()
    taken = {tick: colour for tick, _, colour in script.pictures}
    assert {int(t) for t in np.flatnonzero(targets.colour != UNKNOWN)} == set(taken)
    assert all(COLOURS[targets.colour[tick]] == colour for tick, colour in taken.items())
    changed = [tick for tick, _ in script.sights]
    assert changed and np.flatnonzero(targets.sight > NOTHING_SEEN).tolist() == changed


def test_without_pictures_there_is_nothing_to_learn_of_sight() -> None:
    targets, _ = judged([a_turn("what is your name", 5, 12)])
    assert all((getattr(targets, name) == UNKNOWN).all() for name in SIGHT_CLASSES)


def test_a_word_that_comes_late_leaves_the_ticks_before_it_out() -> None:
    order = a_turn(next(phrase.text for phrase in TRAINING if phrase.task == "count"), 2, 8)
    due = Due(20, "one", "count", delay_ticks=2)
    targets, words = judged([order], dues=[due])
    assert words[22] == "one" and 20 not in words
    assert np.flatnonzero(~targets.speak_counts).tolist() == [20, 21]


def test_losses_count_where_something_is_known_and_rare_sights_weigh_more() -> None:
    torch.manual_seed(0)
    learner = Learner(config_of("tiny"))
    batch = drawn(1)
    batch.targets["sight"][:] = NOTHING_SEEN
    batch.targets["sight"][0, 3] = 1
    batch.targets["colour"][:] = UNKNOWN
    moved = tensors(batch, torch.device("cpu"))
    outputs = learner(moved)
    cases = learner.cases(moved)
    means = learner.means(moved, outputs, torch.ones_like(cases))
    assert "colour" not in means and {"sight", "fingers"} <= set(means)
    each = torch.nn.functional.cross_entropy(
        outputs.hints["sight"].flatten(0, 1), moved.targets["sight"].flatten(), reduction="none"
    )
    weights = torch.full_like(each, 0.15)
    weights[3] = 1.0
    assert means["sight"].item() == pytest.approx(((each * weights).sum() / weights.sum()).item(), rel=1e-5)
    figures = skills(moved, outputs)
    assert figures["sight event at the tick"][1] == 1
    assert figures["no false sight event"][1] == moved.targets["sight"].numel() - 1
    assert figures["colour named"][1] == 0


# --- runs and releases of before --------------------------------------------------------------------------------------


def _before(path: Path) -> Path:
    """A checkpoint as runs left it that knew no hints of sight."""
    run = Run(PLAN, config_of("tiny"), path.parent, path.parent)
    run.step(drawn(1))
    run.save()
    saved = read(run.checkpoint)
    kept, every = (len(saved.optimizer["param_groups"][n]["params"]) for n in (0, 1)), saved.optimizer["state"]
    known = range(sum(kept))
    without = {
        part: {n: t for n, t in getattr(saved, part).items() if not n.startswith(PREFIX)} for part in ("learner", "ema")
    }
    optimizer = {
        "state": {n: moments for n, moments in every.items() if n in known},
        "param_groups": saved.optimizer["param_groups"][:2],
    }
    dataclasses.replace(saved, **without, optimizer=optimizer).save(path)
    return path


def test_a_run_of_before_goes_on_with_hints_as_they_are_drawn(tmp_path) -> None:
    old = _before(tmp_path / "old" / "last.safetensors")
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    hints = {name: t.clone() for name, t in run.learner.hints.state_dict().items()}
    run.resume(path=old)
    assert run.progress.step == 1
    assert all(torch.equal(t, hints[name]) for name, t in run.learner.hints.state_dict().items())
    assert torch.equal(run.learner.state_dict()["backbone.places"], read(old).learner["backbone.places"])
    run.step(drawn(1))
    assert any(not torch.equal(t, hints[name]) for name, t in run.learner.hints.state_dict().items())
    tuned = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    tuned.resume(weights_only=True, path=old)
    tuned.step(drawn(1))


def test_a_release_holds_no_hints_and_a_fine_tune_draws_them(tmp_path) -> None:
    run = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    run.step(drawn(1))
    run.save()
    for number, checkpoint in enumerate((run.checkpoint, _before(tmp_path / "old" / "last.safetensors"))):
        export(checkpoint, tmp_path / f"model {number}")
        NanoModel.load(tmp_path / f"model {number}")
    tuned = Run(PLAN, config_of("tiny"), tmp_path, tmp_path)
    hints = {name: t.clone() for name, t in tuned.learner.hints.state_dict().items()}
    tuned.start_from(tmp_path / "model 0")
    assert all(torch.equal(t, hints[name]) for name, t in tuned.learner.hints.state_dict().items())
    assert torch.equal(tuned.ema["backbone.places"], run.ema["backbone.places"])
    assert set(tuned.ema) == {name for name, _ in tuned.learner.named_parameters()}
