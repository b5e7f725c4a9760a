"""The deal among processes that share a training: of a sweep whole trainings, of one wide dictionary its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDE = 4096
"""Features from which those of a training by itself are dealt. With fewer, ranks wait for each other more than work."""


@dataclass(frozen=True)
class Deal:
    """Which trainings each rank takes part in."""

    shares: Sequence[Sequence[int]]
    """The trainings of each rank, by their places."""
    features: bool = False
    """Whether every rank has the only training, with some of its features."""

    @classmethod
    def of(cls, widths: Sequence[int], number: int) -> Deal:
        """Return the deal of trainings with so many features each to `number` ranks."""
        if number > 1 and len(widths) == 1 and widths[0] >= WIDE:
            return cls([[0]] * number, features=True)
        return cls(dealt(widths, number))

    @property
    def fullest(self) -> Sequence[int]:
        """The trainings of the rank with most to do: the first one's, which gets the widest."""
        return self.shares[0]


def dealt(costs: Sequence[int], number: int) -> list[list[int]]:
    """Return which jobs each of `number` ranks takes: the dearest first, each to the rank with the least to do.

    Jobs are named by their places in `costs`; those of a rank are in order. The first rank has as much as any but for
    one job. Ranks beyond the jobs get none.
    """
    found: list[list[int]] = [[] for _ in range(number)]
    for job in sorted(range(len(costs)), key=lambda job: -costs[job]):
        min(found, key=lambda taken: (sum(costs[one] for one in taken), len(taken))).append(job)
    return [sorted(taken) for taken in sorted(found, key=lambda taken: -sum(costs[one] for one in taken))]
