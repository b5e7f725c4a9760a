"""Sealed HDF5 files: complete or absent, self-describing, and able to prove that no byte has changed.

The first 512 bytes (HDF5's user block) are the seal: one ASCII line with the kind of file, the schema version, the
length and the SHA-256 of everything after it. Each dataset also carries its own SHA-256, so damage can be named.

The seal is not a signature: a forger can write one. So a file is believed only as far as `hdf5_arrays` and
`array_rules` have checked it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayShape
from store.files.atomic import atomic_path
from store.files.errors import MonosemError, disk_errors
from store.files.hdf5_arrays import array_shape, array_shapes, reading
from store.files.regular_file import read_stream
from store.files.schema import SCHEMA_VERSION, check_version

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SEAL_BYTES = 512
_SEAL = re.compile(rb"monosem ([a-z]+) schema (\d+) bytes (\d+) sha256 ([0-9a-f]{64})\n\0*\Z")
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Seal:
    """The line at the head of a sealed file."""

    kind: str
    schema_version: int
    n_bytes: int
    sha256: str


class _Disk(io.FileIO):
    """The file that HDF5 writes to: keeps the first error and drops every write after it.

    HDF5 cannot close a file that it could not write, and prints a traceback for each of its parts until the process
    ends. So it is never shown a full disk; the opener calls `check`.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it; nothing once there was an error."""
        rest = memoryview(data).cast("B")
        n_bytes = len(rest)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return n_bytes

    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file; nothing once there was an error."""
        try:
            return super().truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0

    def check(self) -> None:
        """Raise the first error."""
        if self.error is not None:
            raise self.error


@contextmanager
def create_sealed(path: Path, kind: str, version: int = SCHEMA_VERSION) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that becomes `path`, sealed, when the block ends well, and vanishes otherwise.

    `version` is the schema version that a reader needs.

    Raises:
        MonosemError: the disk is full, or it cannot be written there.
    """
    with atomic_path(path) as temporary:
        with _Disk(temporary, "w+") as disk:
            try:
                with h5py.File(disk, "w", userblock_size=SEAL_BYTES) as file:
                    file.attrs["kind"] = kind
                    file.attrs["schema_version"] = version
                    yield file
                    disk.check()
                    _digest_datasets(file)
            finally:
                disk.check()  # a full disk is the cause of whatever else went wrong
        _write_seal(temporary, kind, version)


def read_seal(path: Path) -> Seal:
    """Read the seal of `path`.

    Raises:
        MonosemError: the file is missing, truncated, not monosem's, of a newer schema, or a link out of its folder.
    """
    try:
        with read_stream(path) as stream:
            head = stream.read(SEAL_BYTES)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise MonosemError(f"{path} does not exist") from None
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error
    found = _SEAL.match(head) if len(head) == SEAL_BYTES else None
    if found is None:
        raise MonosemError(f"{path} is not a monosem file, or its head is damaged")
    seal = Seal(found[1].decode(), int(found[2]), int(found[3]), found[4].decode())
    check_version(seal.schema_version, path)
    if size != seal.n_bytes:
        raise MonosemError(f"{path} is truncated: {size} of {seal.n_bytes} bytes", "Copy it again, or make it again.")
    return seal


def open_sealed(path: Path, kind: str) -> h5py.File:
    """Open a sealed file for reading, as `open_described` does."""
    return open_described(path, kind)[0]


def open_described(path: Path, kind: str) -> tuple[h5py.File, dict[str, ArrayShape]]:
    """Open a sealed file for reading, and return it with the shapes of its arrays by name.

    Length and kind are checked, and that all its arrays lie in it; its digests are not (see `store.verify`).

    Raises:
        MonosemError: as `read_seal` does, or the file is of another kind, damaged, or refers to other files.
    """
    seal = read_seal(path)
    if seal.kind != kind:
        raise MonosemError(f"{path} is a monosem {seal.kind} file, not a {kind} file")
    with reading(path):
        # The file never changes once it is sealed, and locks do not work on many network file systems.
        file = h5py.File(path, "r", locking=False)
    try:
        return file, array_shapes(file, path)
    except BaseException:
        file.close()
        raise


def seal_holds(path: Path) -> bool:
    """Return whether every byte after the head is what was sealed. Reads the whole file."""
    return read_seal(path).sha256 == _digest_file(path)


def dataset_states(file: h5py.File) -> Iterator[tuple[str, bool]]:
    """Yield the name of each dataset and whether its content still matches its digest. Reads the whole file.

    HDF5 may crash in a damaged file: see `store.verify.damage_probe`.
    """
    size = file.id.get_filesize()
    for name, dataset in _datasets(file):
        try:
            array_shape(dataset.id, name, size)
            whole = bool(dataset.attrs["sha256"] == _digest_dataset(dataset))
        except (MonosemError, OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError):
            whole = False
        yield name, whole


def put(group: h5py.Group, name: str, values: NDArray[Any], *, packed: bool = False) -> h5py.Dataset:
    """Write an array: contiguous for random reads, or compressed (`packed`) where it is always read whole."""
    if packed and values.size:
        return group.create_dataset(name, data=values, compression="gzip", compression_opts=4, shuffle=True)
    return group.create_dataset(name, data=values)


def _write_seal(path: Path, kind: str, version: int) -> None:
    digest, n_bytes = _digest_file(path), path.stat().st_size
    line = f"monosem {kind} schema {version} bytes {n_bytes} sha256 {digest}\n".encode()
    with disk_errors(path), path.open("r+b") as stream:
        stream.write(line.ljust(SEAL_BYTES, b"\0"))


def _digest_file(path: Path) -> str:
    with read_stream(path) as stream:
        stream.seek(SEAL_BYTES)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []

    def collect(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item))

    file.visititems(collect)
    return found


def _digest_dataset(dataset: h5py.Dataset) -> str:
    digest = hashlib.sha256(f"{dataset.dtype.str}{dataset.shape}".encode())
    if dataset.size:
        rows = max(1, _CHUNK // max(1, dataset.nbytes // dataset.shape[0]))
        for start in range(0, dataset.shape[0], rows):
            digest.update(np.ascontiguousarray(dataset[start : start + rows]).tobytes())
    return digest.hexdigest()


def _digest_datasets(file: h5py.File) -> None:
    file.flush()
    for _, dataset in _datasets(file):
        dataset.attrs["sha256"] = _digest_dataset(dataset)
