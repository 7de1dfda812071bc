"""Causal convolutional stacks that run over whole sequences (training) or in steps, with the same bits per step.

In steps every product is a batch of products of one fixed shape, ``rows`` by inputs, one for each session and step: so
a session's bits do not depend on who else is in the batch, nor on how many steps come at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.interaction.speech.config import StackSize


class Product(nn.Module):
    """An affine map."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * scale * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, rows: int | None) -> Tensor:
        """``x [n, steps, inputs]``; with ``rows``, steps are a multiple of it."""
        if rows is None:
            return F.linear(x, self.weight, self.bias)
        n, steps, inputs = x.shape
        parts = x.reshape(-1, rows, inputs)
        y = torch.bmm(parts, self.weight.t().expand(len(parts), -1, -1))
        return y.view(n, steps, -1) + self.bias


class Norm(nn.Module):
    """Root mean square norm over channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6) * self.weight


class Block(nn.Module):
    """Depthwise causal convolution, norm, and a two-layer map; a residual."""

    def __init__(self, size: StackSize) -> None:
        super().__init__()
        self.kernel = size.kernel
        taps = torch.randn(size.kernel, size.width) * 0.1
        taps[-1] += 0.5
        self.taps = nn.Parameter(taps)
        self.norm = Norm(size.width)
        self.up = Product(size.width, size.inner)
        self.down = Product(size.inner, size.width, 0.3)

    def forward(self, x: Tensor, rows: int | None, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [n, steps, width]``, ``tail [n, kernel - 1, width]`` of the steps before; returns the stream to keep."""
        n, steps, width = x.shape
        if rows is None:
            stream = F.pad(x.transpose(1, 2), (self.kernel - 1, 0))
            mixed = F.conv1d(stream, self.taps.t().unsqueeze(1), groups=width).transpose(1, 2)
        else:
            stream = torch.cat([x.new_zeros(n, self.kernel - 1, width) if tail is None else tail, x], dim=1)
            mixed = stream[:, :steps] * self.taps[0]
            for tap in range(1, self.kernel):
                mixed = mixed + stream[:, tap : tap + steps] * self.taps[tap]
        hidden = self.up(self.norm(mixed), rows).relu().square()
        y: Tensor = x + self.down(hidden, rows)
        return y, stream


class Stack(nn.Module):
    """Input map, blocks, norm, output map."""

    def __init__(self, size: StackSize, inputs: int, outputs: int) -> None:
        super().__init__()
        self.size = size
        self.enter = Product(inputs, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.blocks))
        self.norm = Norm(size.width)
        self.leave = Product(size.width, outputs)

    def empty(self, n: int) -> Tensor:
        """State of ``n`` streams that begin: ``[blocks, n, kernel - 1, width]``."""
        return torch.zeros(self.size.blocks, n, self.size.kernel - 1, self.size.width)

    def forward(self, x: Tensor) -> Tensor:
        """Whole sequences ``[n, steps, inputs]`` that begin at their first step."""
        y = self.enter(x, None)
        for block in self.blocks:
            y, _ = block(y, None, None)
        out: Tensor = self.leave(self.norm(y), None)
        return out

    def advance(self, x: Tensor, state: Tensor, rows: int, ends: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Some steps of each stream; returns outputs and the new state. ``ends [n]``: only so many of its steps count
        for a stream, the rest is padding."""
        y, tails = self.enter(x, rows), []
        back = self.size.kernel - 1
        for block, tail in zip(self.blocks, state, strict=True):
            y, stream = block(y, rows, tail)
            if ends is None:
                tails.append(stream[:, -back:])
            else:
                at = (ends[:, None] + torch.arange(back))[..., None].expand(-1, -1, stream.shape[2])
                tails.append(stream.gather(1, at))
        out: Tensor = self.leave(self.norm(y), rows)
        return out, torch.stack(tails)
