"""Names and folders of runs that are to be made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from store.files.atomic import require_folder
from store.run.folder import RunFolder
from store.settings.subject import SubjectSettings
from store.settings.train import TrainSettings

_ARRAY = re.compile(r"(.+)\.(?:npy|h5|hdf5|safetensors)(?::.*)?", re.IGNORECASE)
"""The last part of a path to a user's own activations, as engine.data.arrays takes it."""


def run_name(settings: SubjectSettings, marks: Mapping[str, str] | None = None) -> str:
    """Return a name for a new run that says what it is of: `gpt2-resid_post-6-topk`.

    `marks` (by setting) distinguish it from others of a grid; those of settings that every name has are left out.
    """
    others = [mark for name, mark in (marks or {}).items() if name not in ("site", "layer", "arch")]
    trained = settings if isinstance(settings, TrainSettings) else TrainSettings()
    source = (trained.activations or settings.model).rstrip("/").split("/")[-1]
    if array := _ARRAY.fullmatch(source):
        return "-".join([filename(f"{array[1]}-{trained.arch}"), *others])
    words = [source, settings.site, settings.layer, trained.arch]
    return "-".join([re.sub(r"[^\w.]+", "_", str(word)) for word in words if word is not None] + others)


def filename(text: str) -> str:
    """Replace what a file name had better not have, such as the colon of a module path, by underscores."""
    return re.sub(r"[^\w.-]+", "_", text)


def run_to_write(out: str | Path | None, root: Path, name: str, *, resume: bool) -> RunFolder:
    """Return the folder to work in: `out` (a bare name lies under `root`), else `root`/`name`, else with a number.

    New work takes the first free number; resumed work the last one taken: that of the same command before.
    """
    return runs_to_write(out, root, [name], [""], resume=resume)[0]


def runs_to_write(
    out: str | Path | None, root: Path, names: Sequence[str], endings: Sequence[str], *, resume: bool
) -> list[RunFolder]:
    """Return the folders of runs made together: `out` with each ending, else each name, all with the same number.

    Raises:
        MonosemError: the folder that they are to be in is missing; only `root` itself is made.
    """
    given = None if out is None else Path(out)
    place = given if given and (len(given.parts) != 1 or given.is_absolute()) else root / (given or "run")
    require_folder(root.absolute().parent if place.parent == root else place.parent)
    if given is not None:
        return [RunFolder(place.with_name(place.name + ending)) if ending else RunFolder(place) for ending in endings]
    taken = {path.name for name in names for path in root.glob(f"{name}*")}
    numbers = ["", *(f"-{number}" for number in range(2, len(taken) + 3))]
    free = next(i for i, number in enumerate(numbers) if not taken & {name + number for name in names})
    return [RunFolder(root / (name + numbers[max(free - 1, 0) if resume else free])) for name in names]
