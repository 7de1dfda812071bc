"""What a standing task waits for: the user's words of a kind ("whenever I name a fruit"), one that the user named
("when I say harbour"), or a time.

What a word means is not to be heard, and is seldom to be learned from conversations: a kind's rarest words come up once
in a thousand of them. So what belongs to a kind is written down with the model (``NanoConfig.kinds``), and the network
is told whether a word is one that its task waits for, and whether it is time. What to do then, it has learned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from services.interaction.nano.config import NONE, RECALL, TASKS, USERS_WORD, NanoConfig
from services.interaction.nano.registers import AGE_PLACE, LAST_PLACE, TASK_PLACE, TICKS_PER_SECOND, WORD_PLACE

HEARD_LATE_TICKS = 3  # between an order's end and the first tick that is fed with it, and from a word to its sound
STILL_TICKS = 5  # in which it is time
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


def times_of_tasks() -> Tensor:
    """Of each task, the ticks that it waits for, ``[tasks]``; 0 for those that wait for no time."""
    parts = [task.split() for task in TASKS]
    return torch.tensor([int(p[1]) * TICKS_PER_SECOND if p[0] in ("timer", "every") else 0 for p in parts])


def is_time(times: Tensor, fed: Tensor) -> Tensor:
    """Whether it is time to say the word of a standing task, so that it sounds when it is due: in some ticks from the
    first that is right on. ``times`` of ``times_of_tasks``, ``fed [N, T, 16]`` of ``registers.fed``; bool, ``[N, T]``.

    The time of an order runs from its end; of what repeats, from its last word on."""
    last, word = fed[..., LAST_PLACE], fed[..., WORD_PLACE]
    again = (last == word) | ((word == USERS_WORD) & (last == RECALL))
    waits = times[fed[..., TASK_PLACE]]
    due = waits - torch.where(again, 1, HEARD_LATE_TICKS)
    age = fed[..., AGE_PLACE] * TICKS_PER_SECOND + fed[..., AGE_PLACE + 1]
    return (waits > 0) & (word != NONE) & (age >= due) & (age < due + STILL_TICKS)


def likelihood(table: Tensor, words: Tensor, task: Tensor, trigger: Tensor) -> Tensor:
    """How likely it is among ``words [rows, 1, heard words]`` (probabilities) that one is said which ``task [rows]``
    waits for, or ``trigger [rows]``: ``[rows, 1, 1]``, 0 where nothing is awaited."""
    one = words.gather(-1, trigger[:, None, None]) * (trigger != NONE)[:, None, None]
    kind = (words * table[task][:, None]).sum(dim=-1, keepdim=True)
    return (one + kind).clamp_max(1.0)
