"""ordinary.h5: the limits by which a training tells outliers from ordinary tokens (engine.data.ordinary_tokens)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule, check_shapes
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, put

_RULES = {"centre": ArrayRule("f4", "D"), "weight": ArrayRule("f4", "D", low=0)}


def save_limits(path: Path, limits_2D: NDArray[np.float32]) -> None:
    """Write centre and weight of each dimension, all or nothing."""
    with create_sealed(path, "ordinary") as file:
        for name, values in zip(_RULES, limits_2D, strict=True):
            put(file, name, values)


def load_limits(path: Path, width: int) -> NDArray[np.float32] | None:
    """Read the file of `save_limits`, `width` dimensions; None where there is no such file, as in older runs.

    Raises:
        MonosemError: it is damaged, of another width or of a newer schema.
    """
    if not path.is_file():
        return None
    file, found = open_described(path, "ordinary")
    with file, reading(path):
        check_shapes(found, _RULES, {"D": width})
        limits_2D = np.stack([file[name][()] for name in _RULES])
        if not np.isfinite(limits_2D).all():
            raise ValueError("it holds values that are not finite")
        return limits_2D
