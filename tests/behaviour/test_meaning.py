"""What counts as having said something."""

from __future__ import annotations

import pytest

from infra.eval.heard import Said
from infra.eval.meaning import mentions, numbers, plain, share_said, tokens


def said(text: str) -> list[Said]:
    return [Said(word, 100.0 * i, 100.0 * (i + 1)) for i, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's Paris, of course!", "its paris of course"),
        ("Twenty-one", "21"),
        ("twenty one", "21"),
        ("four 4 FOUR.", "4 4 4"),
        ("uh-huh", "uh huh"),
        ("100 %", "100 %"),
        ("a hundred percent", "a hundred %"),
        ("color colour", "colour colour"),
        ("thirty, ten", "30 10"),
    ],
)
def test_words_are_normalised(text: str, words: str) -> None:
    assert plain(text) == words.split()


@pytest.mark.parametrize(
    ("text", "meaning", "times"),
    [
        ("that is four seconds now", "four|4 seconds", 1),
        ("that is 4 seconds now", "four|4 seconds", 1),
        ("seconds passed: four", "four seconds", 1),  # any order
        ("four of them", "four seconds", 0),
        ("four a b c d e f g h i j seconds", "four seconds", 0),  # too far apart
        ("red red red", "red", 3),
        ("infrared", "red", 0),
        ("one two three", "one two three", 1),
        ("", "red", 0),
    ],
)
def test_mentions(text: str, meaning: str, times: int) -> None:
    assert len(mentions(tokens(said(text)), meaning)) == times


def test_a_mention_lasts_from_its_first_to_its_last_word() -> None:
    (mention,) = mentions(tokens(said("so it is twenty one seconds now")), "21 seconds")
    assert (mention.start_ms, mention.end_ms) == (300.0, 600.0)


def test_numbers_are_found_in_either_writing() -> None:
    assert [token.number for token in numbers(tokens(said("three then 4 and twenty-two, one")))] == [3, 4, 22, 1]


def test_an_empty_meaning_is_never_said() -> None:
    assert mentions(tokens(said("anything")), "") == []
    assert share_said(tokens(said("a red ball")), "red cube") == 0.5
