"""Arrays of many segments laid end to end: read and written a stretch at a time, with no file left open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.files.sealed_hdf5 import open_sealed, put

ROWS = 1 << 20
"""Rows copied at once."""


@dataclass(frozen=True)
class Stretch:
    """A contiguous dataset of a sealed file, by its place in the file.

    It is read rather than mapped where it is read whole: pages of a mapping count as this process's memory.
    """

    path: Path
    offset: int
    length: int
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, path: Path, dataset: h5py.Dataset) -> Stretch:
        """Where a dataset lies."""
        return cls(path, dataset.id.get_offset() or 0, len(dataset), dataset.dtype)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Values start … stop-1, all of them by default.

        Raises:
            MonosemError: the file ends before them.
        """
        wanted = (self.length if stop is None else stop) - start
        offset = self.offset + start * self.dtype.itemsize
        found = np.fromfile(self.path, self.dtype, wanted, offset=offset) if wanted else np.empty(0, self.dtype)
        if len(found) != wanted:
            raise MonosemError(f"{self.path} is truncated", "Remove the index folder and index again.")
        return found

    def mapped(self) -> NDArray[Any]:
        """All values as a memory map, for a look here and there. Let it go soon."""
        if not self.length:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, (self.length,))


def joined(
    group: h5py.Group,
    name: str,
    paths: Sequence[Path],
    source: str,
    *,
    add: Sequence[int] = (),
    skip: Sequence[int] = (),
) -> None:
    """Write the datasets called `source` of several segments end to end into `group`.

    Args:
        group: where to.
        name: of the new dataset, contiguous.
        paths: the segments.
        source: name in each of them.
        add: what is added to each segment's values; nothing if left out.
        skip: how many of each segment's first values are left out; none if left out.
    """
    total, dtype = _size(paths, source)
    target = group.create_dataset(name, (total - sum(skip),), dtype)
    at = 0
    for path, plus, first in zip(paths, add or repeat(0), skip or repeat(0)):  # noqa: B905 - repeat has no end
        with open_sealed(path, "segment") as file:
            for block in _blocks(file[source], first, ROWS):
                target[at : at + len(block)] = block + block.dtype.type(plus) if plus else block
                at += len(block)


def joined_packed(group: h5py.Group, name: str, paths: Sequence[Path], source: str) -> None:
    """Like `joined`, into a compressed dataset. Whole chunks are written at a time: segments do not show."""
    total, dtype = _size(paths, source)
    if not total:
        put(group, name, np.empty(0, dtype))
        return
    target = group.create_dataset(name, (total,), dtype, compression="gzip", compression_opts=4, shuffle=True)
    rows = max(1, ROWS // target.chunks[0]) * target.chunks[0]
    left, at = np.empty(0, dtype), 0
    for path in paths:
        with open_sealed(path, "segment") as file:
            for block in _blocks(file[source], 0, rows):
                left = np.concatenate([left, block])
                whole = len(left) - len(left) % rows
                target[at : at + whole] = left[:whole]
                left, at = left[whole:], at + whole
    target[at:] = left


def _size(paths: Sequence[Path], source: str) -> tuple[int, np.dtype[Any]]:
    total, dtype = 0, np.dtype(np.uint8)
    for path in paths:
        with open_sealed(path, "segment") as file:
            total, dtype = total + len(file[source]), file[source].dtype
    return total, dtype


def _blocks(dataset: h5py.Dataset, first: int, rows: int) -> Iterator[NDArray[Any]]:
    for start in range(first, len(dataset), rows):
        yield dataset[start : start + rows]
