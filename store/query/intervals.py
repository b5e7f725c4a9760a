"""Intervals of a feature's non-zero activations: equal in ranks, or equal in value from 0 to the maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from store.index.reader import FeatureStore
from store.query.histogram import below


@dataclass(frozen=True)
class ActivationInterval:
    """A half-open range of ranks, of which the strongest is 0, and the activations that it spans."""

    name: str
    """Such as `75–100 %` of the ranks, or `4.5–6` in activation."""
    first: int
    last: int
    """The rank after the last one."""
    low: float
    """The least activation of an interval by rank; the end, which it includes, of one by value."""
    high: float
    """The largest activation of an interval by rank; the end of one by value, which only the strongest includes."""
    by_value: bool = False
    """Whether it is one of equal value, not of equal rank."""


def rank_name(low: float, high: float) -> str:
    """Return `75–100 %` for 0.75 and 1."""
    return f"{100 * low:.0f}–{100 * high:.0f} %"


def activation_intervals(
    store: FeatureStore, feature: int, wanted: int, *, by_value: bool = False
) -> list[ActivationInterval]:
    """Divide all activations of a feature into intervals, the strongest first; by value some may be empty.

    Raises:
        MonosemError: there is no such feature.
    """
    n = int(store.columns.count_F[feature])
    falling, unit = store.falling_acts(feature), float(store.unit_F[feature])
    if by_value:
        edges = np.linspace(0.0, float(falling[0]) if n else 0.0, wanted + 1)
        ends = [n - found for found in below(falling[::-1], edges).tolist()]
        # The highest edge is the strongest activation itself, which belongs to the interval below it.
        ends[-1] = 0
        pairs = reversed(list(zip(edges[:-1] * unit, edges[1:] * unit, ends[1:], ends[:-1], strict=True)))
        return [
            ActivationInterval(f"{low:.3g}–{high:.3g}", first, last, float(low), float(high), by_value=True)
            for low, high, first, last in pairs
        ]
    found = []
    for i in range(wanted):
        first, last = _share(n, i, wanted), _share(n, i + 1, wanted)
        low, high = (float(falling[last - 1]) * unit, float(falling[first]) * unit) if last > first else (0.0, 0.0)
        found.append(ActivationInterval(rank_name(1 - (i + 1) / wanted, 1 - i / wanted), first, last, low, high))
    return found


def _share(n: int, parts: int, of: int) -> int:
    """Return n · parts / of, rounded half to even, without floating-point error."""
    whole, rest = divmod(n * parts, of)
    return whole + (2 * rest > of or (2 * rest == of and whole % 2 == 1))
