"""The lexicon that ships: it can write what nano is about, in both accents, and takes its time's share, not more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from services.interaction.nano.config import PHONES, NanoConfig
from services.interaction.nano.lexicon import PAUSE, STEPS, Lexicon, Search
from training.phones import PHONES as NAMES
from training.phrases import BACKCHANNELS, TRAINING
from training.skills.words import CATEGORIES, NUMBERS

FOLDER = Path("models/nano")
PLACE = {name: place for place, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    config = NanoConfig.from_dict(json.loads((FOLDER / "config.json").read_text()))
    return Lexicon.load(FOLDER, config.heard_words)


def test_it_has_the_words_that_nano_is_about(lexicon):
    words = set(lexicon.words)
    assert {*NUMBERS, *(word for words in CATEGORIES.values() for word in words)} <= words
    own = {word for phrase in TRAINING if not phrase.delegate for word in phrase.words}
    assert not own - words
    assert len(words) == len(lexicon.words) >= 12_000


def _heard(lexicon: Lexicon, said: str) -> list[str]:
    """What is found in these phones, named one after the other by someone who is rather sure; ``_`` is a pause."""
    steps = [PLACE.get(name, PAUSE) for name in said.split() for _ in range(4)]
    steps += [PAUSE] * (-len(steps) % STEPS + 2 * STEPS)
    likely = np.full((len(steps), PHONES), 0.1 / (PHONES - 1), np.float32)
    likely[np.arange(len(steps)), steps] = 0.9
    search, silent = Search(lexicon), np.zeros(1 + max(lexicon.at_head), np.float32)
    ticks = np.log(likely).reshape(-1, STEPS, PHONES)
    return [word for tick, row in enumerate(ticks) for word in search.hear(tick, row, silent)]


def test_it_writes_what_was_never_said_in_training(lexicon):
    assert not any({"crimson", "falcon"} & {*phrase.words} for phrase in TRAINING)
    found = _heard(lexicon, "dh ax b uh ch er b ao t ax k r ih m z ax n f ae l k ax n")
    assert found == "the butcher bought a crimson falcon".split()


def test_either_accent_will_do(lexicon):
    american = _heard(lexicon, "w ah t ih z dh ax ae n s er")
    british = _heard(lexicon, "w aa t ih z dh ax aa n s ax")
    assert american == british == "what is the answer".split()


def test_signs_of_listening_can_be_written(lexicon):
    assert {word for text in BACKCHANNELS for word in text.split()} <= set(lexicon.words)
