"""The networks being trained together, their loss, and teacher-forced figures by skill."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.encoder.model import TEXT_BUCKETS, EncoderNet
from services.interaction.nano.config import (
    COPY,
    KEEP,
    MEASURED,
    NONE,
    PHONES,
    RECALL,
    SPECIAL_WORDS,
    TASKS,
    TRANSLATED,
    NanoConfig,
)
from services.interaction.nano.network import Decisions, NanoNet, TickInputs
from services.interaction.nano.registers import HEARD_PLACE
from training.hints import PREFIX, SIGHT_CLASSES, Hints
from training.skills.words import SPANISH
from training.targets import BACKCHANNEL, DELEGATE, ENDED, NOTHING_SEEN, YIELD
from training.tensors import Tensors

# Rare decisions weigh more than doing nothing; otherwise silence wins for the first thousand steps.
FLOOR_WEIGHTS = (0.8, 1.0, 1.0, 1.6)  # rare as it is, a yield that weighs more comes at every cough
USER_WEIGHTS = (0.7, 1.0, 2.5)
EVENT_WEIGHTS = (0.4, 1.0, 2.0, 2.0)
SILENCE_WEIGHT = 0.7
DUE_WEIGHT = 2.0  # of what a standing task has to say: words that may come at any moment are rare in each
UNHEARD_WEIGHT = 0.3
UNPOINTED_WEIGHT = 0.4  # of a word that is not to be said or listened for, against one that is
PAUSE_WEIGHT = 0.3  # of half an audio token in which nobody speaks, against one of speech
UNTOLD_WEIGHT = 0.4  # of a tick in which the word that an order waits for has not been told yet
UNSEEN_WEIGHT = 0.15  # of a tick in which nothing is seen to happen
KEEP_WEIGHT = 0.3  # of leaving the standing task as it is, against setting one
LOSS_WEIGHTS = {"floor": 1.0, "user": 0.5, "text": 2.0, "heard": 0.8, "event": 1.0, "task": 1.5, "ending": 0.2}
# Decisions that mean something in few ticks, averaged over those; ``due`` is the text where a task has to speak.
SPARSE_WEIGHTS = {"word": 0.3, "trigger": 0.4, "manner": 0.2, "due": 0.25, "note": 0.5, "listen": 0.5}
HINT_WEIGHTS = {"phones": 1.0, "sight": 0.4, "colour": 0.1, "fingers": 0.1}  # of targets that no service decides
LOSSES = LOSS_WEIGHTS | SPARSE_WEIGHTS | HINT_WEIGHTS
STRANGE_WORDS = 0.12  # of what is typed
_DUE = frozenset((*(SPECIAL_WORDS[points] for points in (RECALL, MEASURED, TRANSLATED)), *SPANISH.values()))
_HEADS = {"due": "text"}  # losses of another's head and targets
FEED_DROP = (0.05, 0.2, 0.0, 0.05, *(0.0,) * 12)


def varied(codes: Tensor) -> Tensor:
    """Codes ``[N, T, 4, 8, 80]`` as other throats and worse microphones might give them, as floats.

    Bands are shifted by up to three (a tenth of the frequency, without touching the tempo) and spread or drawn
    together by up to 6 %, a smooth curve of some levels is added, up to twelve bands are hidden, and codes tremble.
    """
    n, bands, device = len(codes), codes.shape[-1], codes.device
    band = torch.arange(bands, device=device)
    spread = 0.94 + 0.12 * torch.rand(n, 1, device=device)
    places = (band * spread + torch.randint(-3, 4, (n, 1), device=device)).round().long()
    places = places.clamp(0, bands - 1)[:, None, None, None, :].expand(codes.shape)
    curve = F.interpolate(torch.randn(n, 1, 6, device=device) * 2.5, bands, mode="linear")[:, :, None, None]
    moved = codes.gather(-1, places) + curve
    moved += torch.randn_like(moved) * (3.0 * torch.rand(n, 1, 1, 1, 1, device=device).square())
    first = torch.randint(0, bands, (n, 1), device=device)
    width = torch.randint(0, 13, (n, 1), device=device) * (torch.rand(n, 1, device=device) < 0.5)
    hidden = ((band >= first) & (band < first + width))[:, None, None, None, :]
    return torch.where(hidden, torch.randint(20, 76, (n, 1, 1, 1, 1), device=device).float(), moved)


def _text_weight(word: str) -> float:
    return SILENCE_WEIGHT if word == SPECIAL_WORDS[NONE] else DUE_WEIGHT if word in _DUE else 1.0


def misspelt(words: Tensor) -> Tensor:
    """Buckets of typed words, some of them others: as words look that training never typed."""
    strange = torch.rand(words.shape, device=words.device) < STRANGE_WORDS
    return torch.where(strange, torch.randint(0, TEXT_BUCKETS, words.shape, device=words.device), words)


class Outputs(NamedTuple):
    """Decisions ``[N, T, …]``, and the logits of the hints: phones ``[N, T, 8, …]``, what is seen ``[N, T, …]``."""

    decisions: Decisions
    hints: dict[str, Tensor]

    def logits(self, name: str) -> Tensor:
        """Of one of ``LOSSES``."""
        there = self.hints.get(name)
        decided: Tensor = getattr(self.decisions, _HEADS.get(name, name)) if there is None else there
        return decided


class Learner(nn.Module):
    """Encoder, backbone and the heads of the hints, trained as one."""

    feed_drop: Tensor
    weight_phones: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.encoder = EncoderNet(config.d)
        self.backbone = NanoNet(config)
        self.hints = Hints(config.d)
        weights = {
            "floor": FLOOR_WEIGHTS,
            "user": USER_WEIGHTS,
            "event": EVENT_WEIGHTS,
            "text": tuple(_text_weight(word) for word in config.text_words),
            "task": (KEEP_WEIGHT,) + (1.0,) * len(TASKS),
            "trigger": (UNTOLD_WEIGHT,) + (1.0,) * (len(config.heard_words) - 1),
            "note": (UNPOINTED_WEIGHT, 1.0),
            "listen": (UNPOINTED_WEIGHT, 1.0),
            "heard": (UNHEARD_WEIGHT,) + (1.0,) * (len(config.heard_words) - 1),
            "phones": (PAUSE_WEIGHT,) + (1.0,) * (PHONES - 1),
            "sight": (UNSEEN_WEIGHT,) + (1.0,) * (SIGHT_CLASSES["sight"] - 1),
        }
        self.register_buffer("feed_drop", torch.tensor(FEED_DROP), persistent=False)
        for name, values in weights.items():
            self.register_buffer(f"weight_{name}", torch.tensor(values), persistent=False)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over a checkpoint's weights. Those of before hints of sight leave their heads as they were drawn.

        Raises ``RuntimeError`` when anything else is missing, or does not belong here.
        """
        drawn = {f"{PREFIX}{name}": tensor for name, tensor in self.hints.state_dict().items()}
        self.load_state_dict(drawn | state)

    def inputs(self, batch: Tensors, drop: bool) -> TickInputs:
        n, ticks = batch.codes.shape[:2]
        codes = varied(batch.codes) if drop else batch.codes
        audio = self.encoder.audio(codes.flatten(1, 2)).view(n, ticks, codes.shape[2], -1)
        video = audio.new_zeros(n, ticks, audio.shape[-1])
        has_video = torch.zeros(n, ticks, dtype=torch.bool, device=audio.device)
        yes = has_video.new_ones(())
        if len(batch.patches_at):
            pooled = self.encoder.video(batch.patches)
            pooled = pooled.view(len(batch.patches_at), -1, pooled.shape[-1])
            at = tuple(batch.patches_at.unbind(1))
            video = video.index_put(at, pooled.mean(dim=1).float())
            has_video.index_put_(at, yes)
        text, has_text = torch.zeros_like(video), torch.zeros_like(has_video)
        if len(batch.words_at):
            at = tuple(batch.words_at.unbind(1))
            words = misspelt(batch.words) if drop else batch.words
            text = text.index_put(at, self.encoder.words(words, batch.words_from))
            has_text.index_put_(at, yes)
        fed = batch.fed
        if drop:
            fed = fed * (torch.rand(fed.shape, device=fed.device) >= self.feed_drop)
        return TickInputs(audio, video, has_video, text, has_text, fed, batch.pending, batch.time)

    def forward(self, batch: Tensors, drop: bool = False) -> Outputs:
        """Under teacher forcing."""
        inputs = self.inputs(batch, drop)
        heard = self.backbone.listen(inputs)
        phones = self.backbone.hear_phones(heard, per_tick=False).float()
        x = self.backbone.understand(heard, inputs)
        decisions = self.backbone.decide(x, inputs, per_tick=False)
        return Outputs(decisions, {"phones": phones, **self.hints(x)})

    def hears(self, name: str) -> bool:
        """Whether this parameter belongs to the layers that name the phones, or to what is before them."""
        lower = [f"backbone.layers.{n}." for n in range(self.backbone.config.phones_after)]
        return name.startswith(("encoder.heard", "backbone.phone", *lower))

    def hear(self, batch: Tensors, drop: bool = False) -> Tensor:
        """Phones alone."""
        return self.backbone.hear_phones(self.backbone.listen(self.inputs(batch, drop)), per_tick=False)

    def phone_loss(self, batch: Tensors, phones: Tensor) -> Tensor:
        """Mean over the hearings whose phone is known."""
        counting, target = self._cases(batch, "phones")
        return F.cross_entropy(phones.float().flatten(0, -2)[counting], target, self.weight_phones)

    def cases(self, batch: Tensors) -> Tensor:
        """By loss, the weights of the cases that its mean is over; several ranks' batches are mixed by them."""
        return torch.stack([self._class_weights(name, *self._cases(batch, name)).sum() for name in LOSSES])

    def means(self, batch: Tensors, outputs: Outputs, shares: Tensor) -> dict[str, Tensor]:
        """Mean losses by name, each times its share (see ``World.shares``); those without a case are left out."""
        parts = {}
        for place, name in enumerate(LOSSES):
            counting, target = self._cases(batch, name)
            if len(counting):
                logits = outputs.logits(name)
                mean = F.cross_entropy(logits.flatten(0, -2)[counting], target, getattr(self, f"weight_{name}", None))
                parts[name] = shares[place] * mean
        return parts

    @staticmethod
    def _cases(batch: Tensors, name: str) -> tuple[Tensor, Tensor]:
        """Flat places of what counts, and the targets there."""
        counting = batch.counting[name]
        return counting, batch.targets[_HEADS.get(name, name)].flatten()[counting]

    def _class_weights(self, name: str, counting: Tensor, target: Tensor) -> Tensor:
        weights: Tensor | None = getattr(self, f"weight_{name}", None)
        return torch.ones_like(counting, dtype=torch.float32) if weights is None else weights[target]


