"""Names of a map's clusters: which of them stand on a picture, and where.

Shapes: N features of the map, C clusters of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut, printable
from store.map.feature_map import Box, FeatureMap

WORDS, LONGEST = 3, 16
"""Words of a name on a picture, and characters of each."""
LEAST_MEMBERS, LEAST_SHARE = 6, 0.01
"""Members of a cluster in sight, and their share of all features in sight, from which on it is named."""

RADIUS, SHIFTS, LEAST_TOGETHER = 0.12, 4, 0.4
"""Share of the picture's width and height within which members lie together, steps of the search for where, and share
of the members in sight that must."""
LISTED = 24
"""Clusters that one can take in."""


class NamedCluster(NamedTuple):
    """A cluster in sight."""

    level: int
    cluster: int
    name: str
    x: float
    """Place in sight where most of its members are."""
    y: float
    members: int
    """Number of its members in sight."""


def shown_level(found: FeatureMap) -> int:
    """Return the level of clusters to list and to colour: the finest with at most `LISTED`, else the coarsest."""
    return max((level for level, size_C in enumerate(found.sizes) if len(size_C) <= LISTED), default=0)


def cluster_title(words: Sequence[str], most: int = WORDS) -> str:
    """Return the name of a cluster: `Russian · и · в`; empty where nothing tells it from others."""
    return " · ".join(shown for word in words[:most] if (shown := _shown(word)))


def _shown(word: str) -> str:
    """Return a word that is safe to print; signs in quotes, as they could be taken for what stands between words."""
    shown = cut(printable(word), LONGEST).strip()
    return shown if not shown or any(letter.isalnum() for letter in shown) else f"“{shown}”"


def cluster_words(found: FeatureMap, level: int, cluster: int) -> str:
    """Return a cluster's whole name and its size: `Russian · и · в · не: 84 features`."""
    size = f"{count(int(found.sizes[level][cluster]))} features"
    title = cluster_title(found.names[level][cluster], most=8)
    return f"{title}: {size}" if title else size


def clusters_in_sight(found: FeatureMap, box: Box) -> list[NamedCluster]:
    """Return the clusters of a part of the plane that have a name, in order of importance: coarse ones first, then the
    largest. Clusters that lie scattered over the picture are left out, and those with the name of another.
    """
    x_N, y_N = found.place_N2[:, 0], found.place_N2[:, 1]
    inside = np.flatnonzero((x_N >= box.left) & (x_N <= box.right) & (y_N >= box.bottom) & (y_N <= box.top))
    place_I2 = found.place_N2[inside].astype(np.float64)
    size = np.array([box.right - box.left, box.top - box.bottom])
    least = max(LEAST_MEMBERS, LEAST_SHARE * len(inside))
    seen: list[NamedCluster] = []
    taken: set[str] = set()
    for level, cluster_N in enumerate(found.cluster_LN):
        cluster_I = cluster_N[inside]
        size_C = np.bincount(cluster_I, minlength=len(found.names[level]))
        middle_C2, share_C = _middles(cluster_I, place_I2, len(size_C), size * RADIUS)
        wanted = np.flatnonzero((size_C >= least) & (share_C >= LEAST_TOGETHER))
        for cluster in wanted[np.argsort(-size_C[wanted], kind="stable")].tolist():
            name = cluster_title(found.names[level][cluster])
            if name and name not in taken:
                taken.add(name)
                x, y = middle_C2[cluster].tolist()
                seen.append(NamedCluster(level, cluster, name, x, y, int(size_C[cluster])))
    return seen


def _middles(
    cluster_I: NDArray[np.int32], place_I2: NDArray[np.float64], n_clusters: int, radius: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where most of each cluster's members lie together [C, 2], and the share of them that does [C].

    The mean of all, then of those within `radius` of it, and so on.
    """
    near_I = np.ones(len(cluster_I), bool)
    for _ in range(SHIFTS):
        kept = cluster_I[near_I]
        count_C = np.maximum(np.bincount(kept, minlength=n_clusters), 1)
        sums = [np.bincount(kept, place_I2[near_I, axis], n_clusters) for axis in (0, 1)]
        middle_C2 = np.stack(sums, axis=1) / count_C[:, None]
        near_I = np.all(np.abs(place_I2 - middle_C2[cluster_I]) <= radius, axis=1)
    near_C = np.bincount(cluster_I[near_I], minlength=n_clusters)
    return middle_C2, near_C / np.maximum(np.bincount(cluster_I, minlength=n_clusters), 1)
