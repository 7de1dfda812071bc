"""The search for the user's words: what it finds in clean phones, when it says so, and that it forgets as promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.interaction.nano.config import PHONES
from services.interaction.nano.lexicon import GRID_TICKS, PAUSE, REACH_TICKS, STEPS, Lexicon, Search, Weights
from training.dictionary import bigram, tree

WORDS = ("see", "sea", "the", "cat", "at")
WAYS = [{(31, 17)}, {(31, 17)}, {(10, 3), (10, 17)}, {(19, 2, 32)}, {(2, 32)}]
LINES = [["see", "the", "cat"]] * 3 + [["the", "sea"]] * 2 + [["the", "cat"], ["at", "the", "sea"]]
HEARD = ("<none>", *WORDS[:4])  # the head does not know the last one
NOTHING = np.zeros(len(HEARD), np.float32)


def _lexicon(weights: Weights | None = None) -> Lexicon:
    counts = {word: sum(line.count(word) for line in LINES) for word in WORDS}
    unigram = np.log([counts[word] / sum(counts.values()) for word in WORDS])
    pairs = bigram(LINES, {word: n for n, word in enumerate(WORDS)}, unigram)
    tables = {**tree(WAYS, unigram), **pairs, "unigram": unigram, "usual": np.full(PHONES, 1 / PHONES)}
    return Lexicon(WORDS, tables, HEARD, weights)


def _sound(phones: list[int], sure: float = 0.9) -> np.ndarray:
    """Log probabilities of ticks in which these phones sound, two steps each, filled up with a pause."""
    steps = [phone for phone in phones for _ in range(2)]
    steps += [PAUSE] * (-len(steps) % STEPS)
    likely = np.full((len(steps), PHONES), (1 - sure) / (PHONES - 1), np.float32)
    likely[np.arange(len(steps)), steps] = sure
    return np.log(likely).reshape(-1, STEPS, PHONES)


def _found(search: Search, sound: np.ndarray, words: np.ndarray = NOTHING, first: int = 0) -> list[list[str]]:
    return [search.hear(first + tick, row, words) for tick, row in enumerate(sound)]


SILENCE = _sound([PAUSE] * (STEPS // 2))  # a tick


def test_words_are_found_in_order_once_each_and_at_most_one_a_tick():
    said = _sound([31, 17, 10, 3, 19, 2, 32])  # see the cat
    found = _found(Search(_lexicon()), np.concatenate([SILENCE, said, *[SILENCE] * 4]))
    assert [word for words in found for word in words] == ["see", "the", "cat"]
    assert not found[0] and not found[1], "a tick's phones are searched in the next one"
    assert all(len(words) <= 1 for words in found)


AT_THE_SEA = _sound([2, 32, 10, 3, 31, 17])
LATE = Weights(soon=16)


def test_after_a_silence_all_that_is_left_is_written_down_one_a_tick():
    found = _found(Search(_lexicon(LATE)), np.concatenate([AT_THE_SEA, *[SILENCE] * 5]))
    assert found == [[], [], [], ["at"], ["the"], ["sea"], []]


def test_what_is_left_from_before_is_written_down_when_more_is_left():
    """So that no more than ``LEFT`` ticks after an end depend on it."""
    said = np.concatenate([AT_THE_SEA, SILENCE, _sound([31, 17]), *[SILENCE] * 4])
    assert _found(Search(_lexicon(LATE)), said)[3:6] == [["at"], ["the"], ["sea", "see"]]


def test_a_word_is_written_down_soon_where_nothing_else_is_likely_and_later_in_any_case():
    said = _sound([31, 17, 10, 3, 19, 2, 32, 10, 3, 31, 17, 10, 3, 19, 2, 32])
    soon, late = (_found(Search(_lexicon(Weights(margin=margin))), said) for margin in (3.0, math.inf))
    assert soon[1:4] == [["see"], ["the"], ["cat"]]
    assert late[:4] == [[], [], [], ["see"]], "two ticks after its end, when the next one is over"


def test_words_that_sound_alike_are_told_apart_by_the_words_before_and_by_the_head():
    sound = np.concatenate([_sound([10, 3, 31, 17]), SILENCE, SILENCE])
    heard = NOTHING.copy()
    heard[HEARD.index("see")] = 0.9
    without, with_head = (_found(Search(_lexicon()), sound, words) for words in (NOTHING, heard))
    assert [word for words in without for word in words] == ["the", "sea"]
    assert [word for words in with_head for word in words] == ["the", "see"]


def test_silence_and_noise_that_is_heard_as_such_say_nothing():
    assert not any(_found(Search(_lexicon()), np.concatenate([SILENCE] * 40)))


def _drawn(ticks: int, silences: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    logits = rng.standard_normal((ticks, STEPS, PHONES)).astype(np.float32) * 3
    logits[rng.random(ticks) < silences, :, PAUSE] += 30
    words = rng.dirichlet(np.full(len(HEARD), 0.3), ticks).astype(np.float32)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True)), words


@pytest.mark.parametrize("silences", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("cut", [REACH_TICKS, 77, 2 * REACH_TICKS + 5])
def test_its_reach_makes_a_search_what_it_is_whatever_was_before(silences, cut):
    sound, words = _drawn(cut + 3 * GRID_TICKS, silences)
    lived, restored = Search(_lexicon()), Search(_lexicon())
    for tick in range(len(sound)):
        told = lived.hear(tick, sound[tick], words[tick])
        if tick >= cut - REACH_TICKS:
            again = restored.hear(tick, sound[tick], words[tick])
            if tick >= cut:
                assert again == told


def test_who_never_is_silent_is_written_down_all_the_same():
    sound, words = _drawn(4 * GRID_TICKS, 0.0)
    search = Search(_lexicon())
    found = [search.hear(tick, sound[tick], words[tick]) for tick in range(len(sound))]
    quarters = [sum(map(len, found[at : at + GRID_TICKS])) for at in range(0, len(found), GRID_TICKS)]
    assert all(quarters[1:])


def test_what_follows_a_word_adds_up():
    lexicon = _lexicon()
    for before in range(len(WORDS) + 1):
        assert math.isclose(sum(math.exp(lexicon.follows(before, word)) for word in range(len(WORDS))), 1, rel_tol=0.02)
    the = WORDS.index("the")
    assert lexicon.follows(the, WORDS.index("sea")) > lexicon.follows(the, WORDS.index("see"))


def test_the_tree_shares_beginnings_and_has_children_side_by_side():
    lexicon = _lexicon()
    assert len(lexicon.phone) == 1 + len({way[:n] for ways in WAYS for way in ways for n in range(1, len(way) + 1)})
    for node in range(len(lexicon.phone)):
        first, count = lexicon.eldest[node], lexicon.children[node]
        assert (np.diff(lexicon.phone[first : first + count]) > 0).all()


def test_whatever_sounds_and_however_long_the_search_goes_on():
    """Words are dropped behind what was written until only the silence is left, or only a word."""
    rng = np.random.default_rng(3)
    search = Search(_lexicon())
    for tick in range(600):
        sure = rng.choice([0.5, 5.0, 40.0])
        logits = rng.standard_normal((STEPS, PHONES)) * sure
        logits[:, PAUSE] += rng.choice([-20, 0, 3, 20]) * (rng.random(STEPS) < 0.5)
        logits -= logits.max()
        likely = np.asarray(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), np.float32)
        told = search.hear(tick, likely, rng.dirichlet(np.full(len(HEARD), 0.1)).astype(np.float32))
        assert set(told) <= set(WORDS)
