"""The backbone: a causal transformer over ticks of six tokens, with a mixture of experts and heads at the output token.

One ``forward`` trains over whole sessions and steps through live ones: densely, or per tick (``layers``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.nano.awaiting import is_awaited, is_time, kinds_of_tasks, likelihood, times_of_tasks
from services.interaction.nano.config import (
    AUDIO_TOKENS,
    EVENTS,
    FLOORS,
    LEFT_STEPS,
    MANNERS,
    NONE,
    PERIODS_TICKS,
    PHONES,
    PHONES_A_TOKEN,
    TASKS,
    TICK_TOKENS,
    USERS,
    VOICES,
    WORD_BUCKETS,
    NanoConfig,
)
from services.interaction.nano.layers import Layer, LayerState, Norm, Product, product
from services.interaction.nano.registers import HEARD_PLACE, TASK_PLACE, TRIGGER_PLACE, table_sizes

HEARD = 3  # the transcript's place among the heads
SPOT_DEPTH = 8.0


class TickInputs(NamedTuple):
    """Inputs of ``[N, T]`` ticks. ``video`` and ``text`` are zero where their mask is; ``last_*`` is fed back."""

    audio: Tensor  # [N, T, 4, d]
    video: Tensor  # [N, T, d], mean of the patch embeddings
    has_video: Tensor  # [N, T] bool
    text: Tensor  # [N, T, d]
    has_text: Tensor  # [N, T] bool
    fed: Tensor  # [N, T, 16] ids: the former tick's tokens, see ``registers.fed``
    pending: Tensor  # [N, T, 5] ids: word bucket (0 none), step of words left, delegated, gap, voice
    time: Tensor  # [N, T, 2 * periods]


class Decisions(NamedTuple):
    """Logits at the output token, ``[N, T, classes]``. ``task``, ``word``, ``trigger``, ``note``, ``listen`` move the
    registers (the last two: whether the word written down before is one to say, or to listen for), ``manner`` is how to
    say the words, ``ending`` whether the user is about to end."""

    floor: Tensor
    user: Tensor
    text: Tensor
    heard: Tensor
    event: Tensor
    task: Tensor
    word: Tensor
    manner: Tensor
    ending: Tensor
    trigger: Tensor
    note: Tensor
    listen: Tensor


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where N sessions' current ticks go: ring slots, and the additive masks, one pair a layer."""

    slots: list[Tensor]  # [N]
    biases: list[Tensor]  # [N, heads * 6, window * 6]


def time_table() -> list[Tensor]:
    """Sine and cosine of the tick's phase for each period, ``[period, 2]``; whole ticks, so exact at any age."""
    return [
        torch.tensor([[math.sin(2 * math.pi * t / p), math.cos(2 * math.pi * t / p)] for t in range(p)])
        for p in PERIODS_TICKS
    ]


def trigger_of(inputs: TickInputs) -> Tensor:
    """The trigger that stood before each tick, ``[N, T]``."""
    return inputs.fed[..., TRIGGER_PLACE]


def task_of(inputs: TickInputs) -> Tensor:
    """The task that stood before each tick, ``[N, T]``."""
    return inputs.fed[..., TASK_PLACE]


def heard_of(inputs: TickInputs) -> Tensor:
    """The user's word that the tick before wrote down, ``[N, T]``."""
    return inputs.fed[..., HEARD_PLACE]


def spotting(likely: Tensor) -> Tensor:
    """What the heads are told of a likelihood ``[rows, 1, 1]``: as it is, and by its logarithm, from 0 (e^-8 and less)
    to 1; both 0 for none. ``[rows, 1, 2]``."""
    graded = 1.0 + likely.clamp_min(math.exp(-SPOT_DEPTH)).log() / SPOT_DEPTH
    return torch.cat([likely, graded], dim=-1)


