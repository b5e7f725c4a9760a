"""Columns of many segments laid end to end into one file, in blocks, with one segment open at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import open_sealed, put

ROWS = 1 << 20
"""Rows copied at once."""


def joined(
    group: h5py.Group,
    name: str,
    paths: Sequence[Path],
    source: str,
    *,
    add: Sequence[int] = (),
    skip: Sequence[int] = (),
) -> None:
    """Write the datasets called `source` of several segments end to end into a contiguous dataset of `group`.

    Args:
        group: the target.
        name: name of the new dataset.
        paths: the segments.
        source: name of the dataset in each segment.
        add: number added to each segment's values; 0 by default.
        skip: number of values left out at the start of each segment; 0 by default.
    """
    total, dtype = _size(paths, source, source)
    target = group.create_dataset(name, (total - sum(skip),), dtype)
    at = 0
    for path, plus, first in zip(paths, add or repeat(0), skip or repeat(0)):  # noqa: B905 - repeat has no end
        with open_sealed(path, "segment") as file:
            for block in _blocks(file[source], first, ROWS):
                target[at : at + len(block)] = block + block.dtype.type(plus) if plus else block
                at += len(block)


def joined_packed(
    group: h5py.Group,
    name: str,
    paths: Sequence[Path],
    source: str,
    *,
    size_of: str | None = None,
    skip: Sequence[int] = (),
) -> None:
    """Write like `joined`, into a compressed dataset: whole chunks at a time, so its bytes show no segments.

    A segment without the dataset counts as zeros, as many as its dataset `size_of` has values.
    """
    total, dtype = _size(paths, source, size_of or source)
    row = _row(paths, source)
    total -= sum(skip)
    if not total:
        put(group, name, np.empty((0, *row), dtype))
        return
    target = group.create_dataset(name, (total, *row), dtype, compression="gzip", compression_opts=4, shuffle=True)
    rows = max(1, ROWS // target.chunks[0]) * target.chunks[0]
    left, at = np.empty((0, *row), dtype), 0
    for path, first in zip(paths, skip or repeat(0)):  # noqa: B905 - repeat has no end
        with open_sealed(path, "segment") as file:
            column = file[source] if source in file else np.zeros((len(file[size_of]), *row), dtype)
            for block in _blocks(column, first, rows):
                left = np.concatenate([left, block])
                whole = len(left) - len(left) % rows
                target[at : at + whole] = left[:whole]
                left, at = left[whole:], at + whole
    target[at:] = left


def _size(paths: Sequence[Path], source: str, size_of: str) -> tuple[int, np.dtype[Any]]:
    total, dtype = 0, np.dtype(np.uint8)
    for path in paths:
        with open_sealed(path, "segment") as file:
            total += len(file[size_of])
            dtype = file[source].dtype if source in file else dtype
    return total, dtype


def _row(paths: Sequence[Path], source: str) -> tuple[int, ...]:
    """Return the shape of one value of a dataset, () for a number."""
    for path in paths:
        with open_sealed(path, "segment") as file:
            if source in file:
                return tuple(file[source].shape[1:])
    return ()


def _blocks(dataset: h5py.Dataset | NDArray[Any], first: int, rows: int) -> Iterator[NDArray[Any]]:
    for start in range(first, len(dataset), rows):
        yield dataset[start : start + rows]
