"""The scorers: one published family of definitions a file, each from a take to observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.eval.scorers import cues, deadline, delegation, fdb1, fdb15, fdbench, tau, transcript, visual
from infra.eval.take import Observation, Take

Scorer = Callable[[Take], Iterator[Observation]]

SCORERS: tuple[Scorer, ...] = (
    fdb1.score,
    fdb15.score,
    tau.score,
    fdbench.score,
    cues.score,
    visual.score,
    delegation.score,
    deadline.score,
    transcript.score,
)


def score(take: Take) -> list[Observation]:
    """Everything that this take says about its model."""
    return [observation for scorer in SCORERS for observation in scorer(take)]
