"""Short reads of long columns: the bytes of a contiguous dataset, straight from its open file.

HDF5's own selection takes some 60 µs for a slice however short; a page of a run that is still segments asks for
hundreds of them. The file is the one that HDF5 has open, so it does not matter what has become of its name.
"""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


class FlatArray:
    """A one-dimensional dataset that is read by slices."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self._file, self._dataset = file, file[name]
        self._dtype, self._length = self._dataset.dtype, len(self._dataset)
        self._offset: int | None = self._dataset.id.get_offset()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        """The values of a slice, as its own array.

        Raises:
            OSError: the file ends before them, which it did not when it was sealed.
        """
        start, stop, step = wanted.indices(self._length)
        n = max(0, stop - start)
        if not n:
            return np.empty(0, self._dtype)
        if self._offset is None or step != 1:
            return np.asarray(self._dataset[start : start + n : step])
        values = np.empty(n, self._dtype)
        rest = memoryview(values.view(np.uint8).data)
        at = self._offset + start * self._dtype.itemsize
        descriptor = self._file.id.get_vfd_handle()
        while rest:
            got = os.preadv(descriptor, [rest], at)
            if not got:
                raise OSError(f"the file ends inside of {self._dataset.name}")
            rest, at = rest[got:], at + got
        return values
