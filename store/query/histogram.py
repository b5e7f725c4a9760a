"""Exact histograms of a feature's activations and logit effects, and of densities over features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore


@dataclass(frozen=True)
class Histogram:
    """Counts between consecutive edges; the last bin includes its upper edge."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def activation_histogram(store: FeatureStore, feature: int, bins: int = 40) -> Histogram:
    """Count a feature's non-zero activations in equal bins from 0 to its maximum."""
    rising = store.falling_acts(feature)[::-1]
    top = float(rising[-1]) if len(rising) else 1.0
    return _counted(rising, np.linspace(0.0, top, bins + 1), store.unit_F[feature])


def log_histogram(store: FeatureStore, feature: int, bins: int = 40) -> Histogram:
    """Count a feature's non-zero activations in bins of equal ratio from its minimum to its maximum.

    If all activations are equal, the bins begin at half of that value.
    """
    rising = store.falling_acts(feature)[::-1]
    low, top = (float(rising[0]), float(rising[-1])) if len(rising) else (0.5, 1.0)
    return _counted(rising, np.geomspace(low if low < top else top / 2, top, bins + 1), store.unit_F[feature])


def zeros(store: FeatureStore, feature: int) -> int:
    """Return the number of counted tokens on which a feature does not fire, which the histograms leave out."""
    store.check_feature(feature)
    return store.n_counted - int(store.columns.count_F[feature])


def logit_histogram(store: FeatureStore, feature: int) -> Histogram | None:
    """Count a feature's direct effects on the logits of all tokens in equal bins from the lowest to the highest.

    None where the site does not lead to the logits, and for files of versions that did not write it.
    """
    counts, effects = store.static("logit_histogram", feature), store.logits(feature)
    if counts is None or not len(counts) or not len(effects.top.value):
        return None
    edges = np.linspace(float(effects.bottom.value[0]), float(effects.top.value[0]), len(counts) + 1)
    return Histogram(edges, counts.astype(np.int64))


def _counted(rising: NDArray[np.float16], edges: NDArray[np.float64], unit: np.float32) -> Histogram:
    """Count sorted values between consecutive edges, none of them outside, by binary search for the edges.

    Values and edges are as stored; the result has them multiplied by `unit`.
    """
    below_E = below(rising, edges)
    below_E[-1] = len(rising)
    return Histogram(edges * unit, np.diff(below_E))


def below(rising: NDArray[np.float16], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each edge how many of some sorted positive values lie below it."""
    # Bits of positive float16 numbers rise with their values, so they are compared as integers: no copy is made.
    rounded = edges.astype(np.float16)
    at_least = rounded.view(np.uint16) + (rounded < edges)
    return np.searchsorted(rising.view(np.uint16), at_least)


def density_histogram(density_F: NDArray[np.float64], bins_per_decade: int = 4) -> Histogram:
    """Count features that fire by log10 of their density, in equal bins over whole decades, at least one."""
    logs = np.log10(density_F[density_F > 0])
    low = min(-1.0, float(np.floor(logs.min()))) if len(logs) else -1.0
    counts, edges = np.histogram(logs, bins=round(-low * bins_per_decade), range=(low, 0.0))
    return Histogram(edges, counts)
