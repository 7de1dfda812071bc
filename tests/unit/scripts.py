"""Scripts written by hand, and what the oracle makes of them."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from services.interaction.nano.config import NONE, RECALL
from services.interaction.nano.pointing import Pointing
from services.interaction.nano.registers import (
    Tokens,
)
from training.data import vocabularies
from training.errands import await_triggers
from training.mishearing import heard_ids, overhear
from training.mouth import Mouth
from training.oracle import Oracle, tokens_of
from training.phrases import BY_TEXT, TRAINING
from training.script import TICK, Script, UserTurn
from training.skills.orders import newer_orders, orders
from training.skills.words import SPANISH

SAID, HEARD = vocabularies()
NEWER = {order.text for order in newer_orders(orders())}
SAID_IDS = {word: n for n, word in enumerate(SAID)}
HEARD_IDS = {word: n for n, word in enumerate(HEARD) if n}
POINTING = Pointing(SAID, HEARD, SPANISH)


def a_turn(text: str, start: int, stop: int, kind: str = "plain", **more) -> UserTurn:
    phrase = BY_TEXT.get(text)
    pieces = more.pop("pieces", [(start * TICK, stop * TICK)])
    return UserTurn(kind, text, phrase, start * TICK, stop * TICK, pieces, more.pop("word_ends", None), **more)


def judged(turns: list[UserTurn], results=(), ticks: int = 60, mouth: Mouth | None = None, **more):
    audio = np.zeros(ticks * TICK, np.float32)
    script = Script(ticks, audio, turns, results=list(results), mouth=mouth or Mouth(), **more)
    targets = Oracle(script, SAID_IDS, HEARD_IDS).run()
    tokens = tokens_of(targets, heard_ids(script, HEARD_IDS), POINTING)
    named = next((turn.phrase.word for turn in turns if turn.phrase is not None and turn.phrase.word), "")
    said = {t: SAID[after.text] for t, after in enumerate(tokens) if after.text != NONE}
    recalled = {t for t, w in enumerate(targets.text) if w == RECALL}
    return targets, {t: named if t in recalled else word for t, word in said.items()}


def tokens_after(targets) -> list[Tokens]:
    """After each tick."""
    return tokens_of(targets, targets.heard, POINTING)


def an_order(task: str) -> UserTurn:
    text = next(p.text for p in TRAINING if p.task == task)
    return a_turn(text, 2, 10)


def a_sentence(text: str, start: int, ends: list[int] | None) -> UserTurn:
    words = len(text.split())
    return dataclasses.replace(a_turn(text, start, start + 2 * words, "carriers", word_ends=ends), phrase=None)


def as_told(order: UserTurn, *turns: UserTurn, ticks: int = 90) -> Script:
    script = Script(ticks, np.zeros(ticks * TICK, np.float32), [order, *turns])
    await_triggers(script)
    overhear(random.Random(0), script, 0.0)
    return script


def an_order_to_hear(trigger: str, task: str = "hear") -> UserTurn:
    """An order of eight ticks."""
    said = (p.text for p in TRAINING if p.trigger == trigger and p.task == task)
    text = min(said, key=lambda text: len(text.partition(trigger)[2]))
    count = len(text.split())
    return a_turn(text, 2, 10, word_ends=[2 * TICK + (n + 1) * 8 * TICK // count for n in range(count)])
