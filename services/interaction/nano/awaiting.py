"""Which of the user's words a standing task waits for: a kind of words ("whenever I name a fruit"), or one that the
user named ("when I say harbour").

What a word means is not to be heard, and is seldom to be learned from conversations: a kind's rarest words come up once
in a thousand of them. So what belongs to a kind is written down with the model (``NanoConfig.kinds``), and the network
is told whether a word is one that its task waits for. What to do then, and when, it has learned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from services.interaction.nano.config import NONE, TASKS, NanoConfig

_SPANISH = {"spanish numbers": "number", "spanish colours": "colour"}


def kinds_of_tasks(config: NanoConfig) -> Tensor:
    """Bool, ``[tasks, heard words]``: the words whose kind each task waits for."""
    place = {word: at for at, word in enumerate(config.heard_words) if at != NONE}
    table = torch.zeros(len(TASKS), len(config.heard_words), dtype=torch.bool)
    for row, task in enumerate(TASKS):
        table[row, [place[word] for word in _words(config.kinds, task) if word in place]] = True
    return table


def _words(kinds: dict[str, tuple[str, ...]], task: str) -> tuple[str, ...]:
    name, _, argument = task.partition(" ")
    if name == "cue":
        return kinds.get(argument, ())
    if name == "over":
        return kinds.get("number", ())[int(argument) :]
    return kinds.get(_SPANISH.get(task, ""), ())


def is_awaited(table: Tensor, task: Tensor, trigger: Tensor, heard: Tensor) -> Tensor:
    """Whether each ``heard`` word ``[N, T]`` is what its ``task`` waits for, or its ``trigger``; bool, ``[N, T]``."""
    known = (heard != NONE) & (heard < table.shape[1])
    return known & (table[task, heard * known] | (heard == trigger))


def likelihood(table: Tensor, words: Tensor, task: Tensor, trigger: Tensor) -> Tensor:
    """How likely it is among ``words [rows, 1, heard words]`` (probabilities) that one is said which ``task [rows]``
    waits for, or ``trigger [rows]``: ``[rows, 1, 1]``, 0 where nothing is awaited."""
    one = words.gather(-1, trigger[:, None, None]) * (trigger != NONE)[:, None, None]
    kind = (words * table[task][:, None]).sum(dim=-1, keepdim=True)
    return (one + kind).clamp_max(1.0)
