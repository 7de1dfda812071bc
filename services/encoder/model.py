"""The learned half of the encoder: dMel, hMLP and text embeddings, versioned by their own weights."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from schemas.records import TokenKind
from services.encoder.dmel import BANDS, TOKENS, WINDOWS
from services.encoder.video import PATCH, PATCHES

WEIGHTS = "encoder.safetensors"
TEXT_BUCKETS = 2048
_CELL, _MERGE, _LAST = 4, 2, 5  # hMLP: 4x4 pixels, then 2x2 cells, then 5x5 make one 40x40 patch
_WIDTHS = (64, 64)
_HEARD = WINDOWS * BANDS  # codes of an audio token
_HEARD_WIDTH = 512
_NORM = "heard_norm"
_MIDDLE, _SPREAD = 60.0, 20.0  # about where codes of speech lie


@contextmanager
def one_thread() -> Iterator[None]:
    """Splitting a product among threads changes its bits, by batch size and machine: one thread computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def text_buckets(text: str) -> list[int]:
    """Typed text as a bag of hashed lower-cased words; hash and bucket count are part of the weights' meaning."""
    words = re.findall(r"[a-z0-9'+-]+", text.lower())
    return [zlib.crc32(word.encode()) % TEXT_BUCKETS for word in words]


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Scale the last dimension to unit root mean square, in float32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6) * weight


