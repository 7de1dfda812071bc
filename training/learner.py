"""The networks being trained together, their loss, and teacher-forced figures by skill."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.encoder.model import EncoderNet
from services.interaction.nano.config import COPY, NONE, NanoConfig
from services.interaction.nano.network import Decisions, NanoNet, TickInputs
from training.data import Batch, vocabularies
from training.oracle import DELEGATE, ENDED, YIELD

# Rare decisions weigh more than doing nothing; otherwise silence wins for the first thousand steps.
FLOOR_WEIGHTS = (0.8, 1.0, 1.0, 4.0)
USER_WEIGHTS = (0.7, 1.0, 2.5)
EVENT_WEIGHTS = (0.4, 1.0, 2.0, 2.0)
SILENCE_WEIGHT = 0.7
UNHEARD_WEIGHT = 0.3
LOSS_WEIGHTS = {"floor": 1.0, "user": 0.5, "text": 2.0, "heard": 1.0, "event": 1.0}
FEED_DROP = (0.05, 0.2, 0.0, 0.05, 0.0, 0.0)


def default_config() -> NanoConfig:
    """nano v0's sizes."""
    said, heard = vocabularies()
    return NanoConfig(
        d=256,
        heads=4,
        head_width=64,
        windows=(4, 8, 8, 16, 16, 48),
        dense_width=768,
        moe_from_layer=3,
        experts=8,
        expert_width=96,
        shared_width=384,
        top_k=2,
        text_words=said,
        heard_words=heard,
    )


def tiny_config() -> NanoConfig:
    """A model of the same kind that trains in seconds, for tests."""
    said, heard = vocabularies()
    return NanoConfig(
        d=64,
        heads=2,
        head_width=32,
        windows=(3, 4),
        dense_width=128,
        moe_from_layer=1,
        experts=4,
        expert_width=32,
        shared_width=64,
        top_k=2,
        text_words=said,
        heard_words=heard,
    )


def varied(codes: Tensor) -> Tensor:
    """Codes ``[N, T, 4, 80]`` as other throats and worse microphones might give them.

    Bands are shifted by up to three (a tenth of the frequency, without touching the tempo), up to twelve are hidden,
    and one code in ten moves by a level.
    """
    n, bands = len(codes), codes.shape[-1]
    places = torch.arange(bands) + torch.randint(-3, 4, (n, 1))
    places = places.clamp(0, bands - 1)[:, None, None, :].expand(codes.shape)
    moved = codes.long().gather(-1, places)
    first, width = torch.randint(0, bands, (n, 1)), torch.randint(0, 13, (n, 1)) * (torch.rand(n, 1) < 0.5)
    band = torch.arange(bands)
    hidden = ((band >= first) & (band < first + width))[:, None, None, :]
    moved = torch.where(hidden, torch.randint(3, 9, (n, 1, 1, 1)), moved)
    step = (torch.rand(moved.shape) < 0.05).long() - (torch.rand(moved.shape) < 0.05).long()
    return (moved + step).clamp(0, 15)


class Learner(nn.Module):
    """Encoder and backbone, trained as one."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.encoder = EncoderNet(config.d)
        self.backbone = NanoNet(config)
        weights = {
            "floor": FLOOR_WEIGHTS,
            "user": USER_WEIGHTS,
            "event": EVENT_WEIGHTS,
            "text": (SILENCE_WEIGHT,) + (1.0,) * (len(config.text_words) - 1),
            "heard": (UNHEARD_WEIGHT,) + (1.0,) * (len(config.heard_words) - 1),
        }
        for name, values in weights.items():
            self.register_buffer(f"weight_{name}", torch.tensor(values), persistent=False)

    def inputs(self, batch: Batch, drop: bool) -> TickInputs:
        n, ticks = batch.codes.shape[:2]
        codes = torch.from_numpy(batch.codes)
        audio = self.encoder.audio(varied(codes) if drop else codes)
        video, has_video = audio.new_zeros(n, ticks, audio.shape[-1]), torch.zeros(n, ticks, dtype=torch.bool)
        if len(batch.patches_at):
            pooled = self.encoder.video(torch.from_numpy(batch.patches))
            pooled = pooled.view(len(batch.patches_at), -1, pooled.shape[-1])
            at = tuple(torch.from_numpy(batch.patches_at).unbind(1))
            video = video.index_put(at, pooled.mean(dim=1).float())
            has_video[at] = True
        text, has_text = torch.zeros_like(video), torch.zeros_like(has_video)
        if len(batch.words_at):
            at = tuple(torch.from_numpy(batch.words_at).unbind(1))
            embedded = self.encoder.words(torch.from_numpy(batch.words), torch.from_numpy(batch.words_from))
            text = text.index_put(at, embedded)
            has_text[at] = True
        fed = torch.from_numpy(batch.fed)
        if drop:
            keep = torch.rand(fed.shape) >= torch.tensor(FEED_DROP)
            fed = fed * keep
        time, pending = torch.from_numpy(batch.time), torch.from_numpy(batch.pending)
        return TickInputs(audio, video, has_video, text, has_text, fed, pending, time)

    def forward(self, batch: Batch, drop: bool = False) -> Decisions:
        """Decisions ``[N, T, …]`` under teacher forcing."""
        decisions: Decisions = self.backbone(self.inputs(batch, drop))
        return decisions

    def loss(self, batch: Batch, decisions: Decisions) -> tuple[Tensor, dict[str, float]]:
        total, parts = torch.zeros(()), {}
        for name, weight in LOSS_WEIGHTS.items():
            counts = torch.from_numpy(batch.targets["heard_counts" if name == "heard" else "speak_counts"])
            logits = getattr(decisions, name)[counts]
            target = torch.from_numpy(batch.targets[name])[counts]
            part = F.cross_entropy(logits, target, getattr(self, f"weight_{name}"))
            total = total + weight * part
            parts[name] = float(part.detach())
        return total, parts


def skills(batch: Batch, decisions: Decisions) -> dict[str, tuple[int, int]]:
    """Teacher-forced hits and cases by skill; the closed-loop figures are ``training.evaluate``'s."""
    text, event = decisions.text.argmax(-1), decisions.event.argmax(-1)
    heard = decisions.heard.argmax(-1)
    target = {name: torch.from_numpy(value) for name, value in batch.targets.items()}
    counts = target["speak_counts"]
    speaking = torch.from_numpy(batch.targets["user"] == 1)
    answering = (target["user"] == ENDED) & (target["text"] != NONE) & counts
    quiet = (target["text"] == NONE) & counts
    cases = {
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
    }
    return {name: (int((hit & case).sum()), int(case.sum())) for name, (hit, case) in cases.items()}
