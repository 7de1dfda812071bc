"""nano's own voice as a teacher: what is said is what the texts, the speakers and the exact times say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.interaction.speech.config import F0_PLACE, FEATURES, MELS
from services.interaction.speech.vocoder import F0_SCALE
from training.own import OwnVoice, bent, own_voice, speaker_of
from training.phones import PHONES
from training.synth import main, texts_for
from training.voices import load

TEXT = "what is the population of brazil"


@pytest.fixture(scope="module")
def voice() -> OwnVoice:
    return own_voice()


def test_a_take_has_a_speaker_of_its_own_and_always_the_same(voice):
    def drawn(name, text):
        return speaker_of(name, text, voice.names, voice.accents)

    assert drawn("mix-1", TEXT) == drawn("mix-1", TEXT)
    assert len({drawn("mix-1", f"{TEXT} {n}") for n in range(20)}) == 20
    for name in (*voice.names, "mix-1"):
        speaker = drawn(name, TEXT)
        assert sum(speaker.shares) == pytest.approx(1.0)
        assert min(speaker.shares) >= 0.0
        assert name == "mix-1" or speaker.shares[voice.names.index(name)] == 1.0


def test_a_throat_moves_the_mels_and_nothing_else():
    features = torch.zeros(5, FEATURES)
    features[:, 40] = 1.0
    same, longer = bent(features, 1.0, 1.0), bent(features, 0.9, 1.2)
    assert torch.allclose(same, features, atol=1e-4)
    assert int(longer[0, :MELS].argmax()) < 40
    assert torch.allclose(longer[:, F0_PLACE], features[:, F0_PLACE] + np.log(1.2) / F0_SCALE)


def test_words_and_phones_end_where_they_sound(voice):
    said = voice.say([(TEXT, "af_heart")])[0]
    assert said.word_ends is not None
    assert len(said.word_ends) == len(TEXT.split())
    assert said.word_ends == sorted(said.word_ends)
    ends = [end for _, end in said.phones]
    assert ends == sorted(ends)
    assert ends[-1] == len(said.audio) * 2 // 3
    assert set(said.word_ends) <= set(ends)
    named = [PHONES[phone] for phone, _ in said.phones if phone > 0]
    assert named[:2] == ["w", "ah"]
    assert named[-1] == "l"
    # it is silent behind the last word, and loud before
    loud = np.abs(said.audio)
    last = said.word_ends[-1] * 3 // 2
    assert loud[:last].max() > 20 * loud[last + 3600 :].max()


def test_a_take_does_not_depend_on_what_is_said_beside_it(voice):
    jobs = [(TEXT, "mix-0"), ("count to ten", "bm_fable"), ("i would like to hear about the moon", "mix-3")]
    together = voice.say(jobs)
    alone = [voice.say([job])[0] for job in jobs]
    for one, other in zip(together, alone, strict=True):
        assert one.word_ends == other.word_ends
        assert one.phones == other.phones
        assert float(np.abs(one.audio - other.audio).max()) < 1e-3


def test_a_word_that_is_spoken_as_several_leaves_word_ends_unknown(voice):
    said = voice.say([("it is 25 today", "af_heart")])[0]
    assert said.word_ends is None
    assert said.phones


def test_the_own_voices_say_every_training_text_between_them():
    own = [v for v in load() if v.engine == "own"]
    assert len(own) == 12
    assert not any(v.held_out for v in own)
    texts = [set(texts_for(v)) for v in own]
    everything = set(texts_for(next(v for v in load() if v.name == "flite:slt")))
    assert len(set.union(*texts) & everything) > 0.75 * len(everything)


def test_an_engine_that_there_is_not_is_refused_by_name(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["--engines", "own,nonsense", "--folder", str(tmp_path)])
    assert "no engine is called nonsense; these are: espeak, flite, kokoro, own" in capsys.readouterr().err
