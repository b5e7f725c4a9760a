"""Files of tensors of any kind: what they hold, from their headers, and their contents.

.safetensors, .npz, and what torch.save writes (.pt, .pth, .bin). The weights may lie in a dictionary inside, such as
`state_dict`, or have a common prefix, such as `module.`: both are taken off.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.formats.untrusted_files import npy_header, read_npz, read_safetensors, read_torch

TORCH = (".pt", ".pth", ".bin")
SUFFIXES = (*TORCH, ".safetensors", ".npz")
PREFIXES = ("module.", "_orig_mod.", "model.", "sae.", "autoencoder.", "ae.")
"""Names of wrappers, before every tensor's name."""

Shape = tuple[int, ...]


def shapes_of(path: Path) -> dict[str, Shape]:
    """Return the tensors of a file and their shapes, without reading them; empty if it is not a file of tensors."""
    if path.suffix not in SUFFIXES or not path.is_file():
        return {}
    facts = path.stat()
    return dict(_shapes(path, facts.st_mtime_ns, facts.st_size))


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a file of tensors; one that torch.save wrote may hold plain values too.

    Raises:
        MonosemError: it is damaged, or a pickle that would run code.
    """
    if path.suffix == ".safetensors":
        return without_prefix(read_safetensors(path))
    return without_prefix(read_npz(path)) if path.suffix == ".npz" else unwrapped(read_torch(path))


def unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one dictionary inside that holds tensors, where none lie beside it, with the plain values beside."""
    inner = [one for one in state.values() if isinstance(one, Mapping) and _holds_tensors(one)]
    if _holds_tensors(state) or len(inner) != 1:
        return without_prefix(state)
    return {name: one for name, one in state.items() if not isinstance(one, Mapping)} | unwrapped(inner[0])


def without_prefix(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dictionary without the prefix that all its tensors have."""
    names = [name for name, one in state.items() if isinstance(one, Tensor)]
    for prefix in PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return without_prefix({name.removeprefix(prefix): one for name, one in state.items()})
    return dict(state)


def _holds_tensors(state: Mapping[str, Any]) -> bool:
    return any(isinstance(one, Tensor) for one in state.values())


@lru_cache(maxsize=256)
def _shapes(path: Path, _changed: int, _size: int) -> Mapping[str, Shape]:
    try:
        held = _headers(path)
    except (OSError, SafetensorError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError):
        return {}
    return {name: tuple(one.shape) for name, one in unwrapped(held).items() if isinstance(one, Tensor)}


def _headers(path: Path) -> dict[str, Any]:
    """Return tensors without contents."""
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return {name: _empty(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if path.suffix == ".npz":
        found = {}
        with zipfile.ZipFile(path) as packed:
            for member in packed.infolist():
                with packed.open(member) as stream:
                    found[member.filename.removesuffix(".npy")] = _empty(npy_header(stream)[0])
        return found
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickle protocols
            is_zip = zipfile.is_zipfile(path)  # mapped: gigabytes stay unread
            value = torch.load(path, map_location="meta", mmap=is_zip, weights_only=True)
    except Exception:  # torch raises almost anything; reading the file gives the error that says what
        return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _empty(shape: Any) -> Tensor:
    return torch.empty(tuple(shape), device="meta")
