"""What a layer is made of: attention over a ring of ticks, a convolution along the audio tokens, a mixture of experts.

All of it computes in one of two ways: *dense* (rows of all sessions folded into one product, for training) or *per
tick* (every product is a batch of products of one tick's shape). Only the latter gives a session the same bits whoever
else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.nano.config import AUDIO_TOKENS, CONV_TAPS, TICK_TOKENS, NanoConfig


@dataclass(slots=True)
class LayerState:
    """One layer's memory of N sessions: a ring of keys and values, and the convolution's tail."""

    keys: Tensor  # [N, window, 6, head_width]
    values: Tensor  # [N, window, 6, head_width]
    tail: Tensor  # [N, 3, d]


def ring_view(bias: Tensor, window: int, place: int) -> Tensor:
    """The bias ``[heads * 6, window * 6]`` when the current tick stands at ``place`` of the ring: ages only turn with
    it, so one table serves all places."""
    first = (window - place) * TICK_TOKENS
    return bias[:, first : first + window * TICK_TOKENS]


def product(x: Tensor, weight: Tensor, per_tick: bool) -> Tensor:
    """``x [n, rows, inputs]`` times ``weight [outputs, inputs]``."""
    if per_tick:
        return torch.bmm(x, weight.t().expand(len(x), -1, -1))
    return F.linear(x, weight)


class Product(nn.Module):
    """A linear map without bias."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * scale * inputs**-0.5)

    def forward(self, x: Tensor, per_tick: bool) -> Tensor:
        """``x [n, rows, inputs]`` to ``[n, rows, outputs]``."""
        return product(x, self.weight, per_tick)


class Norm(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6) * self.weight


