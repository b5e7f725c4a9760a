"""neurons.h5: the activation of every neuron of one MLP on every token of an index, complete or absent.

Neurons are dense and signed, so they have no postings. They are stored neuron by neuron as float16 times a power of two
per neuron, in an order-preserving code: a 16-bit *key* that rises with the number, so that thresholds are compared and
ties counted without decoding.

Shapes: N tokens of the index, D neurons, d of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule, Rules, ValueRange, check_shapes
from store.files.errors import MonosemError, disk_errors
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, put
from store.run.feature_source import baseline_folder
from store.run.folder import RunFolder

KIND = "neurons"
SIGN = np.uint16(0x8000)
MAX_ACT = float(np.finfo(np.float16).max)
_RULES: Rules = {
    "keys": ArrayRule("u2", "D N", low=0x0400, end=str(0xFC00)),  # finite numbers
    "unit": ArrayRule("f4", "D"),
}
Keys = NDArray[np.uint16]


def keys_of(act: NDArray[np.float16]) -> Keys:
    """Return the keys of numbers: they rise with the number; both zeros are one."""
    bits = (act + np.float16(0)).view(np.uint16)  # -0 + 0 is 0
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def numbers_of(keys: Keys) -> NDArray[np.float16]:
    """Return the numbers that keys stand for."""
    return np.where(keys & SIGN, keys & ~SIGN, ~keys).astype(np.uint16).view(np.float16)


def neuron_path(run: RunFolder) -> Path:
    """Return the path of a run's neurons.

    Raises:
        MonosemError: the folder is a link.
    """
    return baseline_folder(run, "neurons") / "neurons.h5"


class NeuronWriter:
    """Takes the activations of consecutive tokens."""

    def __init__(self, dataset: h5py.Dataset, unit_D: NDArray[np.float32]) -> None:
        self._dataset, self._unit_D, self._at = dataset, unit_D, 0
        self.clipped = 0
        """Activations beyond what is stored, which have become the largest that is."""

    def add(self, acts_ND: NDArray[np.float32]) -> None:
        """Write the next tokens' activations."""
        scaled_ND = acts_ND / self._unit_D
        self.clipped += int((np.abs(scaled_ND) > MAX_ACT).sum())
        numbers_ND = np.clip(scaled_ND, -MAX_ACT, MAX_ACT).astype(np.float16)
        end = self._at + len(acts_ND)
        self._dataset[:, self._at : end] = np.ascontiguousarray(keys_of(numbers_ND).T)
        self._at = end


@contextmanager
def create_neurons(
    path: Path, index_digest: str, layer: int, unit_D: NDArray[np.float32], n_tokens: int
) -> Iterator[NeuronWriter]:
    """Yield a writer of a new neurons.h5, which appears when the block ends well.

    Args:
        path: the file.
        index_digest: seal of the features.h5 whose tokens are read.
        layer: the MLP's layer.
        unit_D: powers of two that stored numbers are multiplied by.
        n_tokens: tokens of the index.

    Raises:
        MonosemError: the disk is full, or it cannot be written there.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with create_sealed(path, KIND) as file:
        file.attrs["index_digest"], file.attrs["layer"] = index_digest, layer
        put(file, "unit", unit_D)
        yield NeuronWriter(file.create_dataset("keys", (len(unit_D), n_tokens), np.uint16), unit_D)


def neurons_of(path: Path) -> str:
    """Return the seal of the index that a file of neurons belongs to.

    Raises:
        MonosemError: the file is missing or damaged, or of a newer schema.
    """
    with NeuronActs.open(path) as found:
        return found.index_digest


class NeuronActs:
    """The activations of an MLP's neurons on an index's tokens; close it, or use it in a `with` block."""

    def __init__(self, path: Path, file: h5py.File, lengths: dict[str, int]) -> None:
        self.path, self._file = path, file
        self.n_neurons, self.n_tokens = lengths["D"], lengths["N"]
        self.index_digest, self.layer = str(file.attrs["index_digest"]), int(file.attrs["layer"])
        self._possible = ValueRange.of("keys", _RULES["keys"], lengths)
        self.unit_D: NDArray[np.float32] = file["unit"][()]
        if not (np.isfinite(self.unit_D) & (self.unit_D > 0)).all():
            raise ValueError("unit holds no positive, finite number")

    @classmethod
    def open(cls, path: Path) -> NeuronActs:
        """Open a file of neurons.

        Raises:
            MonosemError: it is missing, damaged or of a newer schema.
        """
        file, found = open_described(path, KIND)
        try:
            with reading(path):
                return cls(path, file, check_shapes(found, _RULES))
        except MonosemError:
            file.close()
            raise

    def __enter__(self) -> NeuronActs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def keys(self, start: int, stop: int) -> Keys:
        """Read the keys of neurons start … stop-1 [d, N]."""
        with reading(self.path):
            found: Any = self._file["keys"][start:stop]
            return self._possible.checked(np.asarray(found))

    def acts(self, start: int, stop: int) -> NDArray[np.float32]:
        """Read the activations of neurons start … stop-1 [d, N]."""
        return self.decoded(self.keys(start, stop), slice(start, stop))

    def decoded(self, keys: Keys, neurons: slice) -> NDArray[np.float32]:
        """Return the activations that keys of some neurons [d, …] stand for."""
        return numbers_of(keys).astype(np.float32) * self.unit_D[neurons, None]

    def blocks(self, n_bytes: int) -> Iterator[slice]:
        """Yield ranges of neurons whose activations take at most `n_bytes` in float32, and at least one neuron."""
        step = max(1, n_bytes // (4 * max(1, self.n_tokens)))
        for start in range(0, self.n_neurons, step):
            yield slice(start, min(start + step, self.n_neurons))
