"""How many threads torch uses in this process."""

from __future__ import annotations

import torch


def set_threads(threads: int) -> None:
    """Set it once, before the first step; outputs do not depend on it."""
    torch.set_num_threads(threads)
