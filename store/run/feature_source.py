"""Sources of features: a run, or a baseline of it: `demo`, `demo:neurons`, `demo:random`, `demo:seed`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from store.files.regular_file import own_folder
from store.run.folder import RunFolder

Baseline = Literal["neurons", "random", "seed"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
TITLES: dict[Baseline, str] = {
    "neurons": "the MLP's neurons",
    "random": "the same model with random weights",
    "seed": "the same settings with another seed",
}
"""Baselines in words."""
FOLDER = "baselines"


@dataclass(frozen=True)
class FeatureSource:
    """The name of what has features: a run (by name or path), and which of its baselines is meant, if one is."""

    run: str
    baseline: Baseline | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `RUN` or `RUN:BASELINE`; a file or folder of that very name is a run."""
        run, _, word = text.rpartition(":")
        found = next((one for one in BASELINES if one == word), None)
        return cls(text) if found is None or not run or os.path.exists(text) else cls(run, found)  # noqa: PTH110


def baseline_folder(run: RunFolder, baseline: Baseline) -> Path:
    """Return the folder of a baseline: of `random` and `seed` an ordinary run, of `neurons` what a pass has read.

    Raises:
        MonosemError: it is a link, or lies behind one.
    """
    folder = run.path / FOLDER / baseline
    own_folder(folder.parent)
    return own_folder(folder)
