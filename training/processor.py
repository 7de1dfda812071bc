"""What this machine's processor is good at."""

from __future__ import annotations

import torch


def multiplies_bfloat16() -> bool:
    """In tiles (AMX), or at least in vectors. Others convert every number, and are several times slower than with
    float32."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
