"""From a tick's raw choices to one consistent decision, and the registers after it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from schemas.records import Floor, UserActivity
from services.interaction.nano.config import (
    COPY,
    EVENTS,
    FLOORS,
    MANNERS,
    NONE,
    RECALL,
    TASKS,
    USERS,
    NanoConfig,
)
from services.interaction.nano.pointing import Pointing
from services.interaction.nano.registers import AWAITING, DOUBT_STEPS, LIMITS, Pointed, Tokens, doubted, moved, recalled
from services.interaction.protocol import StepInput, StepOutput, Voice

_HOLD, _TAKE, _BACKCHANNEL, _YIELD = (FLOORS.index(f) for f in ("hold", "take", "backchannel", "yield"))
_DELEGATE, _CANCEL, _DROP = (EVENTS.index(e) for e in ("delegate", "cancel", "drop"))


class Decider:
    """Of one model; it keeps nothing of a session."""

    def __init__(self, config: NanoConfig, lexicon: Sequence[str]) -> None:
        """``lexicon`` has the words that the transcript is written in; empty for a model without one."""
        self._config, self._words = config, lexicon
        self._heard = {word: at for at, word in enumerate(config.heard_words) if at}
        self._written = {word: at for at, word in enumerate(lexicon, 1)}
        self._pointing = Pointing(config.text_words, config.heard_words, config.spanish)
        said, heard, written = len(config.text_words), len(config.heard_words), 1 + len(lexicon)
        limits = LIMITS._replace(floor=len(FLOORS), user=len(USERS), text=said, event=len(EVENTS), last=said, word=said)
        limits = limits._replace(trigger=heard, awaitable=heard, heard=heard + 1)
        self._limits = limits._replace(written=written, noted=written, sayable=written)

    def check(self, tokens: tuple[int, ...]) -> None:
        """Raises ``ValueError`` for tokens that this model cannot have said."""
        limits = self._limits
        if len(tokens) != len(limits) or any(not 0 <= t < limit for t, limit in zip(tokens, limits, strict=True)):
            raise ValueError(f"not this model's tokens: {tokens}")

    def floor(self, voice: Voice, before: Tokens, logits: Sequence[float]) -> tuple[int, int]:
        """The floor's class by its logits, and the doubt after it.

        While nano's voice is heard, doubt adds up (``NanoConfig.yield_at``): no single tick of an interruption may look
        more like one than not, but it goes on.
        """
        adds_up = self._config.yield_at > 0
        leaning = self._config.yield_logit if voice is not Voice.SILENT or not adds_up else 0.0
        leant = [logit + leaning * (at == _YIELD) for at, logit in enumerate(logits)]
        likeliest = max(range(len(FLOORS)), key=leant.__getitem__)
        if not adds_up or voice is Voice.SILENT:
            return likeliest, 0
        weights = [math.exp(logit - leant[likeliest]) for logit in leant]
        doubt = doubted(before.doubt, weights[_YIELD] / sum(weights), self._config.yield_keep)
        if doubt >= self._config.yield_at * DOUBT_STEPS:
            return _YIELD, 0
        return max((at for at in range(len(FLOORS)) if at != _YIELD), key=leant.__getitem__), doubt

    def decide(
        self, item: StepInput, before: Tokens, chosen: list[int], written: Sequence[str] = (), doubt: int = 0
    ) -> StepOutput:
        """Raw choices (of ``note`` and ``listen``: scores) to one consistent decision.

        Saying something is taking the floor unless it is a sign of listening, copying needs a word, a busy voice takes
        none, and whoever is still heard has the floor until it yields.
        """
        floor, user, text, _, event, task, word, manner, _, trigger, say, listen = chosen
        voice = item.voice
        chosen_text = text
        text = self._pointing.meant(text, before, task)
        if text == RECALL and not before.noted:
            text = NONE
        if (text == COPY and item.pending_left == 0) or voice is Voice.BUSY:
            text = NONE
        if floor == _BACKCHANNEL:
            floor = _BACKCHANNEL if text > COPY else _HOLD
        elif text != NONE or (voice is not Voice.SILENT and floor == _HOLD):
            floor = _TAKE
        elif floor == _TAKE and before.since > 2 and voice is Voice.SILENT:
            floor = _HOLD
        if (event == _DROP and item.pending_left == 0) or (event == _CANCEL and not item.delegated):
            event = 0
        spoken = self._recalled(before) if text == RECALL else self._config.text_words[text] if text > COPY else ""
        going_on = before.text != NONE or before.floor == _TAKE  # maybe it waited for its voice
        said = f" {spoken}" if spoken and going_on else spoken
        heard = self._heard.get(written[0], len(self._config.heard_words)) if written else NONE
        at = self._written.get(written[0], NONE) if written else NONE
        known = before.heard < len(self._config.heard_words)
        pointed = Pointed(say, listen if known else 0, self._pointing.counted(chosen_text, text))
        after = moved(before, floor, user, text, event, task, word, trigger, heard, at, pointed)
        after = after._replace(doubt=doubt)
        return StepOutput(
            floor=Floor(FLOORS[floor]),
            user=UserActivity(USERS[user]),
            tokens=tuple(after),
            text=said,
            user_text="".join(f" {said}" for said in written),
            say_pending=text == COPY,
            drop_pending=event == _DROP,
            delegate=event == _DELEGATE and before.event != _DELEGATE,  # it is the same question still
            cancel=event == _CANCEL,
            manner=MANNERS[manner],
            ui=self._shown(before, after),
        )

    def _recalled(self, tokens: Tokens) -> str:
        """The standing task's word."""
        text = recalled(tokens)
        if text != RECALL:
            return self._config.text_words[text] if text != NONE else ""
        return self._words[tokens.noted - 1] if tokens.noted else ""

    def _shown(self, before: Tokens, after: Tokens) -> dict[str, str]:
        """What a client may show: the standing task, the word that it is to say, and the one that it listens for,
        whenever another one stands."""
        word = self._recalled(after)
        if (after.task, word, after.trigger) == (before.task, self._recalled(before), before.trigger):
            return {}
        shown = {"standing_task": TASKS[after.task], "word": word}
        if after.task in AWAITING:
            shown["trigger"] = self._config.heard_words[after.trigger] if after.trigger else ""
        return shown
