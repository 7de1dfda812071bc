"""What mels do not tell: read off states frame by frame, learned with the vocoder, drawn by the head, and served."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from services.interaction.speech.config import DETAILS, DETAILS_PLACE, FEATURES, MELS
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.line import Frames
from services.interaction.speech.speaker import Speaker
from services.interaction.speech.vocoder import Vocoder
from training.speech import details, head, teacher, texts, tiny, vocoder
from training.speech.export import vocoder_of
from training.speech.loop import Plan, trained
from training.speech.pairs import GIVEN
from training.speech.synth import save_shard

TEXTS = texts.skill_texts()[:6]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    path = tmp_path_factory.mktemp("details") / "0000.npz"
    save_shard(path, [tiny.hum(text, teacher.VOICES[i % 4]) for i, text in enumerate(TEXTS)])
    return tiny.joined_takes(path)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(2)
    return details.DetailNet(tiny.DETAILS_SIZE).eval()


def test_a_crop_has_the_details_that_its_frames_have_in_the_take(net):
    given = np.random.default_rng(0).standard_normal((120, GIVEN)).astype(np.float32)
    whole = details.details(net, given)
    with torch.inference_mode():
        crop = net(torch.from_numpy(details.around(given, 40, 104))[None])[0].numpy()
    assert whole.shape == (120, DETAILS)
    np.testing.assert_allclose(crop, whole[40:104], atol=1e-5)


def test_details_see_so_many_frames_ahead_and_no_more(net):
    given = np.zeros((80, GIVEN), dtype=np.float32)
    later = given.copy()
    later[50:] = 1.0
    moved = np.abs(details.details(net, later) - details.details(net, given)).max(axis=1) > 0
    assert not moved[: 50 - details.AHEAD].any()
    assert moved[50 - details.AHEAD :].all()


def test_a_take_is_told_its_details_and_keeps_all_else(net, known):
    told = details.told(net, known[0])
    was = known[0].example
    assert (told.features[:, :DETAILS_PLACE] == was.features[:, :DETAILS_PLACE]).all()
    assert (was.features[:, DETAILS_PLACE:] == 0).all()
    assert told.features[:, DETAILS_PLACE:].std() > 0
    assert told.audio is was.audio


def test_the_vocoder_learns_to_make_use_of_details(known, tmp_path):
    """Both learn: the network that reads them, and what the vocoder does with them."""
    torch.manual_seed(0)
    singer = vocoder.Singer(Vocoder(tiny.config()), details.DetailNet(tiny.DETAILS_SIZE))
    before = {name: p.detach().clone() for name, p in singer.named_parameters()}
    vocoder.learn(singer, known, Plan(6, 3e-3, warm=2), 2, tmp_path / "vocoder.safetensors")
    after = trained(tmp_path / "vocoder.safetensors")
    for name in ("details.stack.enter.weight", "vocoder.filter.enter.weight", "vocoder.filter.leave.weight"):
        assert not torch.equal(before[name], after[name]), name
    moved = (after["vocoder.filter.enter.weight"] - before["vocoder.filter.enter.weight"])[:, DETAILS_PLACE:]
    assert (moved.abs().max(dim=0).values > 0).all()
    Vocoder(tiny.config()).load_state_dict(vocoder_of(after))  # all of it, and nothing else
    kept = details.load(tmp_path / "vocoder.safetensors", tiny.DETAILS_SIZE)
    assert torch.equal(kept.stack.enter.weight, after["details.stack.enter.weight"])


def test_finished_details_stay_as_they_are_while_the_vocoder_goes_on(known, tmp_path):
    torch.manual_seed(0)
    singer = vocoder.Singer(Vocoder(tiny.config()), details.DetailNet(tiny.DETAILS_SIZE))
    singer.details.requires_grad_(False)
    before = {name: p.detach().clone() for name, p in singer.named_parameters()}
    for steps in (3, 6):  # and when it is gone on from
        vocoder.learn(singer, known, Plan(steps, 3e-3, warm=2), 2, tmp_path / "vocoder.safetensors")
    after = trained(tmp_path / "vocoder.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("details."))
    assert not torch.equal(before["vocoder.filter.enter.weight"], after["vocoder.filter.enter.weight"])


def test_some_crops_are_told_nothing():
    torch.manual_seed(0)
    singer = vocoder.Singer(Vocoder(tiny.config()), details.DetailNet(tiny.DETAILS_SIZE))
    n = 400
    given = torch.randn(1, details.BACK + 4 + details.AHEAD, GIVEN).expand(n, -1, -1)
    batch = vocoder.Crops(torch.ones(n, 4, FEATURES), torch.empty(0), torch.empty(0))
    with torch.inference_mode():
        features = singer.told(batch, given, np.random.default_rng(0)).features
    untold = (features[..., DETAILS_PLACE:] == 0).all(dim=2).all(dim=1)
    assert 0.05 < untold.float().mean() < 0.16
    assert (features[..., :DETAILS_PLACE] == 1).all()
    assert features[~untold][:, :, DETAILS_PLACE:].std(dim=0).mean() == pytest.approx(vocoder.NOISE, rel=0.2)


def test_the_head_is_not_taught_what_is_not_known(known):
    torch.manual_seed(0)
    net = SpeechHead(tiny.config()).eval()
    untold = [one.example for one in known[:3]]
    features = [one.features.copy() for one in untold]
    for one in features:
        one[:, DETAILS_PLACE:] = 0.5
    told = [dataclasses.replace(one, features=f) for one, f in zip(untold, features, strict=True)]

    def losses(examples):
        return head.measure(net, head.collate(examples, np.random.default_rng(0)))

    assert float(losses(untold)["details"].detach()) == 0.0
    assert float(losses(told)["details"].detach()) > 0.1
    assert float(losses([told[0], *untold[1:]])["details"].detach()) > 0.1
    assert float(losses(told)["mel"].detach()) == float(losses(untold)["mel"].detach())


@pytest.mark.parametrize("knows", [True, False])
def test_details_are_served_where_the_weights_know_them_and_silence_has_none(knows):
    speaker = Speaker(
        dataclasses.replace(tiny.config(), details=knows), SpeechHead(tiny.config()), Vocoder(tiny.config()), {}
    )
    out = torch.full((1, 16, FEATURES), 3.0)
    blank = np.zeros((16, 1), dtype=np.float32)
    features = speaker._features(out, [Frames(np.zeros(16, dtype=np.int64), blank, begin=2, spoken=10)])
    assert (features[0, 2:10, :MELS] == 3.0).all()
    assert (features[0, 2:10, DETAILS_PLACE:] == float(knows)).all()  # no more than 1
    assert (features[0, :2, DETAILS_PLACE:] == 0).all() and (features[0, 10:, DETAILS_PLACE:] == 0).all()


@pytest.mark.parametrize("knows", [True, False])
def test_a_release_is_gone_on_from_with_what_tells_its_details(tmp_path, net, knows):
    """One that knows none gets small weights for them, whatever lay there."""
    torch.manual_seed(0)
    old = Vocoder(tiny.config())
    with torch.no_grad():
        old.filter.enter.weight[:, DETAILS_PLACE:] = 7.0
    save_file({f"vocoder.{name}": t for name, t in old.state_dict().items()}, tmp_path / "speech.safetensors")
    details.keep(net, tmp_path / "details.safetensors")
    dataclasses.replace(tiny.config(), details=knows).save(tmp_path / "config.json")
    singer = vocoder.Singer(Vocoder(tiny.config()), details.DetailNet(tiny.DETAILS_SIZE))
    vocoder.begin_singing(singer, tmp_path / "speech.safetensors", tmp_path / "details.safetensors")
    weights = singer.vocoder.filter.enter.weight.detach()
    assert torch.equal(weights[:, :DETAILS_PLACE], old.filter.enter.weight[:, :DETAILS_PLACE])
    assert float(weights[:, DETAILS_PLACE:].abs().max()) == pytest.approx(7.0 if knows else 0.2, rel=0.2)
    same = torch.allclose(singer.details.stack.enter.weight, net.stack.enter.weight, atol=2e-3)
    assert same is knows


def test_a_vocoder_that_was_trained_without_details_is_refused_in_a_sentence(tmp_path):
    old = {f"avg.{name}": t for name, t in Vocoder(tiny.config()).state_dict().items()}
    save_file(old, tmp_path / "vocoder.safetensors")
    with pytest.raises(ValueError, match="without details"):
        details.load(tmp_path / "vocoder.safetensors")
