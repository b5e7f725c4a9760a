"""From what a person names to what can be opened: a run's folder, its name, or a features.h5 copied home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.files.errors import MonosemError
from store.run.folder import WORKING, RunFolder, find_run, list_runs


@dataclass(frozen=True)
class Place:
    """Something with features in it, or a run that will have some."""

    path: Path
    """A run folder or a features.h5, as `FeatureStore.open` takes it."""
    run: RunFolder | None
    """The run it belongs to; None for a features.h5 by itself."""

    @property
    def name(self) -> str:
        """The run's name, or the file's."""
        return self.run.name if self.run else self.path.name


def find_place(name: str, root: Path) -> Place:
    """A features.h5 or run folder by path, or a run by its name under `root`.

    Raises:
        MonosemError: there is nothing of that name.
    """
    if Path(name).is_file():
        beside = RunFolder(Path(name).parent)
        return Place(Path(name), beside if beside.exists() else None)
    for folder in (Path(name), root / name):
        run = RunFolder(folder)
        if _to_open(run):
            return Place(folder, run)
    found = find_run(name, root)
    return Place(found.path, found)


def folder_of_runs(name: str) -> Path | None:
    """A folder with runs in it that is no run itself; None where `name` is anything else."""
    folder = Path(name)
    return folder if not _to_open(RunFolder(folder)) and list_runs(folder) else None


def only_run(root: Path) -> Place | None:
    """The one run under `root`; None where there are several to choose from, or one whose work can be followed.

    Raises:
        MonosemError: there is none, or nothing to look at in the one there is.
    """
    runs = list_runs(root)
    if not runs:
        raise MonosemError(f"there are no runs in {root}", "`monosem demo` makes one in a few minutes.")
    if len(runs) > 1:
        return None
    run = runs[0]
    if has_index(run):
        return Place(run.path, run)
    if run.record().current_status() in WORKING:
        return None
    raise MonosemError(f"the run in {root} has no feature index", f"Make one with: monosem index {run.path}")


def has_index(run: RunFolder) -> bool:
    """Whether a run can be browsed: features.h5, or the first segment of an index."""
    return run.features.is_file() or (run.index / "seg-00000.h5").is_file()


def _to_open(run: RunFolder) -> bool:
    return run.exists() or run.sae.is_file() or has_index(run)
