"""Exact histograms of a feature's activations, and of densities over features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.reader import FeatureStore


@dataclass(frozen=True)
class Histogram:
    """Counts between consecutive edges; the last bin includes its upper edge."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def activation_histogram(store: FeatureStore, feature: int, bins: int = 40) -> Histogram:
    """Of a feature's non-zero activations, in equal bins from 0 to its maximum."""
    act = store.postings(feature).act
    top = float(act[0]) if len(act) else 1.0
    counts, edges = np.histogram(act, bins=bins, range=(0.0, top))
    return Histogram(edges, counts)


def density_histogram(density_F: NDArray[np.float64], bins_per_decade: int = 4) -> Histogram:
    """Of log10 density over the features that fire at all, in equal bins of log10."""
    logs = np.log10(density_F[density_F > 0])
    low = float(np.floor(logs.min())) if len(logs) else -1.0
    counts, edges = np.histogram(logs, bins=max(1, round(-low * bins_per_decade)), range=(low, 0.0))
    return Histogram(edges, counts)
