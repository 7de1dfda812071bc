"""Released weights move into a larger network: words by word, new inputs without effect, all else as it was."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from services.interaction.nano.config import SPECIAL_WORDS
from services.interaction.nano.network import NanoNet
from tests.model.nano_sessions import SMALL
from training.graft import grafted


def _state(net: NanoNet) -> dict[str, torch.Tensor]:
    return {f"backbone.{name}": tensor for name, tensor in net.state_dict().items()}


def _larger() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A release without registers, a network with one more word, and the graft of both."""
    torch.manual_seed(0)
    release = {n: t for n, t in _state(NanoNet(SMALL)).items() if n.split(".")[1] != "fed" or int(n.split(".")[2]) < 6}
    now = dataclasses.replace(SMALL, text_words=(*SPECIAL_WORDS, "new", *SMALL.text_words[len(SPECIAL_WORDS) :]))
    fresh = _state(NanoNet(now))
    words = {"text_words": (SMALL.text_words, now.text_words), "heard_words": (SMALL.heard_words, now.heard_words)}
    return release, fresh, grafted(release, fresh, words)


def test_words_keep_their_rows_wherever_they_stand_now():
    release, fresh, made = _larger()
    pointing = len(SPECIAL_WORDS)
    for name in ("backbone.heads.2.weight", "backbone.fed.2.weight"):
        assert torch.equal(made[name][:pointing], release[name][:pointing])
        assert torch.equal(made[name][pointing + 1 :], release[name][pointing:])
        assert made[name].shape == fresh[name].shape


def test_new_inputs_have_no_effect_and_the_rest_is_as_released():
    release, _, made = _larger()
    assert not made["backbone.fed.9.weight"].any()
    kept = "backbone.layers.1.attention.query.weight"
    assert torch.equal(made[kept], release[kept])


def test_a_task_more_stands_behind_the_release_s_own_and_what_listens_for_a_word_begins_silent():
    tasks = ("backbone.fed.6.weight", "backbone.heads.5.weight")
    words = {"text_words": (SMALL.text_words,) * 2, "heard_words": (SMALL.heard_words,) * 2}
    older = {n: t for n, t in _state(NanoNet(SMALL)).items() if not re.search("awaits|awaited|spotted", n)}
    older |= {name: older[name][:-1] for name in tasks}
    made = grafted(older, _state(NanoNet(SMALL)), words)
    for name in tasks:
        assert torch.equal(made[name][:-1], older[name])
        assert made[name][-1].any()
    assert not made["backbone.awaits.weight"].any()
    assert not made["backbone.spotted.weight"].any()
    assert made["backbone.awaited.weight"].any()


def test_another_architecture_is_refused_by_name():
    release, fresh, _ = _larger()
    words = {"text_words": (SMALL.text_words,) * 2, "heard_words": (SMALL.heard_words,) * 2}
    with pytest.raises(ValueError, match="not of this architecture"):
        grafted(release | {"backbone.more": torch.zeros(1)}, fresh, words)
    with pytest.raises(ValueError, match="places"):
        grafted(release | {"backbone.places": torch.zeros(1, 2)}, fresh, words)
