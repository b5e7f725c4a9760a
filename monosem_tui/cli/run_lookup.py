"""Finds the run or store that a name stands for: a folder, a run's name, or a features.h5 copied home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.files.errors import MonosemError
from store.run.folder import WORKING, RunFolder, find_run, list_runs, runs_root


@dataclass(frozen=True)
class Place:
    """A run folder or a features.h5 file."""

    path: Path
    """Path for `FeatureStore.open`."""
    run: RunFolder | None
    """The run; None for a features.h5 on its own."""

    @property
    def name(self) -> str:
        """Name of the run or file."""
        return self.run.name if self.run else self.path.name


def find_place(name: str, root: Path) -> Place:
    """Find a features.h5 or run folder by path, or a run by its name under `root`.

    Raises:
        MonosemError: there is none.
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
    """Return a folder that holds runs and is not a run itself, else None."""
    folder = Path(name)
    return folder if not _to_open(RunFolder(folder)) and list_runs(folder) else None


def named_root(given: str | None) -> Path:
    """Return the folder of runs: the one given, else the usual one, which need not exist before the first run.

    Raises:
        MonosemError: the one given is no folder.
    """
    root = runs_root(given)
    if given and not root.is_dir():
        there = f"{root} is no folder" if root.exists() else f"there is no folder {root}"
        raise MonosemError(there, "Name the folder that holds your runs, or leave --runs-dir out.")
    return root


def only_run(root: Path) -> Place | None:
    """Return the only run under `root`; None where there is none, are several, or one is still at work.

    Raises:
        MonosemError: the only one has nothing to show.
    """
    runs = list_runs(root)
    if len(runs) != 1:
        return None
    run = runs[0]
    if has_index(run):
        return Place(run.path, run)
    if run.record().current_status() in WORKING:
        return None
    raise MonosemError(f"the run in {root} has no feature index", f"Make one with: monosem index {run.path}")


def at_work(place: Place) -> bool:
    """Return whether a run is being made and cannot be browsed yet, so that its training is all there is to see."""
    run = place.run
    return run is not None and run.exists() and not has_index(run) and run.record().current_status() in WORKING


def has_index(run: RunFolder) -> bool:
    """Return whether a run can be browsed: features.h5, or the first segment of an index."""
    return run.features.is_file() or (run.index / "seg-00000.h5").is_file()


def _to_open(run: RunFolder) -> bool:
    return run.exists() or run.sae.is_file() or has_index(run)