def skills(batch: Tensors, outputs: Outputs) -> dict[str, tuple[int, int]]:
    """Teacher-forced hits and cases by skill; the closed-loop figures are ``training.evaluate``'s."""
    decisions = outputs.decisions
    sight, colour, fingers = (outputs.hints[name].argmax(-1) for name in SIGHT_CLASSES)
    text, event = decisions.text.argmax(-1), decisions.event.argmax(-1)
    heard, task, word = (d.argmax(-1) for d in (decisions.heard, decisions.task, decisions.word))
    trigger, note, listen = (d.argmax(-1) for d in (decisions.trigger, decisions.note, decisions.listen))
    target = batch.targets
    counts, speaking = target["speak_counts"], target["user"] == 1
    answering = (target["user"] == ENDED) & (target["text"] != NONE) & counts
    quiet = (target["text"] == NONE) & counts
    cases = {
        "phone named": (outputs.hints["phones"].argmax(-1).flatten(1) == target["phones"], target["phones"] >= 0),
        "answer word at the tick": (text == target["text"], answering),
        "silent while the user speaks": (text == NONE, quiet & speaking),
        "silent otherwise": (text == NONE, quiet & ~speaking),
        "yield": ((text == NONE), (target["floor"] == YIELD) & counts),
        "next word": (text == target["text"], (target["text"] > COPY) & ~answering & counts),
        "copy": (text == COPY, (target["text"] == COPY) & counts),
        "delegate": (event == DELEGATE, (target["event"] == DELEGATE) & counts),
        "no false delegate": (event != DELEGATE, (target["event"] != DELEGATE) & counts),
        "heard word": (heard == target["heard"], (target["heard"] != 0) & target["heard_counts"]),
        "heard nothing": (heard == 0, (target["heard"] == 0) & target["heard_counts"]),
        "order understood": (task == target["task"], (target["task"] > 1) & counts),
        "its word": (word == target["word"], (target["word"] > COPY) & counts),
        "its trigger": (trigger == target["trigger"], (target["trigger"] != NONE) & counts),
        "noted": (note == 1, (target["note"] == 1) & counts),
        "not noted": (note == 0, (target["note"] == 0) & counts & (batch.fed[..., HEARD_PLACE] != NONE)),
        "listened for": (listen == 1, (target["listen"] == 1) & counts),
        "not listened for": (listen == 0, (target["listen"] == 0) & counts & (batch.fed[..., HEARD_PLACE] != NONE)),
        "no false order": (task == KEEP, (target["task"] == KEEP) & counts),
        "sign of listening": (text == target["text"], (target["floor"] == BACKCHANNEL) & counts),
        "said while the user speaks": (text == target["text"], (target["text"] > COPY) & speaking & counts),
        "sight event at the tick": (sight == target["sight"], target["sight"] > NOTHING_SEEN),
        "no false sight event": (sight == NOTHING_SEEN, target["sight"] == NOTHING_SEEN),
        "colour named": (colour == target["colour"], target["colour"] >= 0),
        "fingers named": (fingers == target["fingers"], target["fingers"] >= 0),
    }
    return {name: (int((hit & case).sum()), int(case.sum())) for name, (hit, case) in cases.items()}
