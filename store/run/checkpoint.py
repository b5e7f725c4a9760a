"""checkpoints/step-N.h5: named arrays and a JSON state.

Trainings that share one pass write checkpoints for the same step, and remove earlier ones only after all are written:
there is always a step that all of them can resume from.

Processes that each train a part of the features write a file each: all but the first one step-N.part-I.h5, and the
first one step-N.h5 once those are there. Any number of processes reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ANY, SAE_RULES, ArrayShape, check_shapes
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described, open_sealed, put, seal_holds
from store.files.typed_json import decode, parse

_NAME = re.compile(r"step-(\d+)\.h5")


@dataclass(frozen=True)
class Part:
    """One of the processes that each have every `number`-th feature, beginning with the `index`-th."""

    index: int = 0
    number: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class Checkpoint:
    """The state that a training needs to resume exactly where it was."""

    step: int
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Weights, optimizer moments, counters, random states, activations carried over."""
    state: dict[str, Any] = field(default_factory=dict)
    """Position in the data and schedules, as JSON values."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint, part: Part = WHOLE) -> Path:
    """Write step-N.h5, or a part of it, and return its path; earlier ones stay (see `forget_others`)."""
    path = _path(folder, checkpoint.step, part.index)
    with create_sealed(path, "checkpoint") as file:
        file.attrs["step"] = checkpoint.step
        file.attrs["parts"] = part.number
        put(file, "state", np.frombuffer(json.dumps(checkpoint.state).encode(), np.uint8))
        arrays = file.create_group("arrays")
        for name, values in checkpoint.arrays.items():
            put(arrays, name, np.atleast_1d(values)).attrs["scalar"] = np.ndim(values) == 0
    return path


def _path(folder: Path, step: int, part: int) -> Path:
    return folder / (f"step-{step}.part-{part}.h5" if part else f"step-{step}.h5")


def forget_others(path: Path) -> None:
    """Remove every other checkpoint in the folder: first those files without which parts are nothing."""
    others = [other for other in path.parent.glob("step-*.h5") if other.name.split(".")[0] != path.stem]
    for other in sorted(others, key=lambda other: (".part-" in other.name, other.name)):
        other.unlink()


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return every step-N.h5 by its step, in order of steps."""
    found = {int(match[1]): path for path in folder.glob("step-*.h5") if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the step-N.h5 of the highest step, or None."""
    return next(reversed(checkpoints(folder).values()), None)


def load_checkpoint(
    path: Path,
    part: Part = WHOLE,
    axes: Mapping[str, int] = MappingProxyType({}),
    names: Container[str] | None = None,
) -> Checkpoint:
    """Read a checkpoint, whatever the number of parts it was written in, and check every byte of it.

    Args:
        path: step-N.h5.
        part: the features that are wanted.
        axes: the axis of features of those arrays that have one.
        names: arrays that are wanted; None for all.

    Raises:
        MonosemError: it is truncated or damaged, or a part is missing.
    """
    with ExitStack() as opened:
        first = _opened(path, opened)
        step = int(first.attrs["step"])
        others = range(1, int(first.attrs.get("parts", 1)))
        files = [first, *(_opened(_path(path.parent, step, index), opened) for index in others)]
        opened.enter_context(reading(path))
        arrays = {}
        for name, dataset in first["arrays"].items():
            if names is not None and name not in names:
                continue
            if name in axes:
                arrays[name] = _dealt([file["arrays"][name] for file in files], axes[name], part)
            else:
                arrays[name] = dataset[()].reshape(()) if dataset.attrs.get("scalar") else dataset[()]
        return Checkpoint(step, arrays, json.loads(first["state"][()].tobytes()))


def _opened(path: Path, opened: ExitStack) -> h5py.File:
    if not path.is_file() or not seal_holds(path):
        raise MonosemError(f"{path} is damaged or missing", "Remove its checkpoint and start the training again.")
    return opened.enter_context(open_sealed(path, "checkpoint"))


def _dealt(parts: Sequence[h5py.Dataset], axis: int, wanted: Part) -> NDArray[Any]:
    """Return the wanted features of an array that was written in parts, read one after another."""
    if wanted.number == len(parts):
        found: NDArray[Any] = parts[wanted.index][()]
        return found
    shape = [*parts[0].shape]
    features = np.arange(wanted.index, sum(part.shape[axis] for part in parts), wanted.number)
    shape[axis] = len(features)
    found = np.empty(shape, parts[0].dtype)
    at_front = np.moveaxis(found, axis, 0)
    for index, part in enumerate(parts):
        here = features % len(parts) == index
        at_front[here] = np.moveaxis(part[()], axis, 0)[features[here] // len(parts)]
    return found


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
