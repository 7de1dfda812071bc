"""What this machine's processor is good at."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

_ROWS, _WIDTH, _TRIES = 1024, 512, 7


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    began = time.process_time()
    torch.nn.functional.linear(a, b)
    return time.process_time() - began


@lru_cache(maxsize=1)
def multiplies_bfloat16() -> bool:
    """Whether products of bfloat16 take less time than those of float32.

    In tiles (AMX) they do. Where vectors alone have an instruction for them (AVX-512), some processors gain and others
    take twice as long, so it is tried: the least of some times each, by turns. All others convert every number.
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    if not torch.cpu._is_avx512_bf16_supported():
        return False
    a, b = torch.ones(_ROWS, _WIDTH), torch.ones(_WIDTH, _WIDTH)
    half_a, half_b = a.bfloat16(), b.bfloat16()
    tries = [(_seconds(half_a, half_b), _seconds(a, b)) for _ in range(_TRIES)]
    half, whole = (min(times) for times in zip(*tries, strict=True))
    return bool(half < whole)
