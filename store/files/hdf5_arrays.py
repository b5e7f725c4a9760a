"""The arrays of an HDF5 file that may come from a stranger: each in the file itself, none larger than its bytes.

HDF5 would read links, external storage and virtual datasets from any file that the reader may read, and allocate
whatever size a dataset claims.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from store.files.array_rules import ArrayShape
from store.files.errors import MonosemError

PACKED = 1032
"""Bytes that one byte of gzip can hold at most."""
_known: dict[tuple[int, ...], dict[str, ArrayShape]] = {}
"""Files that this process has looked through; one that is written to or replaced is another one."""
_DEPTH = 32
"""Groups inside each other; HDF5's own walk would use up the stack."""
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, MemoryError)
"""Errors that h5py and numpy raise for a file that is not what its seal says."""


class ForeignPart(ValueError):
    """A part of a file lies, or may lie, in another file."""


def array_shapes(file: h5py.File, path: Path) -> dict[str, ArrayShape]:
    """Return shape and dtype of each array by name, without reading values.

    Raises:
        MonosemError: a part of the file lies, or may lie, in another file, or an array claims more values than the file
            can hold; which, by name.
    """
    now = os.fstat(file.id.get_vfd_handle())
    state = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
    if state not in _known:
        with reading(path):
            _known[state] = dict(_walk(file.id, "", now.st_size, set(), _DEPTH))
    return _known[state]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors about a damaged, senseless or vanished file into a `MonosemError` that names it."""
    try:
        yield
    except ForeignPart as error:
        raise MonosemError(
            f"{path} refers to other files: {error}", "monosem writes no such file: do not trust it."
        ) from error
    except UNREADABLE as error:
        raise MonosemError(
            f"{path} is damaged: {error}", "Copy it again, or make it again; `monosem verify` lists what is readable."
        ) from error


def array_shape(dataset: h5py.h5d.DatasetID, name: str, size: int) -> ArrayShape:
    """Return shape and dtype of an array in a file of `size` bytes, without reading values.

    Raises:
        ForeignPart: its values lie in other files.
        ValueError: it claims more values than its file can hold.
    """
    found = ArrayShape(dataset.shape, dataset.dtype)
    offset, most = dataset.get_offset(), size
    if offset is None:  # packed, empty, never written, or elsewhere
        created = dataset.get_create_plist()
        if created.get_external_count() or created.get_layout() == h5py.h5d.VIRTUAL:
            raise ForeignPart(f"{name} keeps its values in another file")
        packing = PACKED if created.get_layout() == h5py.h5d.CHUNKED else 1
        most = min(dataset.get_storage_size(), size) * packing
    claimed = math.prod(found.shape) * found.dtype.itemsize
    if claimed > most:
        raise ValueError(f"{name} claims {claimed:,} bytes, which the file cannot hold")
    return found


def _walk(
    group: h5py.h5g.GroupID, inside: str, size: int, seen: set[int], depth: int
) -> Iterator[tuple[str, ArrayShape]]:
    if not depth:
        raise ValueError("its groups are nested too deep")
    links: list[tuple[bytes, int, int]] = []
    group.links.iterate(lambda name, link: links.append((name, link.type, link.u)), info=True)
    for raw, kind, address in links:
        name = inside + raw.decode(errors="replace")
        if kind != h5py.h5l.TYPE_HARD:
            raise ForeignPart(f"{name} is a link")
        if address in seen:
            continue
        seen.add(address)
        item = h5py.h5o.open(group, raw)
        if isinstance(item, h5py.h5g.GroupID):
            yield from _walk(item, f"{name}/", size, seen, depth - 1)
        elif isinstance(item, h5py.h5d.DatasetID):
            yield name, array_shape(item, name, size)
