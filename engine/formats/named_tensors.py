"""An autoencoder of no known format, by the names that the user gives its tensors.

`W_enc=NAME,W_dec=NAME,b_enc=NAME,b_dec=NAME[,threshold=NAME]`. Shapes tell which way round the matrices lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.formats.foreign_sae import Foreign, Stated
from engine.formats.tensor_file import SUFFIXES, Shape, read_tensors, shapes_of
from engine.formats.untrusted_files import need, sound
from store.files.errors import MonosemError

ROLES = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold", "W_skip")
NEEDED = ("W_enc", "W_dec")
ARCHITECTURES = ("relu", "topk", "jumprelu")
"""Architectures without further tensors."""
WAY_IN = "--tensors W_enc=NAME,W_dec=NAME,b_enc=NAME,b_dec=NAME[,threshold=NAME] --arch A --k N"
SHOWN = 12
"""Tensors to name in a message."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """The user's facts about a file: its tensors' names by ours, its architecture, and whether it is a transcoder."""

    tensors: str
    arch: str | None = None
    k: int | None = None
    transcodes: bool = False


def read_named(path: Path, given: Given) -> Foreign:
    """Read a file by the names given.

    Raises:
        MonosemError: a name or the architecture is missing or unknown, or shapes do not agree.
    """
    names, file = _names(given.tensors), tensor_file_in(path)
    if file is None:
        raise MonosemError(f"{path} is not a file of tensors", f"Those are {', '.join(SUFFIXES)}.")
    arch = given.arch or ("jumprelu" if "threshold" in names else "topk" if given.k else None)
    if arch not in ARCHITECTURES:
        raise MonosemError(
            f"{arch or 'no architecture'} is not enough to compute {path}", f"Use `arch` = {', '.join(ARCHITECTURES)}."
        )
    if (arch == "topk") != (given.k is not None) or (arch == "jumprelu") != ("threshold" in names):
        raise MonosemError(f"{arch} does not fit the rest", "topk needs `k`, jumprelu a threshold, relu neither.")
    state = read_tensors(file)
    need(state, list(names.values()), file)
    tensors = _turned({ours: state[name].squeeze() for ours, name in names.items()}, file)
    found = sound(tensors, file)
    (d, _), o = found["W_enc"].shape, len(found["b_dec"])
    return Foreign(
        format="named tensors",
        source=str(file),
        arch=arch,
        tensors=found,
        k=given.k,
        d_out=o if given.transcodes or o != d else None,
        stated=Stated(l0=None if given.k is None else float(given.k)),
        details={"tensors": names},
        notes=("whether b_dec is subtracted from inputs is a guess: --subtract-b-dec, --no-subtract-b-dec",),
    )


def tensor_file_in(path: Path) -> Path | None:
    """Return a file of tensors, or the only one in a folder; None without one."""
    if path.is_file():
        return path if path.suffix in SUFFIXES else None
    files = [one for one in sorted(path.iterdir()) if one.suffix in SUFFIXES and one.is_file()]
    return files[0] if len(files) == 1 else None


def unknown(path: Path) -> MonosemError:
    """Return the error for a file whose tensors no format has: they are listed with the way to name them."""
    file = tensor_file_in(path)
    if file is None:
        return MonosemError(f"{path} has no format that monosem knows", f"Name a file of its tensors: {WAY_IN}")
    shapes = shapes_of(file)
    if not shapes:
        read_tensors(file)  # what is wrong with it is the better error
        return MonosemError(f"{file} holds no tensors", "Name the file with the weights.")
    return MonosemError(f"{file} has no format that monosem knows: {listed(shapes)}", f"Name its tensors: {WAY_IN}")


def listed(shapes: Mapping[str, Shape]) -> str:
    """Return tensors and shapes in words."""
    shown = [f"{name} {list(shape)}" for name, shape in list(shapes.items())[:SHOWN]]
    return ", ".join(shown) + (f" and {len(shapes) - SHOWN} more" if len(shapes) > SHOWN else "")


def _names(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    names = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    wrong = [one for one in names if one not in ROLES]
    missing = [one for one in NEEDED if one not in names]
    if wrong or missing or not all(names.values()):
        what = f"{wrong[0]} is not a tensor of ours" if wrong else f"{', '.join(missing) or 'a name'} is missing"
        raise MonosemError(f"`tensors`: {what}", f"Write {WAY_IN}")
    return names


def _turned(tensors: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Lay the matrices out as W_enc [D, F], W_dec [F, O], and set biases that are missing to 0.

    F is a bias' or threshold's length, else the one width that both matrices have, else the larger one; square
    matrices stay.
    """
    W_enc, W_dec = tensors["W_enc"], tensors["W_dec"]
    if W_enc.ndim != 2 or W_dec.ndim != 2:
        raise MonosemError(f"{file}: W_enc is {list(W_enc.shape)} and W_dec {list(W_dec.shape)}", "Both are matrices.")
    known = [len(tensors[name]) for name in ("b_enc", "threshold") if name in tensors and tensors[name].ndim == 1]
    shared = set(W_enc.shape) & set(W_dec.shape)
    d_sae = known[0] if known else max(shared or W_enc.shape)
    if W_enc.shape[1] != d_sae:
        tensors["W_enc"] = W_enc.mT
    if W_dec.shape[0] != d_sae:
        tensors["W_dec"] = W_dec.mT
    tensors.setdefault("b_enc", torch.zeros(d_sae))
    tensors.setdefault("b_dec", torch.zeros(tensors["W_dec"].shape[1]))
    if "threshold" in tensors:
        tensors["threshold"] = tensors["threshold"].reshape(-1).expand(d_sae)
    return tensors
