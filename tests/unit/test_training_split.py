"""Training never touches a held-out voice or phrasing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from training import voices
from training.bank import Bank
from training.data import vocabularies
from training.phrases import (
    BACKCHANNELS,
    BY_TEXT,
    FILLER_COMMAND,
    FILLER_QUESTION,
    FREE,
    FREE_HELD_OUT,
    HELD_OUT,
    KIND_OF_FREE,
    PHRASES,
    TRAINING,
    _evaluated_frames,
    _evaluates,
    _frame,
    filler,
)
from training.skills import overlap
from training.skills.clauses import SEEN
from training.skills.orders import joined_orders, newer_orders, orders
from training.skills.triggers import sayable, triggers
from training.skills.words import heard_words
from training.synth import shard_path, texts_for

NEWER = {order.text for order in newer_orders(orders())} & set(BY_TEXT)
# Named in the plan of the project: whatever else changes, these may never move to the training half.
NEVER_TRAINED_ON = {
    "kokoro:af_bella",
    "kokoro:am_michael",
    "kokoro:bf_emma",
    "kokoro:bm_george",
    "flite:awb",
    "flite:rms",
}


def test_the_split_names_every_voice_once_and_keeps_the_promised_ones_out():
    every = voices.load()
    names = [v.name for v in every]
    assert len(set(names)) == len(names)
    assert {v.name for v in every if v.held_out} >= NEVER_TRAINED_ON
    # the same voice under another speed or pitch would be no new voice
    trained = {(v.engine, v.voice) for v in every if not v.held_out}
    assert not trained & {(v.engine, v.voice) for v in every if v.held_out}


def test_phrasings_are_split_and_every_intent_has_both_halves():
    assert not {p.text for p in TRAINING} & {p.text for p in HELD_OUT}
    assert {p.intent for p in TRAINING} == {p.intent for p in HELD_OUT}
    assert {p.task.split()[0] for p in TRAINING if p.task} == {p.task.split()[0] for p in HELD_OUT if p.task}
    for kind in FREE[False]:
        assert FREE[True][kind]
        assert not set(FREE[True][kind]) & set(FREE[False][kind])
    assert sum(p.delegate for p in TRAINING) >= 5000
    assert sum(p.delegate for p in HELD_OUT) >= 400
    assert len(BY_TEXT) == len(TRAINING) + len(HELD_OUT)  # no phrase belongs to two intents
    assert not BY_TEXT.keys() & KIND_OF_FREE.keys()
    assert all(re.fullmatch(r"[a-z'-]+( [a-z'-]+)*", text) for text in (*BY_TEXT, *KIND_OF_FREE))


def test_some_words_to_listen_for_stand_in_no_training_order():
    trained = {p.trigger for p in TRAINING if p.trigger}
    held = {p.trigger for p in HELD_OUT if p.trigger}
    assert len(trained) > 200
    assert trained <= set(triggers(False))
    assert held & set(triggers(True)) and held & trained
    assert trained | held <= set(heard_words())
    about = [p for p in BY_TEXT.values() if p.trigger]
    assert {p.task for p in about} == {"hear", "tally"} and all(p.trigger in p.words for p in about)
    assert all(p.word in p.words if p.task == "hear" else not p.word for p in about)


def test_training_voices_are_only_asked_for_training_phrasings():
    allowed = {p.text for p in TRAINING} | set(BACKCHANNELS) | set(KIND_OF_FREE) - FREE_HELD_OUT
    for voice in voices.load():
        if not voice.held_out:
            assert set(texts_for(voice)) <= allowed


def test_the_flite_voices_deal_the_open_requests_out():
    flite = [v for v in voices.load() if v.engine == "flite" and not v.held_out]
    plain = {p.text for p in TRAINING if p.delegate and not p.framed}
    said = [plain & set(texts_for(v)) for v in flite]
    assert sum(map(len, said)) == len(set.union(*said)) == len(plain)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("could you call my mother", True),
        ("hey please book a table for two", True),
        ("tell me a joke", True),
        ("can you tell me who wrote hamlet", False),
        ("could you please tell me where the nearest bank is", False),
        ("do you know how old rome is", False),
        ("so why is the sky blue", False),
        ("can you swim in the rhine", False),
    ],
)
def test_commands_and_questions_are_told_apart(text, command):
    assert filler(text) == (FILLER_COMMAND if command else FILLER_QUESTION)


@pytest.fixture
def corpus(tmp_path):
    """A corpus in which every voice, wrongly, has said everything."""
    texts = [*BY_TEXT, *KIND_OF_FREE]
    takes = [{"text": t, "start": n * 10, "stop": n * 10 + 10, "word_ends": None} for n, t in enumerate(texts)]
    pcm = np.zeros(10 * len(texts), np.int16)
    for voice in voices.load():
        np.savez(shard_path(voice, tmp_path), pcm=pcm, takes=np.array(json.dumps(takes)))
    return tmp_path


def test_the_training_bank_holds_no_held_out_voice_or_phrasing(corpus):
    bank = Bank(held_out=False, folder=corpus)
    held_out_voices = {v.name for v in voices.load() if v.held_out}
    assert not {v.name for v in bank.voices} & held_out_voices
    assert not {t.voice.name for takes in bank.takes.values() for t in takes} & held_out_voices
    assert not any(BY_TEXT[text].held_out for text in bank.takes)
    assert len(bank.takes) == len(TRAINING)
    told = {take.text for voices in bank.free.values() for takes in voices.values() for take in takes}
    assert told == set(KIND_OF_FREE) - FREE_HELD_OUT


@pytest.mark.parametrize("new_texts", [True, False])
def test_the_held_out_bank_holds_no_training_voice(corpus, new_texts):
    bank = Bank(held_out=True, folder=corpus, held_out_texts=new_texts)
    assert all(v.held_out for v in bank.voices)
    assert all(BY_TEXT[text].held_out == new_texts for text in bank.takes)


def test_orders_with_words_around_them_ask_for_the_same_and_never_begin_as_held_out_ones_do():
    framed = [p for p in TRAINING if p.framed and p.task and p.text not in NEWER]
    plain = [p for p in TRAINING if p.task and not p.framed]
    joined = {order.text for order in joined_orders()}
    assert len([p for p in framed if p.text in joined]) > 1500
    assert len([p for p in framed if p.text not in joined]) > 4000
    assert not any(p.framed and p.task and p.text not in NEWER for p in HELD_OUT)
    by_task: dict[tuple[str, str, str], list[str]] = {}
    for p in plain:
        by_task.setdefault((p.task, p.word, p.trigger), []).append(p.text)
    for p in framed:
        if p.text in joined:
            kind, _, argument = p.task.partition(" ")
            about = {"cue": argument, "spanish": argument[:-1], "hear": p.trigger, "tally": p.trigger, "over": ""}[kind]
            assert about in p.text and p.word in (*p.words, ""), p.text
        else:
            assert any(text in p.text for text in by_task[p.task, p.word, p.trigger]), p.text
    asked = {kind: [p for p in HELD_OUT if p.intent == kind] for kind in {p.intent for p in framed}}
    for kind, held in asked.items():
        begins = {p.words[:2] for p in held} - {p.words[:2] for p in plain if p.intent == kind}
        assert not begins & {p.words[:2] for p in framed if p.intent == kind}


def test_newer_orders_ask_for_users_words_and_for_what_is_seen_and_share_no_word_with_the_held_out_ones():
    newer = [BY_TEXT[text] for text in NEWER]
    spoken = [p for p in newer if p.intent not in SEEN]
    assert {p.intent for p in newer} - {p.intent for p in spoken} == set(SEEN)
    own = set(vocabularies()[0])
    assert all(p.word in p.words for p in spoken) and sum(p.word not in own for p in spoken) > 1500
    held_out, trained = ({p.word for p in spoken if p.held_out == half} for half in (True, False))
    assert trained <= set(sayable(False)) and held_out - trained <= set(sayable(True))
    assert len(held_out - trained) > 20 and not set(sayable(True)) & set(sayable(False))
    lexicon = set(Path("models/nano/lexicon.txt").read_text().split())
    assert trained | held_out <= lexicon, "what the search cannot find nobody can note"
    for p in newer:
        kind, _, argument = p.task.partition(" ")
        named = {"cue": argument, "watch": argument, "hear": p.trigger}.get(kind, "")
        assert named in p.words or not named, p.text


def test_no_order_is_one_of_the_reports_with_other_words_in_its_slots():
    framed = {_frame(text) for text in ("wait five seconds and then say banana", "shout pink when you see a pink ball")}
    assert framed <= _evaluated_frames()
    assert _evaluates("wait nine seconds and then say whistle")
    assert _evaluates("please wait nine seconds and then say whistle now")
    assert not _evaluates("wait nine seconds then say whistle")
    asked = [p for p in PHRASES if p.task]
    assert len(asked) > 8000 and not any(_evaluates(p.text) for p in asked)


def test_who_interrupts_asks_for_what_can_be_asked_for():
    """Words around it change nothing of what nano should do, and the halves share neither these nor the rest."""
    for half in (TRAINING, HELD_OUT):
        said = [p for p in half if p.framed and not p.task]
        plain = {(p.intent, p.reply, p.delegate) for p in half if not p.framed}
        texts: dict[str, list[str]] = {}
        for p in half:
            if not p.framed:
                texts.setdefault(p.intent, []).append(p.text)
        assert len(said) > 100
        for p in said:
            assert (p.intent, p.reply, p.delegate) in plain
            assert any(text in p.text for text in texts[p.intent]), p.text
    assert overlap.signs(True) and not set(overlap.signs(True)) & set(overlap.signs(False))