def weights_version(tensors: dict[str, Tensor]) -> str:
    """A name for exactly these weights, e.g. ``enc-5f1c0e9a3b7d``."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return f"enc-{digest.hexdigest()[:12]}"


def _products(x: Tensor, weight: Tensor, per_item: bool) -> Tensor:
    """``x [n, rows, in]`` times ``weight [out, in]``; per item, so that no row shares a product with a neighbour."""
    if per_item:
        return torch.bmm(x, weight.t().expand(len(x), -1, -1))
    return F.linear(x, weight)


class EncoderNet(nn.Module):
    """dMel codes, patches and word buckets to embeddings ``[…, d]``."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.d = d
        self.heard_1 = nn.Parameter(torch.randn(_HEARD_WIDTH, _HEARD) * _HEARD**-0.5)
        self.heard_bias = nn.Parameter(torch.zeros(_HEARD_WIDTH))
        self.heard_2 = nn.Parameter(torch.randn(d, _HEARD_WIDTH) * _HEARD_WIDTH**-0.5)
        self.heard_norm = nn.Parameter(torch.ones(d))
        cell = _CELL * _CELL * 2 * 3
        self.patch_1 = nn.Parameter(torch.randn(_WIDTHS[0], cell) * cell**-0.5)
        self.patch_2 = nn.Parameter(torch.randn(_WIDTHS[1], 4 * _WIDTHS[0]) * (4 * _WIDTHS[0]) ** -0.5)
        last = _LAST * _LAST * _WIDTHS[1]
        self.patch_3 = nn.Parameter(torch.randn(d, last) * last**-0.5)
        self.patch_norm = nn.Parameter(torch.ones(d))
        self.patch_place = nn.Parameter(torch.randn(PATCHES, d) * 0.1)
        self.text = nn.Parameter(torch.randn(TEXT_BUCKETS, d) * 0.5)
        self.text_norm = nn.Parameter(torch.ones(d))

    def audio(self, codes: Tensor, *, per_item: bool = False) -> Tensor:
        """Codes ``[n, tokens, 8, 80]`` (uint8, or float between levels) to ``[n, tokens, d]``."""
        x = (codes.flatten(-2).float() - _MIDDLE) * (1.0 / _SPREAD)
        x = (_products(x, self.heard_1, per_item) + self.heard_bias).relu().square()
        return rms_norm(_products(x, self.heard_2, per_item), self.heard_norm)

    def video(self, patches: Tensor, *, per_item: bool = False) -> Tensor:
        """uint8 ``[n, 2, 40, 40, 3]`` (n a multiple of 6, pairs in patch order) to ``[n, d]``."""
        n, side = len(patches), PATCH // _CELL
        cells = patches.view(n, 2, side, _CELL, side, _CELL, 3).permute(0, 2, 4, 1, 3, 5, 6)
        x = cells.reshape(n, side * side, -1).float().div_(255.0).sub_(0.5)
        x = _products(x, self.patch_1, per_item).relu()
        half = side // _MERGE
        x = x.view(n, half, _MERGE, half, _MERGE, -1).permute(0, 1, 3, 2, 4, 5).reshape(n, half * half, -1)
        x = _products(x, self.patch_2, per_item).relu()
        x = _products(x.reshape(n, 1, -1), self.patch_3, per_item).squeeze(1)
        return rms_norm(x, self.patch_norm) + self.patch_place.repeat(n // PATCHES, 1)

    def words(self, buckets: Tensor, starts: Tensor) -> Tensor:
        """Concatenated word buckets and where each text begins, to ``[texts, d]``."""
        return rms_norm(F.embedding_bag(buckets, self.text, starts, mode="mean"), self.text_norm)


class FrameEncoder:
    """Embeds whole frames for the service: deterministic, and a session's bits do not depend on its neighbours."""

    def __init__(self, net: EncoderNet, version: str) -> None:
        self._net = net.eval()
        self.version = version
        self.d = net.d

    @classmethod
    def load(cls, path: Path | str) -> FrameEncoder:
        """From a model folder.

        Raises:
            FileNotFoundError: there are no weights.
            ValueError: the weights do not hash to the name that they carry, or are of another architecture.
        """
        file = Path(path) / WEIGHTS
        tensors = load_file(file)
        with safe_open(file, framework="pt") as opened:
            named = (opened.metadata() or {}).get("version", "")
        version = weights_version(tensors)
        if named != version:
            raise ValueError(f"{file}: named {named!r}, but its weights are {version}")
        if _NORM not in tensors:
            raise ValueError(f"{file}: an encoder of before 0.5, with other ears (ADR 16)")
        net = EncoderNet(len(tensors[_NORM]))
        net.load_state_dict(tensors)
        return cls(net, version)

    def encode(
        self,
        codes: npt.NDArray[np.uint8],
        patches: Sequence[npt.NDArray[np.uint8] | None],
        texts: Sequence[str],
    ) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]]:
        """Codes ``[B, 4, 8, 80]``, patches (None or ``[n, 2, 40, 40, 3]``) and typed texts ("" for none) of B sessions.

        Returns for each its kinds ``[tokens]`` and embeddings ``[tokens, d]``: audio, then patches, then text.
        """
        with torch.inference_mode(), one_thread():
            return self._encode(codes, patches, texts)

    def _encode(
        self,
        codes: npt.NDArray[np.uint8],
        patches: Sequence[npt.NDArray[np.uint8] | None],
        texts: Sequence[str],
    ) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]]:
        audio = self._net.audio(torch.from_numpy(codes), per_item=True).half().numpy()
        results = []
        for session in range(len(codes)):
            kinds = [TokenKind.AUDIO] * TOKENS
            parts: list[npt.NDArray[Any]] = [audio[session]]
            pictures, buckets = patches[session], text_buckets(texts[session])
            if pictures is not None:
                parts.append(self._net.video(torch.from_numpy(pictures), per_item=True).half().numpy())
                kinds += [TokenKind.VIDEO] * len(pictures)
            if buckets:
                words = self._net.words(torch.tensor(buckets), torch.tensor([0]))
                parts.append(words.half().numpy())
                kinds.append(TokenKind.TEXT)
            results.append((np.array(kinds, dtype=np.uint8), np.concatenate(parts)))
        return results


def set_threads(threads: int) -> None:
    """How many threads torch may use in this process; results do not depend on it."""
    torch.set_num_threads(threads)
