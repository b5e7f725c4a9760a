"""Whole trainings dealt to the processes that share a sweep."""

from __future__ import annotations

from collections.abc import Sequence


def dealt(costs: Sequence[int], number: int) -> list[list[int]]:
    """Return which jobs each of `number` ranks takes: the dearest first, each to the rank with the least to do.

    Jobs are named by their places in `costs`; those of a rank are in order. Ranks beyond the jobs get none.
    """
    found: list[list[int]] = [[] for _ in range(number)]
    for job in sorted(range(len(costs)), key=lambda job: -costs[job]):
        min(found, key=lambda taken: (sum(costs[one] for one in taken), len(taken))).append(job)
    return [sorted(taken) for taken in found]
