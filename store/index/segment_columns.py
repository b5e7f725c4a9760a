"""Columns of many segments laid end to end into one file, in blocks, with few segments open at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import open_sealed, put

ROWS = 1 << 20
"""Rows copied at once."""
OPEN = 64
"""Segments open at once at most."""


class OpenSegments:
    """Segments by path, opened when they are first asked for; the one opened first is closed where they are too many.

    A merge asks each of them some twenty times, and to open one takes longer than to copy a small column.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: dict[Path, h5py.File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def __iter__(self) -> Iterator[h5py.File]:
        """Yield each of them, open until some others are.

        Raises:
            MonosemError: as `open_sealed` does.
        """
        for path in self._paths:
            if path not in self._open:
                if len(self._open) >= OPEN:
                    self._open.pop(next(iter(self._open))).close()
                self._open[path] = open_sealed(path, "segment")
            yield self._open[path]


def joined(
    group: h5py.Group,
    name: str,
    segments: OpenSegments,
    source: str,
    *,
    add: Sequence[int] = (),
    skip: Sequence[int] = (),
) -> None:
    """Write the datasets called `source` of several segments end to end into a contiguous dataset of `group`.

    Args:
        group: the target.
        name: name of the new dataset.
        segments: the segments.
        source: name of the dataset in each segment; those without it are left out.
        add: number added to the values of each segment; 0 by default.
        skip: number of values left out at the start of each segment; 0 by default.
    """
    total, dtype = _size(segments, source, source)
    target = group.create_dataset(name, (total - sum(skip),), dtype)
    at = 0
    for file, plus, first in zip(segments, add or repeat(0), skip or repeat(0)):  # noqa: B905 - repeat has no end
        for block in _blocks(file[source], first, ROWS) if source in file else ():
            target[at : at + len(block)] = block + block.dtype.type(plus) if plus else block
            at += len(block)


def joined_packed(
    group: h5py.Group,
    name: str,
    segments: OpenSegments,
    source: str,
    *,
    size_of: str | None = None,
    skip: Sequence[int] = (),
) -> None:
    """Write like `joined`, into a compressed dataset: whole chunks at a time, so its bytes show no segments.

    A segment without the dataset counts as zeros, as many as its dataset `size_of` has values.
    """
    total, dtype = _size(segments, source, size_of or source)
    row = next((tuple(file[source].shape[1:]) for file in segments if source in file), ())
    total -= sum(skip)
    if not total:
        put(group, name, np.empty((0, *row), dtype))
        return
    target = group.create_dataset(name, (total, *row), dtype, compression="gzip", compression_opts=4, shuffle=True)
    rows = max(1, ROWS // target.chunks[0]) * target.chunks[0]
    left, at = np.empty((0, *row), dtype), 0
    for file, first in zip(segments, skip or repeat(0)):  # noqa: B905 - repeat has no end
        column = file[source] if source in file else np.zeros((len(file[size_of]), *row), dtype)
        for block in _blocks(column, first, rows):
            left = np.concatenate([left, block])
            whole = len(left) - len(left) % rows
            target[at : at + whole] = left[:whole]
            left, at = left[whole:], at + whole
    target[at:] = left


def _size(segments: OpenSegments, source: str, size_of: str) -> tuple[int, np.dtype[Any]]:
    total, dtype = 0, np.dtype(np.uint8)
    for file in segments:
        total += len(file[size_of]) if size_of in file else 0
        dtype = file[source].dtype if source in file else dtype
    return total, dtype


def _blocks(dataset: h5py.Dataset | NDArray[Any], first: int, rows: int) -> Iterator[NDArray[Any]]:
    for start in range(first, len(dataset), rows):
        yield dataset[start : start + rows]
