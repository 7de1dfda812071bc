"""Takes without sound: what is told of them is what their sound would have told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from schemas.records import Manner
from services.interaction.speech.config import DETAILS, DETAILS_PLACE, F0_PLACE, HOP, MELS, VOICED_PLACE, SpeechConfig
from services.interaction.speech.vocoder import MEL_SCALE, SILENCE, Vocoder
from training import kokoro
from training.speech import details, mels, sketches, teacher, texts, tiny, vocoder
from training.speech.data import LEVEL, example, read
from training.speech.loop import Plan
from training.speech.manner_texts import Job
from training.speech.pairs import GIVEN
from training.speech.states import in_manner, sketch
from training.speech.synth import read_shard, save_shard

TEXTS = texts.skill_texts()[:6]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sketches")
    (path / "shards").mkdir()
    save_shard(path / "shards/0000.npz", [tiny.hum(text, teacher.VOICES[1]) for text in TEXTS])
    return path


@pytest.fixture(scope="module")
def nets():
    return untrained()


def untrained():
    torch.manual_seed(1)
    return sketches.Readers(
        mels.MelNet(tiny.MELS_SIZE).eval(), details.DetailNet(tiny.DETAILS_SIZE).eval(), Vocoder(tiny.config()).eval()
    )


def test_mels_are_learned_from_states(folder):
    """More is learned than a constant: each symbol hums a chord of its own."""
    known = tiny.joined_takes(folder / "shards/0000.npz")
    torch.manual_seed(0)
    path = folder / "mels.safetensors"
    mels.learn(mels.MelNet(tiny.MELS_SIZE), known, Plan(300, 5e-3, warm=10), 4, path)
    heard = [one.example.features[:, :MELS] for one in known]
    constant = float(np.abs(heard[0] - np.concatenate(heard).mean(axis=0)).mean())
    assert mels.error(mels.load(path, tiny.MELS_SIZE), known) < 0.7 * constant


def test_what_is_spoken_and_what_is_sketched_have_the_same_frames_and_pitch(folder, nets):
    for raw in read_shard(folder / "shards/0000.npz"):
        spoken, drawn = example(raw), sketches.example(tiny.imagined(tiny.hum(raw.text, raw.voice)), nets)
        assert drawn.features.shape == spoken.features.shape
        assert (drawn.durations == spoken.durations).all()
        assert (drawn.manners == spoken.manners).all()
        assert (np.abs(drawn.features[:, DETAILS_PLACE:]) < 1).all()
        both = (drawn.features[:, VOICED_PLACE] > 0) & (spoken.features[:, VOICED_PLACE] > 0)
        sung = (slice(None), F0_PLACE)
        assert np.abs(drawn.features[sung] - spoken.features[sung])[:-1][both[:-1] & both[1:]].max() < 1e-5


def test_loudness_follows_the_level(folder):
    one = read(folder / "shards")[0]
    heard = one.features[:, :MELS]
    assert mels.loudness(heard + np.float32(0.5 / MEL_SCALE)) == pytest.approx(mels.loudness(heard) + 0.5, abs=1e-4)


@pytest.mark.parametrize("level_db", [0.0, -6.0, 4.0])
def test_every_sketch_has_the_level_of_its_manner(nets, level_db):
    take = dataclasses.replace(tiny.imagined(tiny.hum(TEXTS[0], teacher.VOICES[0])), level_db=level_db)
    drawn = sketches.features(take, nets, 4, len(take.f0) - 4)[:, :MELS]
    above = (mels.loudness(drawn) - sketches.LOUDNESS) * 20 / np.log(10.0)
    assert above == pytest.approx(level_db, abs=0.3)
    assert drawn.min() >= SILENCE


@pytest.mark.parametrize("softer_db", [0.0, 3.0])
def test_a_sketch_in_a_manner_is_as_loud_as_it_is_sung(monkeypatch, nets, softer_db):
    """By a vocoder that sings blurred mels more softly than they are."""
    rng = np.random.default_rng(0)

    def softly(vocoder, features):
        rms = LEVEL * np.exp(mels.loudness(features[:, :MELS]) - sketches.LOUDNESS) * 10 ** (-softer_db / 20)
        return (rms * rng.standard_normal(len(features) * HOP)).astype(np.float32)

    monkeypatch.setattr(sketches, "sung", softly)
    take = dataclasses.replace(tiny.imagined(tiny.hum(TEXTS[0], teacher.VOICES[0])), level_db=4.0)
    plain = sketches.features(take, nets, 4, len(take.f0) - 4)
    warning = sketches.features(
        dataclasses.replace(take, manners=(Manner.WARNING,) * 3), nets, 4, len(take.f0) - 4
    )
    louder_db = (mels.loudness(warning[:, :MELS]) - mels.loudness(plain[:, :MELS])) * 20 / np.log(10.0)
    assert louder_db == pytest.approx(softer_db, abs=0.4)
    assert (warning[:, F0_PLACE:] == plain[:, F0_PLACE:]).all()


def test_effort_brightens_what_lies_above_two_kilohertz():
    nets = untrained()
    torch.nn.init.zeros_(nets.mels.stack.leave.weight)  # a flat spectrum, which is nowhere cut off at the floor
    plain = tiny.imagined(tiny.hum(TEXTS[0], teacher.VOICES[0]))
    bright = dataclasses.replace(plain, bright_db=3.0)
    first, last = 4, len(plain.f0) - 4
    lifted, flat = (sketches.features(take, nets, first, last)[:, :MELS] for take in (bright, plain))
    tilt = (lifted - flat) * MEL_SCALE * 20 / np.log(10.0)
    assert np.allclose(tilt[:, MELS - 1] - tilt[:, 0], 3.0, atol=0.1)


def test_a_shard_is_read_as_it_was_written(tmp_path, nets):
    takes = [tiny.imagined(tiny.murmured(tiny.hum(text, teacher.VOICES[2]))) for text in TEXTS[:3]]
    made = [sketches.example(take, nets) for take in takes]
    seconds = sketches.save_shard(tmp_path / "0000.npz", made)
    assert seconds == sum(len(one.features) for one in made) * 0.0125
    for was, now in zip(made, read(tmp_path, shard=sketches.read_shard), strict=True):
        assert (was.text, was.voice, was.symbols) == (now.text, now.voice, now.symbols)
        assert (was.durations == now.durations).all()
        assert (was.manners == now.manners).all()
        assert (now.manners == list(Manner).index(Manner.BACKCHANNEL)).all()
        assert np.abs(was.features - now.features).max() < 2e-3


def test_other_networks_tell_a_shard_anew_from_kept_states(tmp_path, nets):
    """As they would have told it at first; what the teacher tells stays."""
    hums = [tiny.hum(text, teacher.VOICES[2]) for text in TEXTS[:3]]
    murmured = dataclasses.replace(tiny.imagined(tiny.murmured(hums[0])), level_db=-6.0, bright_db=-4.0)
    takes = [murmured, *(tiny.imagined(one) for one in hums[1:])]
    torch.manual_seed(2)
    others = sketches.Readers(
        mels.MelNet(tiny.MELS_SIZE).eval(), details.DetailNet(tiny.DETAILS_SIZE).eval(), nets.vocoder
    )
    shard, states, wanted = tmp_path / "0000.npz", tmp_path / "0000.npy", tmp_path / "other.npz"
    sketches.save_shard(shard, [sketches.example(take, nets) for take in takes])
    sketches.save_states(states, takes)
    sketches.retell(shard, states, others)
    sketches.save_shard(wanted, [sketches.example(take, others) for take in takes])
    for was, now in zip(sketches.read_shard(wanted), sketches.read_shard(shard), strict=True):
        assert (was.manners == now.manners).all()
        assert (was.durations == now.durations).all()
        apart = np.abs(was.features - now.features)
        assert apart[:, :MELS].max() < 0.02 and apart[:, DETAILS_PLACE:].max() < 0.02
    np.save(states, np.load(states)[1:])
    with pytest.raises(ValueError, match="frames"):
        sketches.retell(shard, states, others)


def test_nothing_can_be_told_anew_where_no_states_were_kept(folder, capsys):
    with pytest.raises(SystemExit):
        sketches.main(["--anew", "--folder", str(folder)])
    assert "no states" in capsys.readouterr().err
    assert not (folder / "states").exists()


def test_a_folder_without_networks_is_read_by_those_of_the_release(tmp_path):
    kept = sketches.readers(tmp_path)
    assert kept.vocoder.filter.size == SpeechConfig.load(Path("models/speech/config.json")).vocoder


def test_what_a_manner_adds_to_the_sound_is_not_in_the_states(folder):
    """So mels are learned without it."""
    one = tiny.joined_takes(folder / "shards/0000.npz")[0]
    added = mels.shelf(3.0) + np.float32(4.0 * np.log(10.0) / 20 / MEL_SCALE)
    features = one.example.features.copy()
    features[:, :MELS] += added
    louder = dataclasses.replace(
        one, example=dataclasses.replace(one.example, features=features), level_db=4.0, bright_db=3.0
    )
    assert np.allclose(mels.plain(louder), mels.plain(one), atol=1e-5)
    assert np.allclose(mels.plain(one), one.example.features[:, :MELS])
    decibels = mels.shelf(3.0) * MEL_SCALE * 20 / np.log(10.0)
    assert decibels[0] < 0.01 and decibels[-1] == pytest.approx(3.0, rel=0.01)


def test_nothing_that_is_held_out_is_sketched_and_voices_take_turns(monkeypatch):
    opened = [f"The {word} was there on Monday." for word in ("house", "dog", "river", "table", "garden") * 40]
    numbered = [text.replace("Monday", f"Monday, {n}") for n, text in enumerate(opened)]
    monkeypatch.setattr(texts, "wordnet_examples", lambda: numbered)
    planned = sketches.plan()
    said = [text for text, _ in planned]
    assert not any(texts.held_out(text) for text in said if text in numbered)
    skills = set(texts.skill_texts())
    for voice in teacher.VOICES:
        assert skills <= {text for text, by in planned if by == voice}
    counts = [sum(by == voice for text, by in planned if text not in skills) for voice in teacher.VOICES]
    assert max(counts) - min(counts) <= 1


@pytest.mark.skipif(
    not (kokoro.kokoro_ready() and (kokoro.CACHE / "package/voices").is_dir()), reason="without Kokoro in its cache"
)
def test_the_teacher_plans_what_it_speaks() -> None:
    voice = teacher.VOICES[0]
    spoken, drawn = teacher.speak("what time is the meeting?", voice), sketch("what time is the meeting?", voice)
    assert (spoken.durations == drawn.durations).all()
    assert (spoken.f0 == drawn.f0).all()
    assert drawn.states.shape == (len(spoken.f0), 512)
    asked = in_manner(Job("what time is the meeting?", voice, Manner.QUESTION, False))
    assert asked.states.shape == (len(asked.f0), 512)
    assert asked.manners == (Manner.QUESTION,) * 5


def test_weights_are_kept_in_half_precision_and_loaded_again(tmp_path, nets):
    mels.keep(nets.mels, tmp_path / "mels.safetensors")
    details.keep(nets.details, tmp_path / "details.safetensors")
    again = (
        mels.load(tmp_path / "mels.safetensors", tiny.MELS_SIZE),
        details.load(tmp_path / "details.safetensors", tiny.DETAILS_SIZE),
    )
    for net, read_again in zip((nets.mels, nets.details), again, strict=True):
        for name, tensor in net.state_dict().items():
            assert torch.allclose(read_again.state_dict()[name], tensor, atol=2e-3, rtol=2e-3)


def test_what_is_shipped_reads_mels_and_details_of_the_released_voices():
    """Without the teacher no more can be seen than that it fits."""
    with torch.inference_mode():
        heard = mels.load(mels.KEPT)(torch.zeros(2, 40, GIVEN))
    fine = details.details(details.load(), np.zeros((40, GIVEN), dtype=np.float32))
    assert heard.shape == (2, 40, MELS)
    assert fine.shape == (40, DETAILS)
    assert torch.isfinite(heard).all() and np.isfinite(fine).all()


@pytest.mark.parametrize("part", ["foo", "0/2", "3/2", "1", "1/2/3", "-1/2"])
def test_a_share_that_there_is_not_is_refused_in_a_sentence(part, capsys):
    with pytest.raises(SystemExit):
        sketches.main([f"--share={part}"])
    assert "is no share" in capsys.readouterr().err


@pytest.mark.parametrize("step", [mels, vocoder])
def test_what_was_never_trained_is_not_kept(step, tmp_path, capsys):
    with pytest.raises(SystemExit):
        step.main(["--folder", str(tmp_path), "--keep", str(tmp_path / "out.safetensors")])
    assert "train it first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
