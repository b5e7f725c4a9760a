"""comparisons/NAME.h5: a comparison with another run, complete or absent, beside the first of the two."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from store.comparison.figures import Comparison, Side, Summary
from store.files.array_rules import ArrayRule, Rules, check_shapes
from store.files.errors import disk_errors
from store.files.hdf5_arrays import reading
from store.files.regular_file import own_folder
from store.files.sealed_hdf5 import create_sealed, open_described, put
from store.files.typed_json import decode, parse
from store.notes.note_file import beside
from store.run.new_folders import filename

KIND, FOLDER = "comparison", "comparisons"
_SIDES = ("a", "b")
_DTYPES = {
    "partner_F": "i4",
    "units_F": "i8",
    "joint_F": "i8",
    "judged_F": "?",
    "mutual_F": "?",
}
_COLUMNS = tuple(field.name for field in fields(Side))
_RULES: Rules = {
    f"{side}/{name}": ArrayRule(_DTYPES.get(name, "f4"), side.upper()) for side in _SIDES for name in _COLUMNS
}


def comparison_path(path: Path, other: str) -> Path:
    """Return where the comparison of a run folder or index with the run `other` is kept.

    Raises:
        MonosemError: the folder is a link.
    """
    return own_folder(beside(path, FOLDER)) / f"{filename(other)}.h5"


def save_comparison(path: Path, comparison: Comparison) -> None:
    """Write a comparison, all or nothing.

    Raises:
        MonosemError: the disk is full, or it cannot be written there.
    """
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    with create_sealed(path, KIND) as file:
        file.attrs["summary"] = json.dumps(asdict(comparison.summary))
        for name, side in zip(_SIDES, comparison.sides, strict=True):
            group = file.create_group(name)
            for column in _COLUMNS:
                put(group, column, getattr(side, column))


def load_comparison(path: Path) -> Comparison:
    """Read the file of `save_comparison`.

    Raises:
        MonosemError: it is missing, damaged or senseless, or of a newer schema.
    """
    file, found = open_described(path, KIND)
    with file, reading(path):
        lengths = check_shapes(found, _RULES)
        summary = decode(Summary, parse(str(file.attrs["summary"])))
        sides = [Side(**{column: file[f"{name}/{column}"][()] for column in _COLUMNS}) for name in _SIDES]
        if len(summary.sides) != len(sides):
            raise ValueError("its summary is not of two sides")
        for side, told, name, other in zip(sides, summary.sides, ("A", "B"), ("B", "A"), strict=True):
            _check(side, lengths[other])
            if told.features != lengths[name]:
                raise ValueError("its summary is of another number of features")
        return Comparison(summary, (sides[0], sides[1]))


def _check(side: Side, others: int) -> None:
    """Raise ValueError if a column holds what it cannot."""
    partner_F = side.partner_F
    if partner_F.size and not -1 <= partner_F.min() <= partner_F.max() < others:
        raise ValueError("it names partners that there are not")
    for name in ("r_F", "chosen_r_F", "jaccard_F", "coverage_F", "covered_F"):
        if not (np.abs(getattr(side, name)) <= 1 + 1e-5).all():
            raise ValueError(f"{name} holds more than 1")
