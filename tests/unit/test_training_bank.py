"""The bank of takes: who says what, how often human-like voices are chosen, what is there to learn to hear from."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from training import synth
from training.bank import HUMAN_SHARE, SAME_VOICE, Bank
from training.data import vocabularies
from training.lexis import counted
from training.oracle import Oracle
from training.phrases import BACKCHANNELS, FREE, HELD_OUT, TRAINING
from training.scenes import Composer
from training.script import Recipe
from training.synth import Take, missing, save_shard, shard_path, wanted
from training.voices import Voice

FLITE, KOKORO, ESPEAK = Voice("flite:slt", False), Voice("kokoro:af_sky", False), Voice("espeak:en-us+m1:150:40", False)
OTHER = Voice("kokoro:am_michael", True)
TEXTS = [p.text for p in TRAINING[:40]]
STORY, STORY_HELD_OUT = FREE[False]["stories"][0], FREE[True]["stories"][0]


def _spoken(folder: Path, voice: Voice, texts: list[str], timed: bool = True) -> None:
    takes = [Take(text, 800 * n, 800 * (n + 1), None, [(1, 800)] if timed else None) for n, text in enumerate(texts)]
    (scratch := folder / "scratch").mkdir()
    save_shard(shard_path(voice, folder), [np.full(800 * len(texts), 7, np.int16)], takes, scratch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _spoken(tmp_path, FLITE, [*TEXTS, *BACKCHANNELS[:1], STORY, STORY_HELD_OUT, HELD_OUT[0].text, "of an older list"])
    _spoken(tmp_path, KOKORO, TEXTS[:4])
    _spoken(tmp_path, ESPEAK, TEXTS, timed=False)
    _spoken(tmp_path, OTHER, [TEXTS[0], HELD_OUT[0].text])
    return tmp_path


def test_the_training_half_holds_no_held_out_voice_or_phrasing(folder):
    bank = Bank(held_out=False, folder=folder)
    assert set(bank.takes) == {*TEXTS, BACKCHANNELS[0]}
    assert {take.voice for takes in bank.takes.values() for take in takes} == {FLITE, KOKORO, ESPEAK}
    assert [take.text for take in bank.free["stories"][FLITE.name]] == [STORY]


def test_texts_that_a_human_like_voice_says_are_preferred(folder):
    bank, rng = Bank(held_out=False, folder=folder), random.Random(1)
    drawn = Counter(bank.preferred(rng, TEXTS) in TEXTS[:4] for _ in range(4000))
    expected = HUMAN_SHARE + (1 - HUMAN_SHARE) * 4 / 40
    assert abs(drawn[True] / 4000 - expected) < 0.04
    assert {bank.preferred(rng, TEXTS[4:8]) for _ in range(100)} == set(TEXTS[4:8])


def test_hearing_is_learned_from_accepted_takes_with_times_of_one_voice(folder):
    bank, rng = Bank(held_out=False, folder=folder), random.Random(2)
    voices = Counter()
    for _ in range(300):
        takes = bank.exact(rng)
        assert len({take.voice for take in takes}) == 1
        voices[takes[0].voice.engine] += 1
        assert {take.text for take in takes} <= {*TEXTS, BACKCHANNELS[0], STORY}
    assert set(voices) == {"flite", "kokoro"}
    assert voices["kokoro"] > voices["flite"]


def test_a_shard_grows_by_what_it_lacks_and_a_larger_limit_keeps_the_smaller_ones_texts(folder, monkeypatch):
    monkeypatch.setattr(synth, "texts_for", lambda voice: [*TEXTS, BACKCHANNELS[0]])
    assert missing(FLITE, folder, None) == []
    assert set(missing(KOKORO, folder, None)) == {*TEXTS[4:], BACKCHANNELS[0]}
    assert wanted(KOKORO, 20)[:5] == wanted(KOKORO, 5)
    assert wanted(KOKORO, 1) == [BACKCHANNELS[0]]
    assert len(wanted(KOKORO, 1000)) == 41


def test_the_transcripts_vocabulary_begins_with_the_skills_own_words():
    found = counted(["the quagga the the"])
    assert min(found[word] for word in ("seven", "banana", "okay")) > 1000 > found["quagga"] == 1


def test_a_session_is_mostly_spoken_by_one_voice_and_strangers_have_another(folder, monkeypatch):
    bank, rng = Bank(held_out=False, folder=folder), random.Random(4)
    assert {bank.user(rng) for _ in range(200)} == {FLITE.name, KOKORO.name, ESPEAK.name}
    said = Counter(bank.pick(rng, TEXTS[0], voice=ESPEAK.name).voice.name for _ in range(2000))
    assert said[ESPEAK.name] / 2000 > SAME_VOICE - 0.04
    assert len(said) == 3
    few = Counter(bank.preferred(rng, TEXTS, KOKORO.name) in TEXTS[:4] for _ in range(2000))
    assert few[True] / 2000 < HUMAN_SHARE + 0.15
    monkeypatch.setattr("training.bank.LEAST_SAID", 4)
    chosen = Counter(bank.preferred(rng, TEXTS, KOKORO.name) in TEXTS[:4] for _ in range(2000))
    assert chosen[True] / 2000 > SAME_VOICE - 0.04
    strangers = [bank.stranger(rng, FLITE.name) for _ in range(100)]
    assert {take.voice.name for take in strangers if take is not None} == {KOKORO.name, ESPEAK.name}


def test_what_a_stranger_says_is_laid_down_and_asks_for_nothing(folder):
    recipe = Recipe(overheard=1.0, order=0.0, story=0.0, aside=0.0, babble=0.0, video=0.0, shown=0.0)
    script = Composer(Bank(held_out=False, folder=folder), recipe, 60).compose(random.Random(5))
    assert script.turns
    for turn in script.turns:
        assert (turn.kind, turn.phrase, turn.pieces, turn.word_ends) == ("overheard", None, [], None)
        assert turn.voice != script.voice
    targets = Oracle(script, *({word: n for n, word in enumerate(words)} for words in vocabularies())).run()
    assert not targets.text.any() and not targets.user.any() and not targets.floor.any()
    assert not targets.heard_counts.all(), "whether it is written down is left open"
