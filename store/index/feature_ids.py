"""Feature ids of the forward order's entries: two bytes each, or three for more than 65 536 features.

HDF5 has no three-byte integers that all readers know, so the third byte is a column of its own: `forward/feature`
holds the lower sixteen bits, `forward/feature_high` the upper eight. Files of schema 1 hold four bytes in one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ValueRange
from store.index.index_file import IndexFile

FEATURE_BITS = 24
LOW, HIGH = "feature", "feature_high"


def feature_dtype(d_sae: int) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest dtype in memory for every feature id."""
    return np.uint16 if d_sae <= 1 << 16 else np.uint32


def id_columns(d_sae: int) -> tuple[str, ...]:
    """Return the names of the columns of ids in the group `forward`."""
    return (LOW,) if d_sae <= 1 << 16 else (LOW, HIGH)


def write_ids(forward: h5py.Group, pieces: Sequence[NDArray[np.unsignedinteger[Any]]], d_sae: int) -> None:
    """Write pieces of ids end to end into the columns of `forward`."""
    n = sum(len(piece) for piece in pieces)
    for name, dtype, shift in ((LOW, np.uint16, 0), (HIGH, np.uint8, 16)):
        if name not in id_columns(d_sae):
            continue
        target, at = forward.create_dataset(name, (n,), dtype), 0
        for piece in pieces:
            target[at : at + len(piece)] = (piece >> shift).astype(dtype)
            at += len(piece)


class FeatureIds:
    """The feature id of every entry, read by slices."""

    def __init__(self, file: IndexFile) -> None:
        self._low = file.array(f"forward/{LOW}")
        self._high = file.array(f"forward/{HIGH}") if f"forward/{HIGH}" in file.names else None
        self._possible = ValueRange(f"forward/{LOW}", end=file.lengths["F"])

    def __len__(self) -> int:
        return len(self._low)

    def __getitem__(self, wanted: slice) -> NDArray[np.unsignedinteger[Any]]:
        """Return the ids of a slice, as an array of its own; ValueError for one that is not a feature."""
        ids: NDArray[np.unsignedinteger[Any]] = self._low[wanted]
        if self._high is not None:
            ids = ids | (self._high[wanted].astype(np.uint32) << np.uint32(16))
        return self._possible.checked(ids)
