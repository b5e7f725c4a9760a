"""Short reads of long columns: the bytes of a contiguous dataset, straight from its open file.

HDF5's own selection takes some 60 µs for a slice however short; a page asks for many of them. The file is the one that
HDF5 has open, so it does not matter what has become of its name.
"""

from __future__ import annotations

import math
import os
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


class FlatArray:
    """A dataset that is read by slices of its values in storage order, whatever its shape."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self._file, self._dataset = file, file[name]
        self._dtype, self._length = self._dataset.dtype, int(math.prod(self._dataset.shape))
        self._size = self._dtype.itemsize
        # Without an offset (compressed, or never written) HDF5 itself reads, along the first axis alone.
        self._offset: int | None = self._dataset.id.get_offset()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        """The values of a slice, as its own array.

        Raises:
            OSError: the file ends before them, which it did not when it was sealed.
        """
        start, stop, step = wanted.indices(self._length)
        if stop <= start:
            return np.empty(0, self._dtype)
        if self._offset is None or step != 1:
            return np.asarray(self._dataset[start:stop:step])
        values = np.empty(stop - start, self._dtype)
        at, descriptor = self._offset + start * self._size, self._file.id.get_vfd_handle()
        got = os.preadv(descriptor, [values.data], at)
        if got < values.nbytes:
            self._read_on(memoryview(values.view(np.uint8).data), got, at, descriptor)
        return values

    def _read_on(self, target: memoryview, done: int, at: int, descriptor: int) -> None:
        """The rest of a read that came in part: signals may cut one, and the end of the file does."""
        while done < len(target):
            got = os.preadv(descriptor, [target[done:]], at + done)
            if not got:
                raise OSError(f"the file ends inside of {self._dataset.name}")
            done += got


class FlatRows:
    """A dataset that is read row by row; a row of one axis is a value."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self._dataset = file[name]
        shape = self._dataset.shape
        self._width = shape[1] if len(shape) == 2 and self._dataset.chunks is None else 0
        self._values = FlatArray(file, name)

    def __getitem__(self, row: int) -> Any:
        """One row, as its own array."""
        if not self._width:
            return self._dataset[row]
        return self._values[row * self._width : (row + 1) * self._width]

    def whole(self) -> NDArray[Any]:
        """All rows."""
        return np.asarray(self._dataset[()])
