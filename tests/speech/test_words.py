"""Written words to spoken ones to phonemes."""

from __future__ import annotations

import numpy as np
import pytest

from services.interaction.speech.g2p import SYMBOLS, ids, read_lexicon
from services.interaction.speech.letters import collapse
from services.interaction.speech.speller import cardinal, ordinal, spell, year
from tests.speech.voices import LEXICON, phonemisers


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("hello", "hello"),
        ("$5.50", "five dollars and fifty cents"),
        ("£1", "one pound"),
        ("10:30", "ten thirty"),
        ("10:05", "ten oh five"),
        ("9:00", "nine o'clock"),
        ("7pm", "seven p. m."),
        ("3.14", "three point one four"),
        ("1984", "nineteen eighty four"),
        ("2005", "two thousand five"),
        ("1,250", "one thousand two hundred fifty"),
        ("21st", "twenty first"),
        ("1990s", "nineteen nineties"),
        ("50%", "fifty percent"),
        ("1km", "one kilometre"),
        ("5km", "five kilometres"),
        ("20°C", "twenty degrees celsius"),
        ("3-5", "three to five"),
        ("1/2", "one half"),
        ("3/4", "three quarters"),
        ("-5", "minus five"),
        ("007", "zero zero seven"),
        ("12345678", "one two three four five six seven eight"),
        ("Dr.", "doctor"),
        ("e.g.", "for example"),
        ("U.S.A.", "u. s. a."),
        ("BBC", "b. b. c."),
        ("NASA", "nasa"),
        ("www.example.com", "w. w. w. dot example dot com"),
        ("me@example.org", "me at example dot org"),
        ("well-known", "well known"),
        ("don’t", "don't"),
        ("C++", "c. plus plus"),
        ("&", "and"),
        ("\U0001f600", ""),
        ("***", ""),
        ("", ""),
    ],
)
def test_tokens_are_spelt_out(token, words):
    assert " ".join(spell(token).words) == words


@pytest.mark.parametrize(
    ("token", "mark"),
    [("yes,", ","), ("yes.", "."), ("yes?!", "?"), ("(yes)", ""), ("Dr.", ""), ("4,", ","), ("so:", ",")],
)
def test_marks_make_pauses(token, mark):
    assert spell(token).mark == mark


def test_millions_of_money_take_their_unit_with_them():
    assert spell("$5", after="million").words == ("five",)
    assert spell("million", before="$5").words == ("million", "dollars")


def test_numbers():
    assert " ".join(cardinal(1_002_003)) == "one million two thousand three"
    assert " ".join(ordinal(30)) == "thirtieth"
    assert " ".join(ordinal(112)) == "one hundred twelfth"
    assert " ".join(year(1900)) == "nineteen hundred"


@pytest.mark.parametrize(
    ("accent", "text", "phones"),
    [
        ("us", "how are you", "hˌW ɑɹ ju"),
        ("gb", "not a tomato", "nˌɒt ɐ təmˈɑːtQ"),
        ("us", "the apple", "ði ˈæpᵊl"),
        ("us", "the dog", "ðə dˈɔɡ"),
        ("us", "to eat", "tʊ ˈit"),
        ("us", "voicemails", None),
        ("us", "microturn", "mˈIkɹOtˌɜɹn"),
    ],
)
def test_words_in_context(accent, text, phones):
    tokens = text.split()
    speak = phonemisers()[accent]
    said = [
        speak.word(token, tokens[i - 1] if i else "", tokens[i + 1] if i + 1 < len(tokens) else None).phones
        for i, token in enumerate(tokens)
    ]
    if phones is not None:
        assert " ".join(said) == phones
    assert all(said)


@pytest.mark.parametrize(
    ("word", "stem", "ending"),
    [("jumped", "jump", "t"), ("boxes", "box", "ᵻz"), ("running", "run", "ɪŋ"), ("john's", "john", "z")],
)
def test_endings_follow_the_sound_before(word, stem, ending):
    speak = phonemisers()["us"]
    stripped = type(speak)({stem: read_lexicon(LEXICON, "us")[stem]}, "us", lambda w, a: "")
    assert stripped.word(word).phones == read_lexicon(LEXICON, "us")[stem] + ending


def test_any_word_is_spoken_somehow_in_known_symbols():
    rng = np.random.default_rng(0)
    for accent, speak in phonemisers().items():
        for _ in range(50):
            word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyzéü'7"), size=rng.integers(1, 14)))
            spoken = speak.word(word)
            assert all(0 < i < len(SYMBOLS) for i in ids(spoken.phones)), (accent, word)


def test_every_lexicon_entry_is_made_of_known_symbols():
    for accent in ("us", "gb"):
        lexicon = read_lexicon(LEXICON, accent)
        assert len(lexicon) > 180_000
        assert set("".join(lexicon.values())) <= set(SYMBOLS)


def test_a_path_of_phonemes_loses_repeats_and_blanks_and_gets_a_stress():
    a, b = SYMBOLS.index("A"), SYMBOLS.index("b")
    first = SYMBOLS.index("A") - (a - 1)
    assert first == 1
    shift = a - 1  # phonemes stand in SYMBOLS as in PHONES
    assert collapse([0, b - shift, b - shift, 0, a - shift, a - shift]) == "bˈA"
