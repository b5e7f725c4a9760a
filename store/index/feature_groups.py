"""Features in groups that have a bounded number of entries together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 1 << 16
"""Features of a group at most: uint16 numbers them."""


def feature_groups(count: NDArray[np.integer[Any]], budget: int) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of features with at most `budget` entries together (a single feature may have more)."""
    ends = np.cumsum(count, dtype=np.int64)
    first, done = 0, 0
    while first < len(ends):
        last = int(np.searchsorted(ends, done + budget, side="right"))
        last = min(max(last, first + 1), first + MOST_FEATURES)
        yield first, last
        first, done = last, int(ends[last - 1])