class Attention(nn.Module):
    """Several query heads, one key and value head; distances enter as a bias that grows linearly, by head."""

    def __init__(self, config: NanoConfig, window: int) -> None:
        super().__init__()
        self.heads, self.width, self.window = config.heads, config.head_width, window
        self.query = Product(config.d, self.heads * self.width)
        self.key_value = Product(config.d, 2 * self.width)
        self.out = Product(self.heads * self.width, config.d, 0.5)

    def slopes(self) -> Tensor:
        """The heads' slopes, from steep to almost flat, ``[heads]``."""
        return torch.tensor([2.0 ** (-8 * (h + 1) / self.heads) for h in range(self.heads)])

    def ring_bias(self) -> Tensor:
        """The bias over twice the ring, ``[heads * 6, 2 * window * 6]``, from which ``ring_view`` takes the ring's."""
        age = torch.arange(2 * self.window).neg() % self.window
        token = torch.arange(TICK_TOKENS)
        distance = age[None, :, None] * TICK_TOKENS + token[:, None, None] - token  # [i, slot, j]
        bias = -self.slopes()[:, None, None, None] * distance.float()
        bias = bias.masked_fill(distance < 0, -torch.inf)
        return bias.reshape(self.heads * TICK_TOKENS, 2 * self.window * TICK_TOKENS)

    def sequence_bias(self, ticks: int) -> Tensor:
        """The bias of whole sequences, ``[blocks, heads * rows, columns]``.

        A block of ticks sees itself and the block before; a window that spans half the sequence needs one block.
        """
        whole = 2 * self.window >= ticks
        block = (ticks if whole else max(8, self.window)) * TICK_TOKENS
        row, column = torch.arange(block) + (0 if whole else block), torch.arange(block if whole else 2 * block)
        distance = row[:, None] - column[None, :]
        age = row[:, None] // TICK_TOKENS - column[None, :] // TICK_TOKENS
        bias = -self.slopes()[:, None, None] * distance.float()
        bias = bias.masked_fill((distance < 0) | (age >= self.window), -torch.inf).flatten(0, 1)
        bias = bias.repeat(-(-ticks * TICK_TOKENS // block), 1, 1)
        if not whole:
            bias[0, :, :block] = -torch.inf  # nothing stands before the first block
        return bias.to(self.query.weight.device)

    def _attend_sequence(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """``query [n, rows, heads, width]``, key and value ``[n, rows, width]``, to ``[n, rows, heads * width]``."""
        n, rows = query.shape[:2]
        count, columns = bias.shape[0], bias.shape[2]
        block = bias.shape[1] // self.heads
        before, after = columns - block, count * block - rows
        query = F.pad(query, (0, 0, 0, 0, 0, after)).view(n * count, block, self.heads, self.width)
        query = query.transpose(1, 2).reshape(n * count, self.heads * block, self.width)
        key, value = (F.pad(kv, (0, 0, before, after)).unfold(1, columns, block) for kv in (key, value))
        key = key.reshape(n * count, self.width, columns)
        value = value.transpose(2, 3).reshape(n * count, columns, self.width)
        bias = bias.to(query.dtype).repeat(n, 1, 1)
        weights = torch.softmax(torch.baddbmm(bias, query, key, alpha=self.width**-0.5), dim=-1)
        mixed = torch.bmm(weights, value).view(n * count, self.heads, block, self.width)
        return mixed.transpose(1, 2).reshape(n, count * block, -1)[:, :rows]

    def forward(self, x: Tensor, bias: Tensor, state: LayerState | None, slots: Tensor | None) -> Tensor:
        """``x [n, rows, d]``: whole sequences with ``state=None``, else one tick each whose ring slot is given."""
        n, rows, _ = x.shape
        per_tick = state is not None
        query = self.query(x, per_tick).view(n, rows, self.heads, self.width)
        key, value = self.key_value(x, per_tick).chunk(2, dim=-1)
        if state is None or slots is None:
            whole: Tensor = self.out(self._attend_sequence(query, key, value, bias), per_tick)
            return whole
        every = torch.arange(n)
        state.keys[every, slots] = key
        state.values[every, slots] = value
        keys = state.keys.view(n, -1, self.width)
        query = query.transpose(1, 2).reshape(n, -1, self.width)
        scores = torch.bmm(query, keys.transpose(1, 2)) * self.width**-0.5
        weights = torch.softmax(scores + bias, dim=-1)
        mixed = torch.bmm(weights, state.values.view(n, -1, self.width)).view(n, self.heads, rows, self.width)
        projected: Tensor = self.out(mixed.transpose(1, 2).reshape(n, rows, -1), per_tick)
        return projected


class Experts(nn.Module):
    """A shared expert beside routed ones. All experts stand in one wide product and unchosen ones are gated to zero:
    at this size that is cheaper than gathering them. ``balance`` shifts the choice only, never the mixture."""

    balance: Tensor
    load: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.experts, self.width, self.top_k = config.experts, config.expert_width, config.top_k
        self.shared_width = config.shared_width
        inner = config.shared_width + self.experts * self.width
        self.router = Product(config.d, self.experts)
        self.up = Product(config.d, inner)
        self.down = Product(inner, config.d, 0.5)
        self.register_buffer("balance", torch.zeros(self.experts))
        self.register_buffer("load", torch.zeros(self.experts), persistent=False)

    def forward(self, x: Tensor, per_tick: bool) -> Tensor:
        scores = torch.softmax(self.router(x, per_tick).float(), dim=-1)
        chosen = torch.topk(scores + self.balance, self.top_k, dim=-1).indices
        gates = torch.zeros_like(scores).scatter(-1, chosen, scores.gather(-1, chosen))
        if self.training:
            self.load += (gates.detach() > 0).float().flatten(0, -2).mean(dim=0)
        gates = gates / gates.sum(dim=-1, keepdim=True) * self.top_k
        hidden = self.up(x, per_tick).relu().square()
        shared, routed = hidden[..., : self.shared_width], hidden[..., self.shared_width :]
        routed = routed.unflatten(-1, (self.experts, self.width)) * gates.to(hidden.dtype).unsqueeze(-1)
        mixed: Tensor = self.down(torch.cat([shared, routed.flatten(-2)], dim=-1), per_tick)
        return mixed

    @torch.no_grad()
    def rebalance(self, rate: float) -> None:
        """Make overloaded experts a little less likely to be chosen, and the others more."""
        self.balance -= rate * torch.sign(self.load - self.load.mean())
        self.load.zero_()


class Dense(nn.Module):
    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.up = Product(config.d, config.dense_width)
        self.down = Product(config.dense_width, config.d, 0.5)

    def forward(self, x: Tensor, per_tick: bool) -> Tensor:
        fed: Tensor = self.down(self.up(x, per_tick).relu().square(), per_tick)
        return fed


class Layer(nn.Module):
    """Depthwise causal convolution along the audio tokens, attention, feed-forward; each a residual."""

    def __init__(self, config: NanoConfig, index: int) -> None:
        super().__init__()
        self.norm_conv, self.norm_attention, self.norm_feed = Norm(config.d), Norm(config.d), Norm(config.d)
        self.taps = nn.Parameter(torch.randn(CONV_TAPS, config.d) * 0.2)
        self.attention = Attention(config, config.windows[index])
        self.feed: Experts | Dense = Experts(config) if index >= config.moe_from_layer else Dense(config)

    def _convolve(self, x: Tensor, state: LayerState | None) -> Tensor:
        """``x [n, ticks, 6, d]``; the audio tokens of consecutive ticks are one stream."""
        n, ticks, _, d = x.shape
        audio = self.norm_conv(x[:, :, :AUDIO_TOKENS].reshape(n, ticks * AUDIO_TOKENS, d))
        tail = audio.new_zeros(n, CONV_TAPS - 1, d) if state is None else state.tail
        stream = torch.cat([tail, audio], dim=1)
        if state is not None:
            state.tail = stream[:, -(CONV_TAPS - 1) :].clone()
        length = ticks * AUDIO_TOKENS
        mixed = stream[:, :length] * self.taps[0]
        for tap in range(1, CONV_TAPS):
            mixed = mixed + stream[:, tap : tap + length] * self.taps[tap]
        mixed = x[:, :, :AUDIO_TOKENS] + mixed.view(n, ticks, AUDIO_TOKENS, d)
        return torch.cat([mixed, x[:, :, AUDIO_TOKENS:]], dim=2)

    def forward(self, x: Tensor, bias: Tensor, state: LayerState | None, slots: Tensor | None) -> Tensor:
        """``x [n, ticks, 6, d]``; with a state, ``ticks`` is 1."""
        n, ticks, _, d = x.shape
        x = self._convolve(x, state).view(n, ticks * TICK_TOKENS, d)
        x = x + self.attention(self.norm_attention(x), bias, state, slots)
        x = x + self.feed(self.norm_feed(x), state is not None)
        return x.view(n, ticks, TICK_TOKENS, d)
