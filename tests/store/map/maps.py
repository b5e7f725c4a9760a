"""A small map made by hand."""

from __future__ import annotations

import numpy as np

from store.map.feature_map import FeatureMap, MapSummary

FEATURES = 10


def small_map(digest: str = "d", features: int = FEATURES, name: str = "sea") -> FeatureMap:
    """A map of all features but the last: a row of places, two clusters, and four within them."""
    n = features - 1
    summary = MapSummary("graph", 15, 0.05, 500, 0, features, 0.9, n, digest, {"monosem": "0"})
    place_N2 = np.stack([np.arange(n), np.arange(n) % 3], axis=1).astype(np.float32)
    coarse_N, fine_N = (np.arange(n) * parts // n for parts in (2, 4))
    names = [[[name, "boat"], []], [["a"], ["b"], ["c"], []]]
    return FeatureMap(
        summary, np.arange(n, dtype=np.int32), place_N2, np.stack([coarse_N, fine_N]).astype(np.int32), names
    )
