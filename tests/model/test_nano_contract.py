"""nano as an ``InteractionModel``: opening, closing, refusing, and decisions that fit together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from services.encoder.model import EncoderNet, FrameEncoder, weights_version
from services.interaction.nano.awaiting import is_awaited, kinds_of_tasks, likelihood
from services.interaction.nano.config import (
    HEAR,
    NONE,
    PERIODS_TICKS,
    RECALL,
    TASKS,
    NanoConfig,
)
from services.interaction.nano.lexicon import WORDS, Lexicon, Search
from services.interaction.nano.model import (
    CONFIG,
    ENCODER_WEIGHTS,
    NOTHING_YET,
    WEIGHTS,
    NanoModel,
    VersionMismatch,
    backbone_version,
)
from services.interaction.nano.network import NanoNet, TickInputs, spotting
from services.interaction.nano.registers import Tokens, fed, moved
from tests.model.nano_sessions import SMALL, frames, lexicon_tables, model, network


@pytest.fixture
def folder(tmp_path):
    """A complete model folder with drawn weights."""
    encoder = {k: v.contiguous() for k, v in EncoderNet(SMALL.d).state_dict().items()}
    backbone = {k: v.contiguous() for k, v in network().state_dict().items()}
    save_file(encoder, tmp_path / ENCODER_WEIGHTS, metadata={"version": weights_version(encoder)})
    save_file(backbone, tmp_path / WEIGHTS)
    dataclasses.replace(
        SMALL, encoder_version=weights_version(encoder), backbone_version=backbone_version(backbone)
    ).save(tmp_path / CONFIG)
    Lexicon.save(tmp_path, *lexicon_tables())
    return tmp_path


def test_encoder_and_backbone_of_one_folder_fit(folder):
    nano, encoder = NanoModel.load(folder), FrameEncoder.load(folder)
    assert (nano.encoder_version, nano.d) == (encoder.version, encoder.d)
    assert nano.lexicon is not None
    assert nano.name == f"nano-{nano.config.release}+{nano.config.backbone_version}.{nano.lexicon.version}"


def test_another_lexicon_makes_another_model(folder):
    before = NanoModel.load(folder).name
    words, tables = lexicon_tables()
    Lexicon.save(folder, words, tables | {"unigram": tables["unigram"] - 1})
    assert NanoModel.load(folder).name != before
    (folder / WORDS).unlink()
    with pytest.raises(FileNotFoundError, match=WORDS):
        NanoModel.load(folder)


def test_another_encoder_is_refused_by_name(folder):
    other = {k: v.contiguous() for k, v in EncoderNet(SMALL.d).state_dict().items()}
    save_file(other, folder / ENCODER_WEIGHTS, metadata={"version": weights_version(other)})
    with pytest.raises(VersionMismatch, match=weights_version(other)):
        NanoModel.load(folder)


def test_changed_backbone_weights_are_refused(folder):
    weights = {k: v.contiguous() for k, v in network(seed=1).state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(VersionMismatch, match="names"):
        NanoModel.load(folder)


def test_encoder_weights_under_a_wrong_name_are_refused(folder):
    weights = {k: v.contiguous() for k, v in EncoderNet(SMALL.d).state_dict().items()}
    save_file(weights, folder / ENCODER_WEIGHTS, metadata={"version": "enc-000000000000"})
    with pytest.raises(ValueError, match="enc-000000000000"):
        FrameEncoder.load(folder)


def test_an_encoder_of_before_other_ears_is_refused_with_why(folder):
    weights = {"dmel": torch.zeros(1280, SMALL.d), "dmel_norm": torch.ones(SMALL.d)}
    save_file(weights, folder / ENCODER_WEIGHTS, metadata={"version": weights_version(weights)})
    with pytest.raises(ValueError, match="ADR 16"):
        FrameEncoder.load(folder)


def test_a_backbone_of_another_architecture_is_refused_with_why(folder):
    weights = {k: v.contiguous() for k, v in network().state_dict().items() if k != "phone_norm.weight"}
    save_file(weights, folder / WEIGHTS)
    config = NanoConfig.load(folder / CONFIG)
    dataclasses.replace(config, backbone_version=backbone_version(weights)).save(folder / CONFIG)
    with pytest.raises(VersionMismatch, match="another architecture"):
        NanoModel.load(folder)


def test_open_twice_and_beyond_capacity_are_refused():
    nano = model(capacity=1)
    nano.open("a", 0)
    with pytest.raises(ValueError, match="open already"):
        nano.open("a", 0)
    with pytest.raises(ValueError, match="capacity"):
        nano.open("b", 0)
    nano.close("a")
    nano.close("never opened")
    nano.open("b", 0)


def test_unknown_sessions_and_skipped_ticks_are_refused():
    nano = model()
    item = frames("a", 2)
    with pytest.raises(KeyError):
        nano.step(item[:1])
    nano.open("a", 0)
    with pytest.raises(ValueError, match="tick 1, expected 0"):
        nano.step(item[1:])


def test_a_refused_batch_changes_no_session():
    nano, inputs = model(), frames("a", 3)
    nano.open("a", 0)
    nano.open("b", 0)
    broken = dataclasses.replace(
        frames("b", 1)[0], embeddings=np.zeros((2, SMALL.d), np.float16), kinds=np.zeros(2, np.uint8)
    )
    with pytest.raises(ValueError, match="audio"):
        nano.step([inputs[0], broken])
    untouched = model()
    untouched.open("a", 0)
    assert nano.step(inputs[:1]) == untouched.step(inputs[:1])


@pytest.mark.parametrize(
    "tokens", [(), (99,) * 13, (0,) * 6, (0,) * 12, (0,) * 12 + (-1,), (0,) * 12 + (22,), (0,) * 11 + (21, 0)]
)
def test_recorded_tokens_of_another_model_are_refused(tokens):
    nano = model()
    nano.open("a", 0)
    with pytest.raises(ValueError, match="tokens"):
        nano.prefill(frames("a", 1), [tokens])


def test_a_skipped_tick_keeps_what_stands_and_lets_time_pass():
    nano = model()
    nano.open("a", 0)
    task = 1 + TASKS.index("timer 3")
    set_now = moved(Tokens(), 0, 1, NONE, 0, task, 8)
    first, second = frames("a", 2)
    nano.prefill([first], [tuple(set_now)])
    quiet = Tokens(*nano.quiet("a"))
    assert (quiet.task, quiet.word, quiet.age) == (set_now.task, 8, 1)
    nano.prefill([second], [tuple(quiet)])
    assert Tokens(*nano.quiet("a")).age == 2


def test_a_word_to_listen_for_stands_and_goes_with_its_task():
    nano, item = model(), frames("a", 1)[0]
    item = dataclasses.replace(item, pending_left=0, pending_word="", delegated=False)
    order = nano.decider.decide(item, NOTHING_YET, [1, 2, 6, 0, 0, 1 + HEAR, 7, 0, 0, 7, 0, 0])
    assert order.ui == {"standing_task": "hear", "word": "t1", "trigger": "h6"}
    kept = nano.decider.decide(item, Tokens(*order.tokens), [0, 0, RECALL, 9, 0, 0, 0, 0, 0, 3, 0, 0])
    assert (kept.ui, Tokens(*kept.tokens).trigger) == ({}, 7), "whatever the head says meanwhile, and after its word"
    sets = [0, 0, 0, 0, 0, 1 + TASKS.index("timer 3"), 7, 0, 0, 9, 0, 0]
    timer = nano.decider.decide(item, Tokens(*kept.tokens), sets)
    assert (timer.ui, Tokens(*timer.tokens).trigger) == ({"standing_task": "timer 3", "word": "t1"}, NONE)


def test_a_word_to_listen_for_may_be_told_after_the_order_is_understood():
    nano, item = model(), frames("a", 1)[0]
    item = dataclasses.replace(item, pending_left=0, pending_word="", delegated=False)
    order = nano.decider.decide(item, NOTHING_YET, [1, 2, 6, 0, 0, 1 + HEAR, 7, 0, 0, NONE, 0, 0])
    assert order.ui == {"standing_task": "hear", "word": "t1", "trigger": ""}
    waiting = nano.decider.decide(item, Tokens(*order.tokens), [0, 0, 0, 0, 0, 0, 0, 0, 0, NONE, 0, 0])
    told = nano.decider.decide(item, Tokens(*waiting.tokens), [0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0])
    assert told.ui == {"standing_task": "hear", "word": "t1", "trigger": "h6"}
    assert Tokens(*told.tokens).age == 2
    idle = nano.decider.decide(item, NOTHING_YET, [0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0])
    assert (idle.ui, Tokens(*idle.tokens).trigger) == ({}, NONE), "nothing stands that could wait for it"


def test_a_skipped_tick_and_a_restore_keep_the_word_to_listen_for():
    nano = model()
    nano.open("a", 0)
    standing = moved(Tokens(), 0, 1, NONE, 0, 1 + HEAR, 8, 8)
    nano.prefill(frames("a", 1), [tuple(standing)])
    quiet = Tokens(*nano.quiet("a"))
    assert (TASKS[quiet.task], quiet.word, quiet.trigger, quiet.age) == ("hear", 8, 8, 1)


def standing(task: int, trigger: int = NONE, heard: int = NONE) -> TickInputs:
    """A tick of nothing else than a task that stands, and a word that was told."""
    before = Tokens(task=task, trigger=trigger, heard=heard)
    nothing = torch.zeros(1, 1, SMALL.d)
    no = torch.zeros(1, 1, dtype=torch.bool)
    return TickInputs(
        audio=torch.zeros(1, 1, 4, SMALL.d),
        video=nothing,
        has_video=no,
        text=nothing,
        has_text=no,
        fed=torch.tensor([[fed(before)]]),
        pending=torch.zeros(1, 1, 5, dtype=torch.int64),
        time=torch.zeros(1, 1, 2 * len(PERIODS_TICKS)),
    )


def test_decisions_know_whether_an_awaited_word_is_what_they_write_down():
    net = NanoNet(dataclasses.replace(SMALL, kinds={"fruit": tuple(SMALL.heard_words[1:])}))
    net.load_state_dict(network().state_dict())
    x = torch.randn(1, 1, 6, SMALL.d, generator=torch.manual_seed(3))
    without = net.decide(x, standing(HEAR), per_tick=True)
    likely = int(without.heard.argmax())
    assert likely != NONE
    for task, trigger in ((HEAR, likely), (TASKS.index("cue fruit"), NONE)):
        found = net.decide(x, standing(task, trigger), per_tick=True)
        assert torch.equal(found.heard, without.heard), "the transcript does not depend on it"
        assert not torch.equal(found.text, without.text)
    other = net.decide(x, standing(TASKS.index("cue animal")), per_tick=True)
    assert torch.equal(other.text, without.text), "a kind that has no words"


def test_a_task_waits_for_the_words_of_its_kind_and_for_its_trigger():
    kinds = {"fruit": ("h1", "h2", "unwritten"), "number": ("h3", "h4", "h5")}
    table = kinds_of_tasks(dataclasses.replace(SMALL, kinds=kinds))
    place = {word: at for at, word in enumerate(SMALL.heard_words)}

    def waits(task: str, word: str, trigger: str = "") -> bool:
        ids = (TASKS.index(task), place.get(trigger, NONE), place.get(word, len(place)))
        return bool(is_awaited(table, *(torch.tensor([[each]]) for each in ids)))

    assert [w for w in place if waits("cue fruit", w)] == ["h1", "h2"]
    assert [w for w in place if waits("over 3", w)] == []
    assert [w for w in place if waits("spanish numbers", w)] == ["h3", "h4", "h5"]
    assert not waits("cue animal", "h1") and not waits("none", "h1")
    assert waits("hear", "h6", "h6") and not waits("hear", "h6", "h7")
    assert not waits("hear", SMALL.heard_words[NONE]) and not waits("hear", "nobody writes this")


def test_a_likelihood_is_told_as_it_is_and_by_its_logarithm():
    table = torch.zeros(len(TASKS), 4, dtype=torch.bool)
    table[3, 1:3] = True
    words = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]).expand(3, -1, -1)
    likely = likelihood(table, words, torch.tensor([HEAR, 3, HEAR]), torch.tensor([3, NONE, NONE]))
    assert torch.allclose(likely.flatten(), torch.tensor([0.4, 0.5, 0.0]))
    told = spotting(likely)
    assert torch.equal(told[..., 0], likely[..., 0])
    assert told[0, 0, 1] < told[1, 0, 1] < 1.0 and not told[2].any()


def test_what_the_search_finds_is_written_down_and_told_to_the_next_tick(monkeypatch):
    nano = model()
    nano.open("a", 0)
    coming = iter([["h3"], [], ["h4", "h5"], ["h29"]])
    monkeypatch.setattr(Search, "hear", lambda *_: next(coming))
    outputs = [nano.step([item])[0] for item in frames("a", 4)]
    assert [output.user_text for output in outputs] == [" h3", "", " h4 h5", " h29"]
    place, unknown = SMALL.heard_words.index, len(SMALL.heard_words)
    assert [Tokens(*output.tokens).heard for output in outputs] == [place("h3"), NONE, place("h4"), unknown]
    assert fed(Tokens(*outputs[0].tokens))[-2] == place("h3")


def test_the_words_heard_change_what_is_decided_but_not_what_is_heard():
    net = network()
    nano = NanoModel(net, 1)
    nano.open("a", 0)
    inputs = nano._inputs(frames("a", 1), [nano._sessions["a"]])
    told = inputs.fed.clone()
    told[..., -2] = 3
    with torch.inference_mode():
        (without, phones), (heard, same_phones) = (net(inputs._replace(fed=ids)) for ids in (inputs.fed, told))
    assert torch.equal(phones, same_phones), "ears are not told"
    assert not torch.equal(without.text, heard.text)
    told[..., -1] = 3
    with torch.inference_mode():
        net.matched.fill_(1.0)
        awaited, _ = net(inputs._replace(fed=told))
        net.matched.fill_(0.0)
        plain, _ = net(inputs._replace(fed=told))
    assert not torch.equal(awaited.text, plain.text), "the awaited word is told apart from others"
