"""Read files of unknown origin: their code never runs, and faults become one-line errors."""

from __future__ import annotations

import math
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.runtime.hub import one_line
from store.files.errors import MonosemError
from store.files.hdf5_arrays import PACKED
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, Positive, decode, parse

AGAIN = "Fetch or copy it again."


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        MonosemError: the file cannot be read or is not a JSON object.
    """
    try:
        value = parse(read_whole(path, follow=True))
    except JsonError as error:
        raise MonosemError(f"{path} cannot be read: {error}", AGAIN) from None
    if not isinstance(value, dict):
        raise MonosemError(f"{path} is not a JSON object", AGAIN)
    return value


def is_object_with(path: Path, *keys: str) -> bool:
    """Return whether a file is a JSON object with these keys."""
    if not path.is_file():
        return False
    try:
        value = read_object(path)
    except MonosemError:
        return False
    return all(key in value for key in keys)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file.

    Raises:
        MonosemError: it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise MonosemError(f"{path} is damaged or cannot be read: {one_line(error)}", AGAIN) from None


def read_npz(path: Path) -> dict[str, Tensor]:
    """Read all arrays of an .npz file; pickled ones are refused.

    Raises:
        MonosemError: it is missing, damaged, or holds other objects than arrays of numbers.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            for member in packed.infolist():
                _check_member(packed, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, TypeError, AttributeError) as error:
        raise MonosemError(f"{path} is damaged or holds more than arrays: {one_line(error)}", AGAIN) from None


def _check_member(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check that an array in an archive claims no more bytes than the archive can hold.

    Raises:
        ValueError: it does, or is not an array.
    """
    with packed.open(member) as stream:
        shape, dtype = npy_header(stream)
        claimed = math.prod(shape) * dtype.itemsize
        if claimed > member.file_size - stream.tell() or member.file_size > member.compress_size * PACKED:
            raise ValueError(f"{member.filename} claims {claimed:,} bytes, which the file cannot hold")


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array in NumPy's format, whose contents come next in the stream.

    Raises:
        ValueError, KeyError: it is not such an array, or of an unknown version of the format.
    """
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(stream)]
    shape, _, dtype = read(stream)
    return shape, dtype


def read_torch(path: Path) -> dict[str, Any]:
    """Read a dictionary saved by torch.save: tensors and plain values; other objects are refused unread.

    Raises:
        MonosemError: it is missing, damaged, or a pickle that would run code.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickle protocols
            value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise MonosemError(
                f"{path} is a pickle that holds more than tensors; monosem never runs code from a file",
                "If you trust it, load it and save its state_dict() alone.",
            ) from None
        raise MonosemError(f"{path} is damaged: {one_line(error)}", AGAIN) from None
    except Exception as error:  # torch raises almost anything for truncated files
        raise MonosemError(f"{path} is damaged or cut off: {one_line(error)}", AGAIN) from None
    for name, one in value.items() if isinstance(value, Mapping) else ():
        if isinstance(one, Tensor) and not _is_stored(one):
            raise MonosemError(f"{path} is damaged: {name} claims more values than it holds", AGAIN)
    if not isinstance(value, Mapping):
        raise MonosemError(f"{path} holds a {type(value).__name__}, not a state_dict", "Save its state_dict() alone.")
    return dict(value)


def _is_stored(tensor: Tensor) -> bool:
    """Return whether all values of a tensor are in memory: views may repeat one, and sparse tensors leave them out."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def need(tensors: Mapping[str, Any], names: Sequence[str], path: Path) -> None:
    """Refuse a file without these tensors.

    Raises:
        MonosemError: one is missing or not a tensor.
    """
    missing = [name for name in names if not isinstance(tensors.get(name), Tensor)]
    if missing:
        there = ", ".join(sorted(tensors)[:8]) or "nothing"
        raise MonosemError(f"{path} lacks {', '.join(missing)}", f"It has {there}.")


def skip_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a transcoder's non-zero skip connection, if any; sparsify and SAELens use the same name."""
    return {name: tensors[name] for name in ("W_skip",) if name in tensors and bool(tensors[name].any())}


def sound(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Check an autoencoder's tensors, by our names, and return them in float32.

    Raises:
        MonosemError: shapes do not agree, or a value is NaN, infinite or not a floating-point number.
    """
    encoder = tensors["W_enc"]
    if encoder.ndim != 2:
        raise MonosemError(f"{path}: the encoder is {list(encoder.shape)}, not a matrix")
    (d, f), o = encoder.shape, tensors["b_dec"].shape[-1] if tensors["b_dec"].ndim else 0
    wanted = {"W_dec": (f, o), "b_dec": (o,), "b_enc": (f,), "r_mag": (f,), "b_mag": (f,), "W_skip": (o, d)}
    found = {}
    for name, tensor in tensors.items():
        shape = tuple(tensor.shape)
        fits = shape in ((f,), (1,)) if name == "threshold" else shape == wanted.get(name, shape)
        if not fits:
            expected = (f,) if name == "threshold" else wanted[name]
            raise MonosemError(
                f"{path}: {name} is {list(shape)} where the encoder is {list(encoder.shape)}",
                f"{list(expected)} would fit.",
            )
        if not tensor.is_floating_point():
            raise MonosemError(f"{path}: {name} holds {tensor.dtype}, not floating-point numbers")
        if not bool(tensor.isfinite().all()):
            raise MonosemError(f"{path}: {name} holds NaN or infinite numbers", "Its training has diverged.")
        found[name] = tensor.detach().float().contiguous()
    return found


def number(values: Mapping[str, Any], name: str, path: Path) -> float:
    """Return a positive number from a configuration.

    Raises:
        MonosemError: it is missing or not a positive number.
    """
    try:
        return decode(Positive, values.get(name))
    except JsonError as error:
        raise MonosemError(f"{path}: {error.inside(name)}") from None


def figure(value: Any) -> float | None:
    """Return a number; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def words(values: Mapping[str, Any], name: str) -> str:
    """Return a string from a configuration; empty if it is missing or not a string."""
    value = values.get(name)
    return value if isinstance(value, str) else ""
