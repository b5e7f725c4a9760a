"""sae.h5: the weights of a sparse autoencoder in float32, with their `SaeSpec`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import SAE_RULES, check_shapes
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.regular_file import read_stream
from store.files.sealed_hdf5 import create_sealed, open_described, put
from store.run.spec import SaeSpec


@dataclass(frozen=True)
class SaeWeights:
    """Tensors by their names in the field: W_enc [d_in, d_sae], b_enc [d_sae], W_dec [d_sae, d_in], b_dec [d_in], …"""

    spec: SaeSpec
    tensors: dict[str, NDArray[np.float32]]

    def write(self, group: h5py.Group) -> None:
        """Write into a group of an open file."""
        group.attrs["spec"] = self.spec.to_json()
        for name, values in sorted(self.tensors.items()):
            put(group, name, np.ascontiguousarray(values, np.float32))

    @classmethod
    def read(cls, group: h5py.Group) -> SaeWeights:
        """Read a group that `write` filled; ValueError where it was not."""
        tensors = {name: item[()] for name, item in group.items() if isinstance(item, h5py.Dataset)}
        for name, values in tensors.items():
            if values.dtype != np.float32:
                raise ValueError(f"{name} holds {values.dtype}, not float32")
        return cls(SaeSpec.from_json(group.attrs["spec"]), tensors)


def save_sae(path: Path, weights: SaeWeights) -> None:
    """Write sae.h5, all or nothing."""
    with create_sealed(path, "sae") as file:
        weights.write(file)


def load_sae(path: Path) -> SaeWeights:
    """Read sae.h5.

    Raises:
        MonosemError: it is missing, damaged or of a newer schema.
    """
    file, found = open_described(path, "sae")
    with file, reading(path):
        weights = SaeWeights.read(file)
        weights.spec.check_lengths(check_shapes(found, SAE_RULES))
        return weights


def sae_digest(path: Path) -> str:
    """Return the SHA-256 of a sae.h5, which indexes and recipes name it by. Reads all of it.

    Raises:
        MonosemError: it cannot be read.
    """
    try:
        with read_stream(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror or error}") from error
