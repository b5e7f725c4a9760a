"""ordinary.h5: the limits by which a training tells outliers from ordinary tokens (engine.data.ordinary_tokens)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule, ValueRange, check_shapes
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, put

_RULES = {"centre": ArrayRule("f4", "D"), "weight": ArrayRule("f4", "D", low=0)}


def save_limits(path: Path, limits_2D: NDArray[np.float32]) -> None:
    """Write centre and weight of each dimension, all or nothing."""
    with create_sealed(path, "ordinary") as file:
        for name, values in zip(_RULES, limits_2D, strict=True):
            put(file, name, values)


def load_limits(path: Path, width: int | None = None) -> NDArray[np.float32] | None:
    """Read the file of `save_limits`; None where there is no such file, as in older runs.

    Args:
        path: the file.
        width: dimensions that it must have; None for any number of them.

    Raises:
        MonosemError: it is damaged or senseless, of another width or of a newer schema.
    """
    if not path.is_file():
        return None
    file, found = open_described(path, "ordinary")
    with file, reading(path):
        lengths = check_shapes(found, _RULES, None if width is None else {"D": width})
        return np.stack([ValueRange.of(name, rule, lengths).checked(file[name][()]) for name, rule in _RULES.items()])
