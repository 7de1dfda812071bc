"""Levenshtein distance: how many items were inserted, deleted or replaced."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Edits from one to the other: of words, or of the characters of two strings."""
    row = list(range(len(heard) + 1))
    for i, item in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (item != other))
    return row[-1]
