"""Splitting trees: which features of a small dictionary become which of a larger one, with directed coverage.

A feature of the larger dictionary hangs below its best partner in the smaller one, as a comparison measured it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from store.comparison.figures import NO_PARTNER, Comparison, Side, SideSummary
from store.files.errors import MonosemError

LEAST_R = 0.2
"""Correlation from which a feature hangs below its partner; with less it has no parent. By chance r is about 0."""


@dataclass(frozen=True)
class SplitFeature:
    """A feature of a larger dictionary below its parent in the next smaller one."""

    feature: int
    r: float
    within: float
    """Share of its own activation on units where the parent fires."""
    covers: float
    """Share of the parent's activation on units where it fires."""
    mutual: bool
    children: tuple[SplitFeature, ...] = ()


@dataclass(frozen=True)
class Root:
    """A judged feature of the smallest dictionary, and what it becomes."""

    feature: int
    children: tuple[SplitFeature, ...]
    """In descending order of `covers`."""


@dataclass(frozen=True)
class SplittingTree:
    """Dictionaries from small to large, and which features become which."""

    names: tuple[str, ...]
    roots: tuple[Root, ...]
    """Judged features of the smallest dictionary, those with most children first."""
    parentless: tuple[tuple[int, ...], ...]
    """For each larger dictionary, its judged features that hang below none."""

    @property
    def childless(self) -> int:
        """Roots that become nothing."""
        return sum(not root.children for root in self.roots)


def small_first(comparison: Comparison) -> tuple[int, int]:
    """Return the sides of a comparison, that of the smaller dictionary first; of equal ones the first."""
    first, second = comparison.summary.sides
    return (0, 1) if first.features <= second.features else (1, 0)


def splitting_tree(chain: Sequence[Comparison]) -> SplittingTree:
    """Return the tree of dictionaries from small to large.

    Args:
        chain: comparisons of each dictionary with the next larger one.

    Raises:
        MonosemError: the comparisons do not follow on each other.
    """
    steps = [(one, *small_first(one)) for one in chain]
    told = [(one.summary.sides[small], one.summary.sides[large]) for one, small, large in steps]
    for (_, before), (after, _) in pairwise(told):
        if _identity(before) != _identity(after):
            raise MonosemError(f"the comparisons do not follow on each other: {before.name}, then {after.name}")
    below: dict[int, list[SplitFeature]] = {}
    parentless: list[tuple[int, ...]] = []
    for one, _, large in reversed(steps):
        below, orphans = _hung(one.sides[large], below)
        parentless.insert(0, orphans)
    first, small, _ = steps[0]
    judged = np.flatnonzero(first.sides[small].judged_F).tolist()
    roots = [Root(feature, tuple(below.get(feature, ()))) for feature in judged]
    roots.sort(key=lambda root: (-len(root.children), root.feature))
    names = (told[0][0].name, *(large.name for _, large in told))
    return SplittingTree(names, tuple(roots), tuple(parentless))


def _identity(side: SideSummary) -> tuple[str, str, int]:
    return side.name, side.digest, side.features


def _hung(side: Side, below: dict[int, list[SplitFeature]]) -> tuple[dict[int, list[SplitFeature]], tuple[int, ...]]:
    """Return the branches below each parent, and the judged features without one.

    Args:
        side: the larger dictionary's.
        below: the branches below each of its features.
    """
    hung_F = side.judged_F & (side.partner_F != NO_PARTNER) & (side.r_F >= LEAST_R)
    found: dict[int, list[SplitFeature]] = {}
    for feature in np.flatnonzero(hung_F).tolist():
        branch = SplitFeature(
            feature,
            float(side.r_F[feature]),
            float(side.coverage_F[feature]),
            float(side.covered_F[feature]),
            bool(side.mutual_F[feature]),
            tuple(below.get(feature, ())),
        )
        found.setdefault(int(side.partner_F[feature]), []).append(branch)
    for branches in found.values():
        branches.sort(key=lambda branch: (-branch.covers, branch.feature))
    return found, tuple(np.flatnonzero(side.judged_F & ~hung_F).tolist())