class NanoNet(nn.Module):
    """Inputs of ticks to decisions."""

    waits_for: Tensor
    waits: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        d = config.d
        self.config = config
        self.places = nn.Parameter(torch.randn(TICK_TOKENS, d) * 0.1)
        self.no_video = nn.Parameter(torch.randn(d) * 0.1)
        said = len(config.text_words)
        decided = (len(FLOORS), len(USERS), said, len(config.heard_words), len(EVENTS))
        sizes = (*decided, 1 + len(TASKS), said, len(MANNERS), 2)
        fed = table_sizes(said, len(FLOORS), len(USERS), len(EVENTS))
        pending = (WORD_BUCKETS + 1, len(LEFT_STEPS), 2, 2, VOICES)
        self.fed = nn.ModuleList(nn.Embedding(size, d) for size in fed)
        self.pending = nn.ModuleList(nn.Embedding(size, d) for size in pending)
        for table in (*self.fed, *self.pending):
            nn.init.normal_(table.weight, std=0.3)
        self.time = Product(2 * len(PERIODS_TICKS), d, 0.3)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(len(config.windows)))
        self._hearing = config.phones_after or len(config.windows)
        self.attentions = [layer.attention for layer in self.layers if isinstance(layer, Layer)]
        self.norm = Norm(d)
        self.heads = nn.ModuleList(Product(d, size) for size in sizes)
        self.awaits, self.awaited = Product(d, d, 0.3), Product(d, d)
        self.spotted = Product(2, d, 0.3)
        self.words_heard, self.reads = nn.Embedding(len(config.heard_words) + 1, d), Product(d, d, 0.3)
        self.matched, self.elapsed = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d))
        self.register_buffer("waits_for", kinds_of_tasks(config), persistent=False)
        self.register_buffer("waits", times_of_tasks(), persistent=False)
        self.phone_norm = Norm(d)
        self.phones = Product(d, PHONES_A_TOKEN * PHONES)
        self.notes, self.listens, self.answers = Product(d, 2), Product(d, 2), Product(d, d, 0.3)

    def embed(self, inputs: TickInputs, per_tick: bool) -> Tensor:
        """To ``[N, T, 6, d]``, but for the user's words: see ``understand``."""
        n, ticks = inputs.has_video.shape
        video = torch.where(inputs.has_video[..., None], inputs.video.float(), self.no_video)
        output = self.time(inputs.time.view(n * ticks, 1, -1), per_tick).float().view(n, ticks, -1)
        for place, table in enumerate(self.fed):
            output = output + table(inputs.fed[..., place])
        for place, table in enumerate(self.pending):
            output = output + table(inputs.pending[..., place])
        output = output + torch.where(inputs.has_text[..., None], inputs.text.float(), torch.zeros(()))
        trigger = trigger_of(inputs)
        row = F.embedding(trigger, self.transcript.weight.detach()) * (trigger != NONE)[..., None]
        output = output + self.awaits(row.view(n * ticks, 1, -1), per_tick).float().view(n, ticks, -1)
        return torch.cat([inputs.audio.float(), video[:, :, None], output[:, :, None]], dim=2) + self.places

    def forward(
        self, inputs: TickInputs, states: list[LayerState] | None = None, place: StepPlace | None = None
    ) -> tuple[Decisions, Tensor]:
        """Whole sessions (``states=None``), or one tick of each session whose states are given and updated; the
        decisions, and the phones' logits: see ``hear_phones``."""
        streaming = states is not None
        sound = self.listen(inputs, states, place)
        x = self.understand(sound, inputs, states, place)
        return self.decide(x, inputs, streaming), self.hear_phones(sound, streaming)

    def listen(
        self, inputs: TickInputs, states: list[LayerState] | None = None, place: StepPlace | None = None
    ) -> Tensor:
        """The layers up to the one whose result names the phones: ``[N, T, 6, d]``."""
        return self._through(0, self._hearing, self.embed(inputs, states is not None), states, place)

    def understand(
        self,
        x: Tensor,
        inputs: TickInputs,
        states: list[LayerState] | None = None,
        place: StepPlace | None = None,
    ) -> Tensor:
        """The other layers, on what ``listen`` gave and on the word that was written down before."""
        words = self._read(inputs, states is not None)[:, :, None]
        x = torch.cat([x[:, :, :-1], x[:, :, -1:] + words], dim=2)
        normed: Tensor = self.norm(self._through(self._hearing, len(self.layers), x, states, place))
        return normed

    def _read(self, inputs: TickInputs, per_tick: bool) -> Tensor:
        """What the user's last word says, ``[N, T, d]``: by a row of its own, by the one that finds it in the sound,
        and whether it is an awaited one; and whether an awaited time has come. Layers that hear do without: they should
        trust their ears."""
        heard = heard_of(inputs)
        n, ticks = heard.shape
        known = (heard != NONE) & (heard < len(self.config.heard_words))
        found = F.embedding(heard * known, self.transcript.weight.detach()) * known[..., None]
        read: Tensor = self.words_heard(heard) * (heard != NONE)[..., None]
        read = read + self.reads(found.view(n * ticks, 1, -1), per_tick).float().view(n, ticks, -1)
        read = read + self._has_come(inputs) * self.matched
        return read + is_time(self.waits, inputs.fed)[..., None] * self.elapsed

    def _has_come(self, inputs: TickInputs) -> Tensor:
        """Whether the user's last word was an awaited one, ``[N, T, 1]``."""
        return is_awaited(self.waits_for, task_of(inputs), trigger_of(inputs), heard_of(inputs))[..., None]

    def _through(
        self, first: int, end: int, x: Tensor, states: list[LayerState] | None, place: StepPlace | None
    ) -> Tensor:
        for index in range(first, end):
            if states is None or place is None:
                x = self.layers[index](x, self.attentions[index].sequence_bias(x.shape[1]), None, None)
            else:
                x = self.layers[index](x, place.biases[index], states[index], place.slots[index])
        return x

    @property
    def transcript(self) -> Product:
        """The head that writes down the user's words. A trigger is one of its words: it is awaited, decided and found
        by the same rows, and so by what is known of words that nobody ever set as one; what triggers want does not move
        them."""
        head = self.heads[HEARD]
        assert isinstance(head, Product)
        return head

    def decide(self, x: Tensor, inputs: TickInputs, per_tick: bool) -> Decisions:
        """The heads at the output token of ``understand``'s result. All but the transcript's know how likely the user
        says now what is awaited, and which awaited word was written down: what is said to it follows from the word."""
        n, ticks = x.shape[:2]
        output = x[:, :, -1].reshape(n * ticks, 1, -1)
        heard = self.transcript(output, per_tick).float()
        task, trigger = task_of(inputs).flatten(), trigger_of(inputs).flatten()
        likely = likelihood(self.waits_for, torch.softmax(heard.detach(), dim=-1), task, trigger)
        informed = output + self.spotted(spotting(likely), per_tick).float()
        come = self.words_heard(heard_of(inputs)) * self._has_come(inputs)
        informed = informed + self.answers(come.view(n * ticks, 1, -1), per_tick).float()
        made = [heard if place == HEARD else head(informed, per_tick) for place, head in enumerate(self.heads)]
        made.append(product(self.awaited(informed, per_tick), self.transcript.weight.detach(), per_tick))
        made += [self.notes(informed, per_tick), self.listens(informed, per_tick)]
        return Decisions(*(logits.float().view(n, ticks, -1) for logits in made))

    def hear_phones(self, x: Tensor, per_tick: bool) -> Tensor:
        """Logits of what sounded one tick before each half of an audio token, ``[N, T, 8, phones]``, from what
        ``listen`` gave."""
        n, ticks, _, d = x.shape
        heard = x[:, :, :AUDIO_TOKENS].reshape(n, ticks * AUDIO_TOKENS, d)
        logits: Tensor = self.phones(self.phone_norm(heard), per_tick)
        return logits.view(n, ticks, AUDIO_TOKENS * PHONES_A_TOKEN, PHONES)
