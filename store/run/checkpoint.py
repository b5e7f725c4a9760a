"""checkpoints/step-N.h5: named arrays and a JSON state.

Trainings that share one pass write checkpoints for the same step, and remove earlier ones only after all are written:
there is always a step that all of them can resume from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ANY, SAE_RULES, ArrayShape, check_shapes
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, open_sealed, put, seal_holds
from store.files.typed_json import decode, parse

_NAME = re.compile(r"step-(\d+)\.h5")


@dataclass(frozen=True)
class Checkpoint:
    """The state that a training needs to resume exactly where it was."""

    step: int
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Weights, optimizer moments, counters, random states, activations carried over."""
    state: dict[str, Any] = field(default_factory=dict)
    """Position in the data and schedules, as JSON values."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write step-N.h5 and return its path; earlier ones stay (see `forget_others`)."""
    path = folder / f"step-{checkpoint.step}.h5"
    with create_sealed(path, "checkpoint") as file:
        file.attrs["step"] = checkpoint.step
        put(file, "state", np.frombuffer(json.dumps(checkpoint.state).encode(), np.uint8))
        arrays = file.create_group("arrays")
        for name, values in checkpoint.arrays.items():
            put(arrays, name, np.atleast_1d(values)).attrs["scalar"] = np.ndim(values) == 0
    return path


def forget_others(path: Path) -> None:
    """Remove every other checkpoint in the folder."""
    for other in path.parent.glob("step-*.h5"):
        if other != path:
            other.unlink()


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return every step-N.h5 by its step, in order of steps."""
    found = {int(match[1]): path for path in folder.glob("step-*.h5") if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the step-N.h5 of the highest step, or None."""
    return next(reversed(checkpoints(folder).values()), None)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Raises:
        MonosemError: it is truncated or damaged.
    """
    if not seal_holds(path):
        raise MonosemError(f"{path} is damaged", "Remove it and start the training again.")
    with open_sealed(path, "checkpoint") as file, reading(path):
        arrays = {
            name: dataset[()].reshape(()) if dataset.attrs.get("scalar") else dataset[()]
            for name, dataset in file["arrays"].items()
        }
        return Checkpoint(int(file.attrs["step"]), arrays, json.loads(file["state"][()].tobytes()))


def check_checkpoint(path: Path, block: int) -> None:
    """Check what a checkpoint's arrays and state can be: dtypes, shapes that belong together, finite weights.

    Args:
        path: the file, whose bytes are what was sealed.
        block: rows read at once.

    Raises:
        MonosemError: it is damaged or senseless.
    """
    file, found = open_described(path, "checkpoint")
    with file, reading(path):
        if _NAME.fullmatch(path.name) and path != path.with_name(f"step-{file.attrs['step']}.h5"):
            raise ValueError(f"it is of step {file.attrs['step']}")
        decode(dict[str, Any], parse(file["state"][()].tobytes()))
        arrays = {name.removeprefix("arrays/"): one for name, one in found.items() if name != "state"}
        check_shapes({name.removeprefix("sae."): one for name, one in arrays.items()}, SAE_RULES)
        for name, shape in arrays.items():
            _check_array(name, shape, arrays)
            for start in range(0, len(values := file["arrays"][name]), block):
                if name.startswith(("sae.", "network.")) and (problem := ANY.problem(values[start : start + block])):
                    raise ValueError(f"{name}: {problem}")


def _check_array(name: str, found: ArrayShape, arrays: dict[str, ArrayShape]) -> None:
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} is {found.dtype}, not numbers")
    if of := re.fullmatch(r"adam\.exp_avg(?:_sq)?\.(.+)", name):
        parameter = arrays.get(f"sae.{of[1]}") or arrays.get(f"network.{of[1]}")
        if parameter is None or parameter.shape != found.shape:
            raise ValueError(f"{name} belongs to no weights of its shape")
