"""A batch's arrays as tensors on the device that learns: the one place where they move."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from services.interaction.nano.config import COPY, NONE
from services.interaction.nano.registers import HEARD_PLACE
from training.data import Batch

DECISIONS = ("floor", "user", "text", "heard", "event", "task", "word", "manner", "ending", "trigger", "note", "listen")
PARTS = ("due",)  # of another decision's ticks
HINTS = ("phones", "sight", "colour", "fingers")


class Tensors(NamedTuple):
    """See ``Batch``. ``counting`` tells, by decision and hint, which of the ``N * T`` ticks count, and which
    of the ``N * T * 8`` halves of audio tokens for ``phones``; their numbers are known without waiting for the
    device."""

    codes: Tensor
    targets: dict[str, Tensor]
    counting: dict[str, Tensor]
    fed: Tensor
    pending: Tensor
    time: Tensor
    patches: Tensor
    patches_at: Tensor
    words: Tensor
    words_from: Tensor
    words_at: Tensor


def counts(batch: Batch, name: str) -> npt.NDArray[np.bool_]:
    """Where a decision counts: ``word`` where a task is set that has one, ``trigger`` until one is known, ``manner``
    where something of its own is said, ``due`` where a task says it,
    ``note`` and ``listen`` where a word was written down in the tick before, and hints where one is known."""
    if name in HINTS:
        return np.asarray(batch.targets[name] >= 0)
    counting: npt.NDArray[np.bool_] = batch.targets["heard_counts" if name == "heard" else "speak_counts"]
    if name == "word":
        return counting & (batch.targets["task"] > 1)
    if name == "due":
        return np.asarray(counting & batch.targets["due_counts"])
    if name in ("note", "listen"):
        return np.asarray(counting & (batch.fed[..., HEARD_PLACE] != NONE))
    if name == "trigger":
        return np.asarray(counting & batch.targets["trigger_counts"])
    return counting & (batch.targets["text"] > COPY) if name == "manner" else counting


def tensors(batch: Batch, device: torch.device) -> Tensors:
    """Copies from pinned memory run beside the device's work."""

    def move(array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

    counting = {name: np.flatnonzero(counts(batch, name)) for name in (*DECISIONS, *PARTS, *HINTS)}
    return Tensors(
        codes=move(batch.codes),
        targets={name: move(array) for name, array in batch.targets.items()},
        counting={name: move(places) for name, places in counting.items()},
        fed=move(batch.fed),
        pending=move(batch.pending),
        time=move(batch.time),
        patches=move(batch.patches),
        patches_at=move(batch.patches_at),
        words=move(batch.words),
        words_from=move(batch.words_from),
        words_at=move(batch.words_at),
    )
