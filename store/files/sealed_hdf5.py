"""Sealed HDF5 files: complete or absent, self-describing, and able to prove that no byte has changed.

The first 512 bytes (HDF5's user block) are ours: one ASCII line with the kind of file, the schema version, the length
and a SHA-256 of everything behind it. Each dataset also carries its own SHA-256, so damage can be named.
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

from store.files.atomic import atomic_path
from store.files.errors import MonosemError, disk_errors
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
    """What HDF5 writes through: the first error is kept, and what comes after it goes nowhere.

    HDF5 cannot close a file that it could not write, and prints a traceback for each of its parts until the process
    ends. So it never meets a full disk; who opened the file asks for the error.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """All of it, or from the first error on nothing."""
        rest = memoryview(data).cast("B")
        n_bytes = len(rest)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return n_bytes

    def truncate(self, size: int | None = None, /) -> int:
        """Like `write`."""
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
def create_sealed(path: Path, kind: str) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that becomes `path`, sealed, when the block ends well, and vanishes otherwise."""
    with atomic_path(path) as temporary:
        with _Disk(temporary, "w+") as disk:
            try:
                with h5py.File(disk, "w", userblock_size=SEAL_BYTES) as file:
                    file.attrs["kind"] = kind
                    file.attrs["schema_version"] = SCHEMA_VERSION
                    yield file
                    disk.check()
                    _digest_datasets(file)
            finally:
                disk.check()  # whatever else went wrong came of it
        _write_seal(temporary, kind)


def read_seal(path: Path) -> Seal:
    """Read the head of `path`.

    Raises:
        MonosemError: the file is missing, empty, truncated, not ours, or of a newer schema.
    """
    try:
        with path.open("rb") as stream:
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
    """Open a sealed file for reading; its length and kind are checked, its digests are not (see `verify`)."""
    seal = read_seal(path)
    if seal.kind != kind:
        raise MonosemError(f"{path} is a monosem {seal.kind} file, not a {kind} file")
    try:
        # The file never changes once it is sealed, and locks do not work on many network file systems.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise MonosemError(f"{path} is damaged: {error}", "Copy it again, or rebuild it.") from error


def seal_holds(path: Path) -> bool:
    """Whether every byte behind the head is what was sealed. Reads the whole file."""
    return read_seal(path).sha256 == _digest_file(path)


def dataset_states(file: h5py.File) -> Iterator[tuple[str, bool]]:
    """Whether the content of each dataset still matches its digest. Reads the whole file.

    In a damaged file it may crash: see `store.verify.damage_probe`.
    """
    size = os.fstat(file.id.get_vfd_handle()).st_size
    for name, dataset in _datasets(file):
        try:
            # A damaged shape may claim more than all memory; gzip packs no tighter than 1 032 to 1.
            fits = dataset.nbytes <= size * (1 if dataset.chunks is None else 1032)
            whole = bool(fits and dataset.attrs["sha256"] == _digest_dataset(dataset))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError):
            whole = False
        yield name, whole


def put(group: h5py.Group, name: str, values: NDArray[Any], *, packed: bool = False) -> h5py.Dataset:
    """Write an array: contiguous where it is read at random, gzip (`packed`) where it is always read whole."""
    if packed and values.size:
        return group.create_dataset(name, data=values, compression="gzip", compression_opts=4, shuffle=True)
    return group.create_dataset(name, data=values)


def mapped(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """Memory-map a contiguous dataset of a sealed file, read-only."""
    offset = dataset.id.get_offset()
    if offset is None:
        return np.empty(dataset.shape, dataset.dtype)
    return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape)


def _write_seal(path: Path, kind: str) -> None:
    digest, n_bytes = _digest_file(path), path.stat().st_size
    line = f"monosem {kind} schema {SCHEMA_VERSION} bytes {n_bytes} sha256 {digest}\n".encode()
    with disk_errors(path), path.open("r+b") as stream:
        stream.write(line.ljust(SEAL_BYTES, b"\0"))


def _digest_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(SEAL_BYTES)
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


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
