"""Phones of both engines, on one scale."""

from __future__ import annotations

from services.interaction.nano.config import PHONES as CLASSES
from training.phones import PHONES, UNKNOWN, from_flite, from_ipa


def test_the_model_has_a_class_for_each():
    assert len(PHONES) == CLASSES
    assert len(set(PHONES)) == CLASSES


def test_marks_give_their_time_to_their_neighbours():
    named = from_ipa("^h\u02c8i\u02d0 w.$", [10, 20, 25, 40, 45, 50, 60, 70, 80])
    assert [(PHONES[p] if p != UNKNOWN else "", end) for p, end in named] == [
        ("pau", 10), ("hh", 20), ("iy", 45), ("", 50), ("w", 60), ("pau", 70), ("pau", 80),
    ]  # fmt: skip


def test_flite_says_them_itself():
    assert from_flite(["pau", "hh", "nonsense"], [5, 9, 12]) == [(0, 5), (PHONES.index("hh"), 9), (UNKNOWN, 12)]


def test_what_one_engine_writes_as_two_symbols_is_one_phone():
    def named(symbols):
        return [PHONES[p] for p, _ in from_ipa(symbols, list(range(1, len(symbols) + 1)))]

    assert named("fˈaɪv") == named("fˈIv") == ["f", "ay", "v"]
    assert named("tʃˈɜːtʃ") == named("ʧˈɜɹʧ") == ["ch", "er", "ch"]
    assert named("wˈɔːɾəɹ") == ["w", "ao", "t", "er"]
    assert named("əɹˈWnd") == ["ax", "r", "aw", "n", "d"]  # the r belongs to what follows
    assert from_ipa("fˈaɪv", [10, 20, 40, 60, 70])[1] == (PHONES.index("ay"), 60)
