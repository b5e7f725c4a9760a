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
    rising = store.falling_acts(feature)[::-1]
    top = float(rising[-1]) if len(rising) else 1.0
    edges = np.linspace(0.0, top, bins + 1)
    # Bits of positive float16 numbers rise with their values, so a few searches replace a pass over the values.
    rounded = edges.astype(np.float16)
    at_least = rounded.view(np.uint16) + (rounded < edges)
    below = np.searchsorted(rising.view(np.uint16), at_least)
    below[-1] = len(rising)
    return Histogram(edges, np.diff(below))


def density_histogram(density_F: NDArray[np.float64], bins_per_decade: int = 4) -> Histogram:
    """Of log10 density over the features that fire at all, in equal bins of log10: whole decades, at least one."""
    logs = np.log10(density_F[density_F > 0])
    low = min(-1.0, float(np.floor(logs.min()))) if len(logs) else -1.0
    counts, edges = np.histogram(logs, bins=round(-low * bins_per_decade), range=(low, 0.0))
    return Histogram(edges, counts)
