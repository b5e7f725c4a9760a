"""Means over tokens with their standard errors; contexts, not tokens, are what is drawn independently.

Shapes: C contexts.
"""

from __future__ import annotations

from math import nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its standard error; None from a single context."""

    value: float
    error: float | None

    def named(self, name: str) -> dict[str, Any]:
        """Return both by the names of `Evaluation`."""
        return {name: self.value, f"{name}_se": self.error}


def ratio(sums_C: Sums, of_C: Sums) -> Estimate:
    """Return Σ sums / Σ of, and its standard error by the differences between contexts.

    That is the ratio estimator (Cochran 1977, *Sampling Techniques*, section 6.4): both sums are of the same contexts,
    so what they have in common cancels.
    """
    total, n = float(of_C.sum()), len(of_C)
    if not total:
        return Estimate(nan, None)
    value = float(sums_C.sum()) / total
    if n < 2:
        return Estimate(value, None)
    spread = float(((sums_C - value * of_C) ** 2).sum()) * n / (n - 1)
    return Estimate(value, sqrt(spread) / abs(total))
