"""Words in and out of a language model: prompts, spoken sentences, Whisper's features and tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ContextEntry, ContextPackage
from services.background.hearing import RATE_HZ, detokenize, log_mel, mel_bands
from services.background.prompt import messages, was_typed
from services.background.speech import Spoken, plain, sentences


def speak(text: str, cuts: list[int], **limits: int) -> list[str]:
    """What is said when ``text`` comes in pieces."""
    spoken, out, last = Spoken(**limits), [], 0
    for cut in sorted({c % (len(text) + 1) for c in cuts} | {len(text)}):
        out += spoken.feed(text[last:cut])
        last = cut
        if spoken.full:
            break
    return out + spoken.finish()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Paris", ["Paris."]),
        ("It is Paris. It lies on the Seine. It is old.", ["It is Paris.", "It lies on the Seine."]),
        ("**Paris**, the `capital`", ["Paris, the capital."]),
        ("- one\n- two", ["one two."]),
        ("About 3.5 million. Yes.", ["About 3.5 million.", "Yes."]),
        ("Dr. Smith of the U.S. army did. True!", ["Dr. Smith of the U.S. army did.", "True!"]),
        ("1. Eat.\n2. Sleep.", ["Eat.", "Sleep."]),
        ("", []),
        ("***", []),
    ],
)
def test_what_is_written_becomes_what_can_be_said(text: str, said: list[str]) -> None:
    assert speak(text, []) == said


def test_too_long_a_sentence_is_left_out_or_cut() -> None:
    long = " ".join(["word"] * 100)
    assert speak(f"Yes. {long}.", [], max_words=10) == ["Yes."]
    assert speak(long, [], max_words=10) == [" ".join(["word"] * 10) + "."]


text = st.text(alphabet="ab1 .!?*-\n", max_size=80)


@given(text, st.lists(st.integers(0, 80), max_size=8))
def test_limits_hold_and_the_text_is_what_was_said(written: str, cuts: list[int]) -> None:
    spoken = Spoken(max_words=6, max_sentences=2)
    out, last = [], 0
    for cut in [*sorted(c % (len(written) + 1) for c in cuts), len(written)]:
        out += spoken.feed(written[last:cut])
        last = max(last, cut)
    out += spoken.finish()
    assert spoken.text == " ".join(out)
    assert len(out) <= 2 and len(spoken.text.split()) <= 6
    assert not set(spoken.text) & set("*\n")


@given(st.text(alphabet="ab1 .!?\n", max_size=80))
def test_sentences_lose_no_word(written: str) -> None:
    done, rest = sentences(plain(written))
    assert " ".join([*done, rest]).split() == plain(written).split()


def entry(role: str, at_ms: int, words: str) -> ContextEntry:
    return ContextEntry(role=role, timestamp_ms=at_ms, text=words)


def test_a_prompt_holds_the_conversation_before_the_question() -> None:
    context = ContextPackage(
        entries=[
            entry("assistant", 200, "Hello."),
            entry("user_typed", 400, "My name is Ada."),
            entry("user_heard", 600, "i like ships"),
            entry("assistant", 800, "Nice."),
            entry("user_heard", 2_200, "wat is my nam"),
        ],
        span_start_ms=2_000,
        span_end_ms=3_000,
        instructions="Be kind.",
        language="de",
    )
    made = messages(context, "What is my name?")
    assert [(m.role, m.content) for m in made[1:]] == [
        ("user", "My name is Ada. i like ships"),
        ("assistant", "Nice."),
        ("user", "What is my name?"),
    ]
    assert made[0].role == "system" and "German" in made[0].content and "Be kind." in made[0].content


@given(st.lists(st.tuples(st.sampled_from(["user_typed", "user_heard", "assistant", "result"]), text), max_size=20))
def test_roles_alternate_as_chat_templates_want_it(said: list[tuple[str, str]]) -> None:
    entries = [entry(role, 200 * i, words) for i, (role, words) in enumerate(said)]
    made = messages(ContextPackage(entries=entries, span_start_ms=2_000, span_end_ms=4_000), "why?")
    roles = [m.role for m in made]
    assert roles[0] == "system" and roles[-1] == "user"
    assert all(role == ("user", "assistant")[i % 2] for i, role in enumerate(roles[1:]))


def test_typed_words_need_no_hearing_unless_something_was_said_since() -> None:
    typed, heard = entry("user_typed", 2_200, "what?"), entry("user_heard", 2_400, "what")
    assert was_typed(ContextPackage(entries=[typed], span_start_ms=2_000, span_end_ms=3_000))
    assert not was_typed(ContextPackage(entries=[typed, heard], span_start_ms=2_000, span_end_ms=3_000))
    assert not was_typed(ContextPackage(entries=[typed], span_start_ms=2_300, span_end_ms=3_000))
    assert not was_typed(ContextPackage(span_start_ms=2_000, span_end_ms=3_000))


def test_a_tone_lands_in_its_mel_band() -> None:
    bands = mel_bands()
    assert bands.shape == (80, 201)
    for hz in (250.0, 1_000.0, 3_000.0, 6_000.0):
        tone = np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
        mel = log_mel(tone)
        assert mel.shape == (80, 100)
        expected = int(np.argmax(bands[:, round(hz / (RATE_HZ / 400))]))
        assert abs(int(np.argmax(mel[:, 50])) - expected) <= 1
        assert mel.max() - mel.min() <= 2.0 + 1e-6  # 8 decades, scaled by 4


def test_tokens_become_text() -> None:
    assert detokenize(["ĠWhat", "Ġis", "?"]) == "What is?"
    assert detokenize(["Ġna", "Ã¯", "ve"]) == "naïve"
