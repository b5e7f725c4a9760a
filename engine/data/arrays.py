"""Activations from a user's file: .npy, .h5 or .safetensors arrays of shape [n, d], read block by block.

A block is a number of consecutive rows that depends on n alone (`block_rows`). Blocks are visited in random order,
because an array may be sorted; every 20th is held out of training.

Shapes: N rows, D = d_in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engine.corpus.reading_order import HELD_OUT_EVERY, Split
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.files.hdf5_arrays import array_shape

BLOCK_ROWS = 1024
"""Most rows of a block: enough that a read is worth its seek."""
BLOCKS = 200
"""Blocks of a small array, of which ten are held out."""
CHECKED_BYTES = 1 << 24
"""Bytes read at once while a whole array is checked."""
SUFFIXES = (".npy", ".h5", ".hdf5", ".safetensors")
_SAFETENSORS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_HELP = "An array has shape [rows, width] and is float16, bfloat16, float32 or float64."

Span = tuple[int, int]
Read = Callable[[int, int], torch.Tensor]
"""Returns rows of a half-open range as [n, D]."""


@dataclass(frozen=True)
class Array:
    """A two-dimensional array in a file, not held in memory."""

    path: Path
    name: str
    """Name of the dataset or tensor; empty for .npy."""
    n: int
    d_in: int
    dtype: str
    """float16, bfloat16, float32 or float64."""
    chunk: int = 1
    """Rows of a chunk of the file, which can only be read whole."""

    @property
    def spec(self) -> str:
        """`FILE` or `FILE:NAME`, as `open_array` takes it."""
        return f"{self.path}:{self.name}" if self.name else str(self.path)

    def describe(self) -> str:
        """Describe in one line where it is and how large."""
        number = f"{self.n:,}".replace(",", " ")
        return f"{self.spec}: {number} activations of width {self.d_in}, {self.dtype}"

    @property
    def block_rows(self) -> int:
        """Rows of a block: 1 024, or a 200th of the array if that is less, but at least one."""
        return max(1, min(BLOCK_ROWS, self.n // BLOCKS))

    def blocks(self, split: Split) -> NDArray[np.int64]:
        """Return the blocks of a split by number: every 20th, starting with number 19, is held out.

        With fewer than 20 rows nothing is held out: `train` and `heldout` are both everything.
        """
        numbers = np.arange(-(-self.n // self.block_rows), dtype=np.int64)
        if split == "all" or not self.has_held_out:
            return numbers
        held_out = numbers % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
        return np.flatnonzero(held_out if split == "heldout" else ~held_out)

    @property
    def has_held_out(self) -> bool:
        """Whether there are enough rows to hold some out of training."""
        return self.n >= HELD_OUT_EVERY

    def span(self, block: int) -> Span:
        """Return the half-open row range of a block."""
        return block * self.block_rows, min((block + 1) * self.block_rows, self.n)

    def read(self, spans: Iterable[Span]) -> Iterator[torch.Tensor]:
        """Yield the rows of each range [n, D], in the file's dtype, or float32 for float64.

        Raises:
            MonosemError: the file has gone or is damaged.
        """
        with _opened(self.path) as file:
            rows = file.reader(self.name)
            for start, stop in spans:
                piece_ND = rows(start, stop)
                yield piece_ND.float() if piece_ND.dtype == torch.float64 else piece_ND

    def checked(self, spans: Sequence[Span]) -> Iterator[torch.Tensor]:
        """Yield the same as `read`, checking every value.

        Raises:
            MonosemError: a value is NaN or infinite (as float32).
        """
        for (start, _), piece_ND in zip(spans, self.read(spans), strict=True):
            finite_N = piece_ND.isfinite().all(1)
            if not finite_N.all():
                bad = start + int((~finite_N).nonzero()[0])
                raise MonosemError(f"row {bad} of {self.spec} holds NaN or infinite values", "Leave such rows out.")
            yield piece_ND

    def digest(self, progress: Progress) -> str:
        """Return SHA-256 over dtype, shape and all rows, reading and checking the whole array once.

        Raises:
            MonosemError: a value is NaN or infinite.
        """
        digest = hashlib.sha256(f"{self.dtype} {self.n} {self.d_in}".encode())
        rows = max(self.chunk, CHECKED_BYTES // (4 * self.d_in), 1)
        spans = [(start, min(start + rows, self.n)) for start in range(0, self.n, rows)]
        with progress.task("checking the array", self.n, "rows") as bar:
            for piece_ND in self.checked(spans):
                digest.update(piece_ND.contiguous().view(torch.uint8).numpy().data)
                bar.advance(len(piece_ND))
        return digest.hexdigest()


class ArrayBlocks:
    """The training rows of an array in endless repetition, with blocks in a new random order in each epoch."""

    def __init__(self, array: Array, rows: int, seed: int) -> None:
        """`rows` is the approximate number of rows to return at a time."""
        self._array = array
        self._seed = seed
        self._blocks = array.blocks("train")
        together = max(1, rows // array.block_rows)
        self._pools = -(-len(self._blocks) // together)
        """Parts of an epoch, equal to within a block."""
        self._epoch = 0
        self._pool = 0

    @property
    def d_in(self) -> int:
        """Width of the rows."""
        return self._array.d_in

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """Read the next part of the epoch, or the first of the next epoch."""
        order = shuffled(self._blocks, self._seed, self._epoch)
        first, last = (len(order) * number // self._pools for number in (self._pool, self._pool + 1))
        wanted: list[Span] = []
        for block in order[first:last]:
            start, stop = self._array.span(int(block))
            wanted.append((start, min(stop, start + rows)))
            rows -= wanted[-1][1] - start
            if rows == 0:
                break
        self._pool += 1
        if self._pool == self._pools:
            self._epoch, self._pool = self._epoch + 1, 0
        # The caller shuffles rows, so they are read in the order of the file.
        return list(self._array.read(sorted(wanted)))

    def position(self) -> dict[str, Any]:
        """Return the epoch and its next part."""
        return {"epoch": self._epoch, "pool": self._pool}

    def seek(self, position: dict[str, Any]) -> None:
        """Continue at a part of an epoch."""
        self._epoch, self._pool = int(position["epoch"]), int(position["pool"])


def shuffled(blocks: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the blocks in an order drawn from PCG64(SeedSequence([seed, epoch]))."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch]))).permutation(blocks)


def sample_spans(array: Array, split: Split, rows: int, seed: int) -> list[Span]:
    """Draw whole blocks of a split until they hold `rows` rows; return their ranges in file order."""
    spans: list[Span] = []
    for block in shuffled(array.blocks(split), seed, 0):
        if rows <= 0:
            break
        spans.append(array.span(int(block)))
        rows -= spans[-1][1] - spans[-1][0]
    return sorted(spans)


def split_spec(given: str) -> tuple[Path, str]:
    """Split `FILE.h5:dataset` into path and name; the name may be empty."""
    path, colon, name = given.rpartition(":")
    if colon and not Path(given).exists() and path.lower().endswith(SUFFIXES):
        return Path(path), name
    return Path(given), ""


def names_array(given: str) -> bool:
    """Return whether an `activations` setting names an array rather than a folder of shards."""
    path, _ = split_spec(given)
    return path.name.lower().endswith(SUFFIXES) and not path.is_dir()


def open_array(given: str) -> Array:
    """Open `FILE`, `FILE.h5:dataset` or `FILE.safetensors:tensor` without reading rows.

    Raises:
        MonosemError: there is no such file or dataset, it is damaged, or it is not an array of activations.
    """
    path, name = split_spec(given)
    if not path.is_file():
        raise MonosemError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    with _opened(path) as file:
        name = _chosen(path, name, file)
        shape, dtype = file.shapes[name], file.dtype(name)
        spec = f"{path}:{name}" if name else str(path)
        if len(shape) != 2:
            raise MonosemError(f"{spec} has shape {list(shape)}", _HELP)
        if dtype not in _SAFETENSORS.values():
            raise MonosemError(f"{spec} holds {dtype}", _HELP)
        if 0 in shape:
            raise MonosemError(f"{spec} is empty: its shape is {list(shape)}", _HELP)
        return Array(path, name, shape[0], shape[1], dtype, file.chunk(name))


def _chosen(path: Path, name: str, file: _File) -> str:
    """Return the named dataset, or else the only two-dimensional one."""
    if name:
        found = name.strip("/")
        if found not in file.shapes:
            raise MonosemError(f"{path} has no {name}", f"It has {_listed(file.shapes)}.")
        return found
    if "" in file.shapes:
        return ""
    wide = [one for one, shape in file.shapes.items() if len(shape) == 2]
    if len(wide) == 1:
        return wide[0]
    if not wide:
        raise MonosemError(f"{path} holds no two-dimensional array: it has {_listed(file.shapes)}", _HELP)
    listed = _listed({one: file.shapes[one] for one in wide})
    raise MonosemError(f"{path} holds {len(wide)} arrays: {listed}", f"Say which: {path}:{wide[0]}")


def _listed(shapes: dict[str, tuple[int, ...]], most: int = 8) -> str:
    named = [f"{name} {list(shape)}" for name, shape in shapes.items()]
    if len(named) > most:
        named[most:] = [f"{len(named) - most} more"]
    return ", ".join(named) or "nothing"


@dataclass(frozen=True)
class _File:
    """An open file with its arrays by name; a single nameless array is called ""."""

    shapes: dict[str, tuple[int, ...]]
    """Shapes by name; a single nameless array is called ""."""
    dtype: Callable[[str], str]
    reader: Callable[[str], Read]
    chunk: Callable[[str], int] = lambda _: 1


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    kind = path.suffix.lower()
    try:
        if kind == ".npy":
            yield _npy(_mapped(path))
        elif kind == ".safetensors":
            with safe_open(path, framework="pt") as tensors:
                yield _safetensors(tensors)
        else:
            with h5py.File(path, "r", locking=False) as file:
                yield _hdf5(file)
    except (OSError, ValueError, EOFError, RuntimeError, OverflowError, BadZipFile, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise MonosemError(
            f"cannot read {path}: {reason}", "It may be truncated, pickled or of another format: write it again."
        ) from error


def _mapped(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (TypeError, SyntaxError, RecursionError, TokenError) as error:  # numpy reads the header as Python
        raise ValueError(f"its header is damaged: {error}") from error


def _npy(array: Any) -> _File:
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of several arrays")
    return _File({"": array.shape}, lambda _: _dtype_name(array.dtype), lambda _: _numpy_reader(array))


def _hdf5(file: h5py.File) -> _File:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            shapes[name] = item.shape

    def found(name: str) -> h5py.Dataset:
        array_shape(file[name].id, name, file.id.get_filesize())  # HDF5 would read any file that we may read
        return file[name]

    file.visititems(note)

    def dtype(name: str) -> str:
        # NumPy has no bfloat16: monosem's own shards store its bits as uint16, with an attribute.
        array = found(name)
        named = array.attrs.get("dtype", file.attrs.get("dtype")) if array.dtype == np.uint16 else None
        return "bfloat16" if named == "bfloat16" else _dtype_name(array.dtype)

    return _File(
        shapes,
        dtype,
        lambda name: _numpy_reader(found(name), dtype(name)),
        lambda name: (found(name).chunks or (1,))[0],
    )


def _safetensors(tensors: Any) -> _File:
    slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - it is not a dict
    return _File(
        {name: tuple(one.get_shape()) for name, one in slices.items()},
        lambda name: _SAFETENSORS.get(slices[name].get_dtype(), slices[name].get_dtype()),
        lambda name: lambda start, stop: slices[name][start:stop],
    )


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name. NumPy saves other libraries' bfloat16 (ml_dtypes) as two opaque bytes."""
    return "bfloat16" if dtype == np.dtype("V2") else dtype.newbyteorder("=").name


def _numpy_reader(array: Any, dtype: str | None = None) -> Read:
    name = dtype or _dtype_name(array.dtype)

    def rows(start: int, stop: int) -> torch.Tensor:
        piece = np.array(array[start:stop], order="C")
        if name == "bfloat16":
            return torch.from_numpy(piece.view(np.uint16)).view(torch.bfloat16)
        return torch.from_numpy(piece.astype(name, copy=False))

    return rows
