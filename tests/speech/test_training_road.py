"""``make train STAGE=speech ARGS=--tiny``: takes, three networks, export, loading, a word spoken."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from schemas.records import Manner
from services.interaction.speech.config import (
    DELAY_FRAMES,
    FEATURES,
    HOP,
    RATE_HZ,
    VOICED_PLACE,
    SpeechConfig,
    StackSize,
)
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.layers import Stack
from services.interaction.speech.speaker import Speaker
from services.interaction.speech.vocoder import F0_MEAN, Vocoder
from tests.speech.voices import samples, say, ticks
from training.speech import served, teacher, teacher_figures, tiny
from training.speech.data import LEVEL, level, manners_of, read, source_turns
from training.speech.export import emphasised, export
from training.speech.head import horizons
from training.speech.loop import Plan, begin_from, optimisers, train, trained
from training.speech.manner_texts import jobs
from training.speech.manners import DELIVERIES, SUNG_HZ, melody
from training.speech.teacher import VOICES
from training.speech.texts import held_out
from training.speech.tiny import STEPS, tiny_run
from training.voices import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech")
    tiny_run(path)
    return path


def test_the_road_ends_in_a_voice_that_can_be_loaded_and_speaks(folder):
    names = {p.name for p in (folder / "model").iterdir()}
    assert names == {"speech.safetensors", "config.json", "lexicon.tsv.xz"}
    out = say(Speaker.load(folder / "model"), ticks("hello how can i help", length=60))
    assert [w.text for o in out for w in o.words if w.end_ms is not None] == "hello how can i help".split()
    assert np.abs(samples(out)).max() > 0
    assert int(load_file(folder / "head.safetensors")["step"]) == STEPS


def test_weights_of_another_version_are_refused(folder, tmp_path):
    for path in (folder / "model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"version": "0123456789ab"}))
    with pytest.raises(ValueError, match="names 0123456789ab"):
        Speaker.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"gains": [2.0] * 4}))
    with pytest.raises(ValueError, match="weights and gains are"):  # another level is another voice
        Speaker.load(tmp_path)


def test_it_goes_on_from_what_is_there(folder):
    before = load_file(folder / "head.safetensors")
    tiny_run(folder)
    after = load_file(folder / "head.safetensors")
    assert all((before[name] == after[name]).all() for name in before)


def test_examples_are_whole_and_of_equal_level(folder):
    examples = read(folder / "shards")
    for one in examples:
        assert one.durations.sum() == len(one.features) == len(one.audio) // 300
        assert len(one.durations) == len(one.symbols) == len(one.manners)
        softer = 0.5 if one.manners.any() else 1.0  # a manner's loudness is kept
        assert level(one.audio) == pytest.approx(softer * LEVEL, rel=0.02)
    assert {manner for one in examples for manner in one.manners} == {0, list(Manner).index(Manner.BACKCHANNEL)}
    assert {one.voice for one in examples} == set(VOICES)


def test_weights_begin_from_a_release_and_a_part_that_does_not_fit_is_refused(folder):
    released = folder / "model" / "speech.safetensors"
    net = SpeechHead(tiny.config())
    begin_from(net, released, "head")
    trained_head = {name: t.half() for name, t in emphasised(trained(folder / "head.safetensors")).items()}
    assert all(torch.equal(p.half(), trained_head[name]) for name, p in net.named_parameters())
    with pytest.raises(RuntimeError, match="does not fit"):
        begin_from(net, released, "vocoder")


def test_a_share_of_the_releases_head_may_be_kept(folder, tmp_path):
    release = folder / "model" / "speech.safetensors"
    known = load_file(release)
    moved = {name: t + 1.0 if name.startswith("head.") else t for name, t in known.items()}
    save_file(moved, tmp_path / "moved.safetensors")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lexicon.tsv.xz").write_bytes((folder / "model" / "lexicon.tsv.xz").read_bytes())
    export(folder, tmp_path / "out", tiny.config(), release=tmp_path / "moved.safetensors", keep=0.25)
    made = load_file(tmp_path / "out" / "speech.safetensors")
    for name, tensor in made.items():
        wanted = known[name].float() + (0.25 if name.startswith("head.") else 0.0)
        torch.testing.assert_close(tensor.float(), wanted, atol=2e-3, rtol=1e-3)


def test_manners_of_words_are_those_of_their_symbols():
    places = manners_of("^hˈW ˈɑɹ ju?$", ("list", "list", "question"))
    names = [list(Manner)[place] for place in places]
    assert names[:8] == [Manner.LIST] * 8 and names[8:] == [Manner.QUESTION] * 5


def test_a_melody_is_bent_as_its_manner_wants():
    symbols, durations = "^ˈə ˈə, ˈə ˈə.$", np.full(15, 8, dtype=np.int16)
    f0 = np.where(np.repeat([s in " ,.$^" for s in symbols], 8), 3.0, 120.0).astype(np.float32)
    sung = f0 > SUNG_HZ
    made = {m: melody(symbols, durations, f0, DELIVERIES[m], settles=False) for m in Manner}
    assert all((one[~sung] == f0[~sung]).all() for one in made.values())
    assert made[Manner.STATEMENT][sung] == pytest.approx(f0[sung])
    last = np.flatnonzero(sung)[-3:]
    assert made[Manner.QUESTION][last].mean() > 1.3 * 120.0
    assert np.median(made[Manner.BACKCHANNEL][sung]) < 120.0 < np.median(made[Manner.WARNING][sung])
    comma = 8 * symbols.index(",")
    held = made[Manner.LIST][:comma][sung[:comma]]
    assert held[-1] > 1.1 * 120.0
    settled = melody(symbols, durations, f0, DELIVERIES[Manner.LIST], settles=True)
    assert settled[last] == pytest.approx(120.0)


def test_jobs_of_manners_are_balanced_and_share_their_neutral_texts():
    chosen = jobs()
    first = chosen[:200]
    counts = Counter((job.manner, job.voice) for job in first)
    assert len(counts) == 20 and max(counts.values()) - min(counts.values()) <= 2
    shared = [{j.text for j in chosen if j.manner is m} for m in Manner if m is not Manner.STATEMENT]
    assert len(set.intersection(*shared)) >= 40
    assert not any(held_out(job.text) and job.text[-1] in ".?!" for job in chosen)


def test_the_vocoder_is_led_through_the_turns_of_the_teachers_source():
    net, frames = Vocoder(tiny.config()), 20
    values = torch.zeros(1, frames, FEATURES)
    hz = math.exp(F0_MEAN)
    values[..., VOICED_PLACE] = 1.0
    turns = torch.from_numpy(source_turns(np.full(frames, hz, dtype=np.float32)))[None] - 0.5 * hz * HOP / RATE_HZ
    filters = net.filter(values)
    led = net.shaped(values, filters, torch.zeros(1, dtype=torch.int64), turns)
    state = net.empty(1)
    state.last = torch.tensor([[hz, 1.0]])
    free, _ = net._sound(values, filters, state)
    torch.testing.assert_close(led, free[:, DELAY_FRAMES * HOP :], atol=1e-3, rtol=1e-3)
    shifted = net.shaped(values, filters, torch.zeros(1, dtype=torch.int64), turns + 0.5)
    assert (shifted - led).abs().max() > 0.1 * led.abs().max()


def test_the_source_is_led_to_the_teachers_phase_where_f0_glides():
    """Kokoro's source: a running sum of F0 a frame, reached in the frame's middle, straight lines between."""
    f0 = np.linspace(150.0, 250.0, 40, dtype=np.float32)
    middles = np.cumsum(f0.astype(np.float64)) * HOP / RATE_HZ
    ends = 0.5 * (middles[1:] + middles[:-1])
    np.testing.assert_allclose(source_turns(f0)[:-1], ends, atol=1e-6)


def test_the_teacher_never_lends_a_held_out_voice():
    assert not {v.voice for v in load() if v.held_out} & set(VOICES)


def test_text_is_known_in_training_as_far_as_the_line_knows_it():
    text = "do you mean that we are late"
    line = teacher.symbols(text, "us")
    durations = np.full(len(line), 6)
    by_word, at_once = (served.horizons(teacher.phonemiser("us"), line, durations, text, n) for n in (1, 99))
    assert by_word is not None and at_once is not None
    places = np.arange(len(line))
    assert (by_word > places).all() and (at_once >= by_word).all()
    assert (at_once > by_word).any()
    starts = [0, *np.flatnonzero(np.array(list(line)) == " ")]
    assert by_word[0] == starts[1] and by_word[1] == starts[2]  # its first sound waits for the second word
    assert at_once[-1] == len(line)


def test_horizons_hide_whole_words_never_parts():
    symbols = "^hˈW ˈɑɹ ju?$"  # words begin at 0, 4, 8; the end at 11
    rng = np.random.default_rng(0)
    seen = {tuple(horizons(symbols, rng)) for _ in range(400)}
    assert len(seen) > 10
    for row in seen:
        assert len({row[i] for i in range(4)}) == len({row[i] for i in range(4, 8)}) == 1
        assert row[0] in (4, 8, 13) and row[4] in (8, 11, 13) and row[11] == 13


def test_training_goes_on_to_the_bit_with_both_optimizers(tmp_path):
    size = StackSize(8, 16, 2, 3)

    def losses_of(net):
        def losses(step):
            x = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(step))
            return {"far": (net(x) - x[..., :3]).square().mean()}

        return losses

    def fresh():
        torch.manual_seed(3)
        return Stack(size, 5, 3)

    whole, parts = fresh(), fresh()
    assert [bool(group.get("muon")) for group in optimisers(whole, 1e-2).param_groups] == [False, True]
    train(whole, losses_of(whole), Plan(6, 1e-2), tmp_path / "whole.safetensors")
    train(parts, losses_of(parts), Plan(3, 1e-2), tmp_path / "parts.safetensors")
    again = fresh()
    train(again, losses_of(again), Plan(6, 1e-2), tmp_path / "parts.safetensors")
    for name, one in whole.state_dict().items():
        assert torch.equal(one, again.state_dict()[name]), name
    averages = trained(tmp_path / "whole.safetensors"), trained(tmp_path / "parts.safetensors")
    assert all(torch.equal(one, averages[1][name]) for name, one in averages[0].items())


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    net = Stack(StackSize(8, 16, 1, 3), 5, 3)
    path = tmp_path / "net.safetensors"
    train(net, lambda _: {"far": net(torch.ones(1, 4, 5)).square().mean()}, Plan(1, 1e-2), path)
    tensors = load_file(path)
    save_file({name: t for name, t in tensors.items() if "momentum" not in name}, path)
    with pytest.raises(ValueError, match="another optimizer"):
        train(net, lambda _: {}, Plan(2, 1e-2), path)


@pytest.mark.parametrize(
    ("count", "said"), [(2, "^ðə hˈWs"), (3, "^ðə hˈWs, twˈɛnti fˈIv"), (4, "^ðə hˈWs, twˈɛnti fˈIv dˈɑɡz")]
)
def test_the_teacher_is_stopped_behind_a_word_and_before_its_mark(count, said):
    take = tiny.hum("the house, 25 dogs slept", VOICES[0])
    assert take.symbols.startswith(said)
    stopped = teacher_figures.stopped_after(take, count)
    end = int(take.durations[: len(said)].sum()) * HOP
    assert (stopped[:end] == take.audio[:end]).all() and np.abs(stopped[end - HOP : end]).max() > 0
    assert len(stopped) == end + (25 + 200) * RATE_HZ // 1000
    assert not stopped[end + 25 * RATE_HZ // 1000 :].any()


def test_more_blocks_than_a_release_has_change_nothing_at_first(tmp_path):
    torch.manual_seed(0)
    old = Vocoder(tiny.config())
    save_file({f"vocoder.{name}": t for name, t in old.state_dict().items()}, tmp_path / "speech.safetensors")
    deeper = dataclasses.replace(tiny.config(), vocoder=dataclasses.replace(tiny.config().vocoder, blocks=4))
    new = Vocoder(deeper)
    begin_from(new, tmp_path / "speech.safetensors", "vocoder")
    values = torch.randn(1, 20, FEATURES)
    assert torch.equal(new.filter(values), old.filter(values))
    with pytest.raises(RuntimeError):
        begin_from(Vocoder(tiny.config()), tmp_path / "speech.safetensors", "head")


@pytest.mark.parametrize("knows", [True, False])
def test_a_releases_vocoder_keeps_its_size_beside_a_head_that_was_trained(folder, tmp_path, knows):
    """Whatever is the default by now."""
    shutil.copytree(folder / "model", tmp_path / "model")
    dataclasses.replace(SpeechConfig.load(tmp_path / "model" / "config.json"), details=knows).save(
        tmp_path / "model" / "config.json"
    )
    (tmp_path / "trained").mkdir()
    shutil.copy(folder / "head.safetensors", tmp_path / "trained")
    newer = dataclasses.replace(tiny.config(), vocoder=StackSize(32, 64, 5, 7))
    release = tmp_path / "model" / "speech.safetensors"
    made = export(tmp_path / "trained", tmp_path / "model", newer, release=release)
    assert (made.vocoder, made.details) == (tiny.config().vocoder, knows)
    say(Speaker.load(tmp_path / "model"), ticks("hello"))
