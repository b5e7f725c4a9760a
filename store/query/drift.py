"""Density of a feature along the corpus, exact, in equal stretches.

Shapes: S stretches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore

STRETCHES = 40


@dataclass(frozen=True)
class Drift:
    """Density along the corpus in the order it was indexed."""

    edges: NDArray[np.int64]
    """Stretch s has corpus places edges[s] … edges[s+1]-1: [S+1]."""
    counted_S: NDArray[np.int64]
    """Counted tokens of each stretch."""
    count_S: NDArray[np.int64]
    """Tokens of each stretch on which the feature fires."""

    @property
    def density_S(self) -> NDArray[np.float64]:
        """Share of counted tokens on which the feature fires; 0 where no token counts."""
        return self.count_S / np.maximum(self.counted_S, 1)


def drift(store: FeatureStore, feature: int, stretches: int = STRETCHES) -> Drift:
    """Return a feature's density in each of `stretches` stretches of corpus places, fewer if there are fewer places.

    Place p of n is in stretch p · stretches // n; lengths differ by at most one. A corpus is indexed in seeded order,
    so a density that moves comes from chance and long documents, not from the time a text was written.

    Raises:
        MonosemError: there is no such feature.
    """
    place_P, n = store.places(feature), store.n_tokens
    stretches = max(1, min(stretches, n))
    edges = -(-np.arange(stretches + 1, dtype=np.int64) * n // stretches)
    counted = [int(store.counted(a, b).sum()) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    count = np.bincount(place_P * stretches // max(n, 1), minlength=stretches)
    return Drift(edges, np.array(counted, np.int64), count)
