"""Blocks of features that are read at once, by how many entries they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def entry_blocks(count_F: NDArray[np.integer[Any]], entries: int) -> Iterator[tuple[int, int]]:
    """Yield first and last (exclusive) feature of blocks with about so many entries, at least one feature each.

    Args:
        count_F: entries of each feature.
        entries: the most of a block that has more than one feature.
    """
    end_F = np.cumsum(count_F, dtype=np.int64)
    first, before = 0, 0
    while first < len(end_F):
        stop = max(first + 1, int(np.searchsorted(end_F, before + entries, "right")))
        yield first, stop
        first, before = stop, int(end_F[stop - 1])
