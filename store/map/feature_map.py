"""A map of features: a place in the plane for each, and clusters with names, from coarse to fine.

Shapes: N features with a place, L levels, C clusters of one level, F all features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.settings.map import Layout, Likeness


@dataclass(frozen=True)
class MapSummary:
    """The origin of a map, and how well it keeps neighbours together."""

    layout: Layout
    neighbours: int
    min_dist: float
    epochs: int
    seed: int
    features: int
    """Features of the dictionary, those without a place included."""
    trustworthiness: float
    """How far the 15 nearest places are nearest by likeness too (engine.feature_map.trustworthiness)."""
    trusted_on: int
    """Features that it was measured on."""
    index_digest: str
    """Seal of the features.h5 that it is of."""
    versions: dict[str, str]
    """Version by package, of those that made the layout."""
    by: Likeness = "decoder"
    """The likeness that brings features near each other."""


class Box(NamedTuple):
    """A part of the plane: edges belong to it."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features in the plane."""

    summary: MapSummary
    feature_N: NDArray[np.int32]
    """Features with a place, ascending: those that fire and have a direction or a profile."""
    place_N2: NDArray[np.float32]
    cluster_LN: NDArray[np.int32]
    """The cluster of each at every level, from coarse to fine; each level's clusters are numbered from 0."""
    names: Sequence[Sequence[Sequence[str]]]
    """For each cluster of each level: words that tell its members from other features, the most telling first. They
    come from texts and are not safe to print."""

    @property
    def levels(self) -> int:
        """Number of levels of clusters."""
        return len(self.cluster_LN)

    def within(self, box: Box) -> NDArray[np.int64]:
        """Return the features in a part of the plane, ascending."""
        x_N, y_N = self.place_N2[:, 0], self.place_N2[:, 1]
        inside_N = (x_N >= box.left) & (x_N <= box.right) & (y_N >= box.bottom) & (y_N <= box.top)
        found_N: NDArray[np.int64] = self.feature_N[inside_N].astype(np.int64)
        return found_N

    def members(self, level: int, cluster: int) -> NDArray[np.int64]:
        """Return the features of a cluster, ascending."""
        found_N: NDArray[np.int64] = self.feature_N[self.cluster_LN[level] == cluster].astype(np.int64)
        return found_N

    @cached_property
    def sizes(self) -> tuple[NDArray[np.int64], ...]:
        """Members of each cluster, by level: [C] each."""
        return tuple(np.bincount(cluster_N) for cluster_N in self.cluster_LN)

    @cached_property
    def middles(self) -> tuple[NDArray[np.float64], ...]:
        """Median place of each cluster, by level: [C, 2] each."""
        return tuple(_medians(cluster_N, self.place_N2) for cluster_N in self.cluster_LN)


def _medians(cluster_N: NDArray[np.int32], place_N2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of each cluster's coordinates: [C, 2]."""
    found = []
    for axis in (0, 1):
        order = np.lexsort((place_N2[:, axis], cluster_N))
        ends = np.cumsum(np.bincount(cluster_N))
        found.append(place_N2[order[(ends + np.append(0, ends[:-1])) // 2], axis])
    return np.stack(found, axis=1).astype(np.float64)
