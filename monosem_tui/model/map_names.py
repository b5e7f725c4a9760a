"""Names of a map's clusters: which of them stand on a picture, and where.

Shapes: N features of the map, S of those in sight, C clusters of a level.
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

SAMPLED = 10_000
"""Features in sight from which on places of names are looked for among every second, third ... of them."""
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
    sampled = inside[:: 1 + len(inside) // SAMPLED]
    place_S2 = found.place_N2[sampled]
    size = np.array([box.right - box.left, box.top - box.bottom])
    least = max(LEAST_MEMBERS, LEAST_SHARE * len(inside))
    seen: list[NamedCluster] = []
    taken: set[str] = set()
    for level, cluster_N in enumerate(found.cluster_LN):
        size_C = np.bincount(cluster_N[inside], minlength=len(found.names[level]))
        middle_C2, share_C = _middles(cluster_N[sampled], place_S2, len(size_C), size * RADIUS)
        wanted = np.flatnonzero((size_C >= least) & (share_C >= LEAST_TOGETHER))
        for cluster in wanted[np.argsort(-size_C[wanted], kind="stable")].tolist():
            name = cluster_title(found.names[level][cluster])
            if name and name not in taken:
                taken.add(name)
                x, y = middle_C2[cluster].tolist()
                seen.append(NamedCluster(level, cluster, name, x, y, int(size_C[cluster])))
    return seen


def _middles(
    cluster_S: NDArray[np.int32], place_S2: NDArray[np.float32], n_clusters: int, radius: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where most of each cluster's members lie together [C, 2], and the share of them that does [C].

    The mean of all, then of those within `radius` of it, and so on.
    """
    near_S = np.ones(len(cluster_S), bool)
    size_C = np.maximum(np.bincount(cluster_S, minlength=n_clusters), 1)
    for _ in range(SHIFTS):
        kept = cluster_S[near_S]
        count_C = np.maximum(np.bincount(kept, minlength=n_clusters), 1)
        middle_2C = [np.bincount(kept, place_S2[near_S, axis], n_clusters) / count_C for axis in (0, 1)]
        apart = [np.abs(place_S2[:, axis] - middle_2C[axis][cluster_S]) <= radius[axis] for axis in (0, 1)]
        near_S = apart[0] & apart[1]
    near_C = np.bincount(cluster_S[near_S], minlength=n_clusters)
    return np.stack(middle_2C, axis=1), near_C / size_C
