"""Contiguous datasets, read as bytes of their file.

HDF5's own selection takes some 60 µs for a slice however short, and a page asks for many of them.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ANY, ValueRange
from store.files.errors import MonosemError
from store.files.regular_file import read_stream


class OpenArray:
    """A dataset of an open file, read by slices of its values in storage order, or by rows.

    It reads from the descriptor that HDF5 has open, so the file may have lost its name meanwhile. Reads raise
    ValueError for values that are not `possible`.
    """

    def __init__(self, file: h5py.File, name: str, possible: ValueRange) -> None:
        self._file, self._dataset, self._possible = file, file[name], possible
        shape = self._dataset.shape
        self._dtype, self._length = self._dataset.dtype, int(math.prod(shape))
        # Without an offset (compressed, or never written) HDF5 itself reads, along the first axis alone.
        self._offset: int | None = self._dataset.id.get_offset()
        self._width = shape[1] if len(shape) == 2 and self._dataset.chunks is None else 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        """Return the values of a slice as an array of its own.

        Raises:
            OSError: the file ends before them, which it did not when it was sealed.
        """
        start, stop, step = wanted.indices(self._length)
        if stop <= start:
            return np.empty(0, self._dtype)
        if self._offset is None or step != 1:
            return self._possible.checked(np.asarray(self._dataset[start:stop:step]))
        return self._possible.checked(_read(self._file.id.get_vfd_handle(), self._dtype, self._offset, start, stop))

    def row(self, number: int) -> Any:
        """Return one row as an array of its own; of a dataset with one axis, a value."""
        if not self._width:
            return self._possible.checked(np.asarray(self._dataset[number]))
        return self[number * self._width : (number + 1) * self._width]

    def whole(self) -> NDArray[Any]:
        """Return all values in the dataset's shape."""
        return self._possible.checked(np.asarray(self._dataset[()]), whole=True)


@dataclass(frozen=True)
class ArraySpan:
    """Location of a contiguous dataset in a sealed file: nothing in memory, no open file."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    possible: ValueRange = ANY
    """Values that `read` accepts."""

    @classmethod
    def of(cls, path: Path, dataset: h5py.Dataset, possible: ValueRange = ANY) -> ArraySpan:
        """Locate a dataset.

        Raises:
            ValueError: it is compressed.
        """
        offset = dataset.id.get_offset()
        if offset is None and dataset.size:
            raise ValueError(f"{dataset.name} is not contiguous")
        return cls(path, offset or 0, dataset.shape, dataset.dtype, possible)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return values start … stop-1 of a dataset with one axis, all of them by default.

        Reads rather than maps: pages of a mapping count as this process's memory.

        Raises:
            MonosemError: the file ends before them, or is gone.
            ValueError: a value is not possible.
        """
        stop = self.shape[0] if stop is None else stop
        if stop <= start:
            return np.empty(0, self.dtype)
        try:
            with read_stream(self.path) as stream:
                found = _read(stream.fileno(), self.dtype, self.offset, start, stop)
                return self.possible.checked(found, whole=stop - start == self.shape[0])
        except OSError as error:
            what = f"cannot read {self.path}: {error.strerror or error}"
            raise MonosemError(what, "Remove the index folder and index again.") from error

    def mapped(self) -> NDArray[Any]:
        """Memory-map the dataset, read-only, for a look here and there."""
        if not math.prod(self.shape):
            return np.empty(self.shape, self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def _read(descriptor: int, dtype: np.dtype[Any], offset: int, start: int, stop: int) -> NDArray[Any]:
    """Read values start … stop-1 of the array that begins at byte `offset`."""
    values = np.empty(stop - start, dtype)
    at = offset + start * dtype.itemsize
    done = os.preadv(descriptor, [values.data], at)
    if done < values.nbytes:  # a signal may cut a read, and the end of the file does
        target = memoryview(values.view(np.uint8).data)
        while done < len(target):
            got = os.preadv(descriptor, [target[done:]], at + done)
            if not got:
                raise OSError("the file ends inside a dataset")
            done += got
    return values
