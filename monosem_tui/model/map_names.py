"""Names of a map's clusters: which of them stand on a picture, and where.

Shapes: N features of the map, C clusters of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut, printable
from store.map.feature_map import Box, FeatureMap

WORDS, LONGEST = 3, 16
"""Words of a name on a picture, and characters of each."""
LEAST_MEMBERS, LEAST_SHARE = 6, 0.01
"""Members of a cluster in sight, and their share of all features in sight, from which on it is named."""


class NamedCluster(NamedTuple):
    """A cluster in sight."""

    level: int
    cluster: int
    name: str
    x: float
    """Mean place of its members in sight."""
    y: float
    members: int
    """Number of its members in sight."""


def cluster_title(words: Sequence[str], most: int = WORDS) -> str:
    """Return the name of a cluster: `Russian, и, в`; empty where nothing tells it from others."""
    return ", ".join(shown for word in words[:most] if (shown := cut(printable(word), LONGEST).strip()))


def cluster_words(found: FeatureMap, level: int, cluster: int) -> str:
    """Return a cluster's whole name and its size: `Russian, и, в, не · 84 features`."""
    size = f"{count(int(found.sizes[level][cluster]))} features"
    title = cluster_title(found.names[level][cluster], most=8)
    return f"{title} · {size}" if title else size


def clusters_in_sight(found: FeatureMap, box: Box) -> list[NamedCluster]:
    """Return the clusters of a part of the plane that have a name, in order of importance: coarse ones first, then the
    largest; one that is its coarser one again, or has its name, is left out."""
    x_N, y_N = found.place_N2[:, 0], found.place_N2[:, 1]
    inside = np.flatnonzero((x_N >= box.left) & (x_N <= box.right) & (y_N >= box.bottom) & (y_N <= box.top))
    least = max(LEAST_MEMBERS, LEAST_SHARE * len(inside))
    seen: list[NamedCluster] = []
    taken: set[str] = set()
    for level, cluster_N in enumerate(found.cluster_LN):
        of_inside = cluster_N[inside]
        size_C = np.bincount(of_inside, minlength=len(found.names[level]))
        sums = [np.bincount(of_inside, axis_N[inside], len(size_C)) for axis_N in (x_N, y_N)]
        wanted = np.flatnonzero(size_C >= least)
        for cluster in wanted[np.argsort(-size_C[wanted], kind="stable")].tolist():
            name, members = cluster_title(found.names[level][cluster]), int(size_C[cluster])
            if name and name not in taken:
                taken.add(name)
                x, y = (float(total[cluster]) / members for total in sums)
                seen.append(NamedCluster(level, cluster, name, x, y, members))
    return seen
