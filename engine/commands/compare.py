"""`monosem compare`: the dictionaries of several runs on the text that they share, pair by pair."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from engine.comparison.compare import IndexedRun, compare
from engine.runtime.progress import Progress
from store.comparison.figures import Comparison
from store.comparison.file import comparison_path, save_comparison
from store.files.errors import MonosemError
from store.files.sealed_hdf5 import read_seal
from store.index.reader import FeatureStore
from store.settings.compare import CompareSettings


@dataclass(frozen=True)
class Compared:
    """A pair of runs compared."""

    paths: tuple[Path, Path]
    """Run folders, or indexes."""
    kept: Path
    """The file that keeps the comparison, beside the first."""
    comparison: Comparison
    seconds: float


def compare_runs(
    paths: Sequence[Path], names: Sequence[str], settings: CompareSettings, progress: Progress
) -> Iterator[Compared]:
    """Compare every pair of runs, keep each comparison beside its first run, and yield it.

    Args:
        paths: at least two run folders, or features.h5 files.
        names: their names.
        settings: units, what is judged, nulls.
        progress: receives reports.

    Raises:
        MonosemError: an index is missing or unfinished, two of them share no text, or the disk is full.
    """
    if len(paths) < 2:
        raise MonosemError("a comparison needs two runs", "Name another: `monosem compare A B`.")
    for first, second in combinations(range(len(paths)), 2):
        kept = comparison_path(paths[first], names[second])
        began = time.perf_counter()
        with FeatureStore.open(paths[first]) as a, FeatureStore.open(paths[second]) as b:
            both = (_side(names[first], a), _side(names[second], b))
            if len(paths) > 2:
                progress.say(f"{names[first]} and {names[second]}")
            found = compare(*both, settings, progress)
        save_comparison(kept, found)
        yield Compared((paths[first], paths[second]), kept, found, time.perf_counter() - began)


def _side(name: str, store: FeatureStore) -> IndexedRun:
    if not store.complete:
        raise MonosemError(f"the index of {name} is not finished", "Finish it with `monosem index RUN --resume`.")
    path = store.path
    return IndexedRun(name, store, read_seal(path).sha256 if path.is_file() else "")
