"""`monosem compare`: the dictionaries of several runs on the text that they share, pair by pair."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from engine.comparison.compare import IndexedRun, compare
from engine.jobs.refusals import check_again
from engine.runtime.progress import Progress
from store.comparison.figures import Comparison
from store.comparison.file import comparison_path, save_comparison
from store.files.errors import MonosemError
from store.files.sealed_hdf5 import read_seal
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.settings.compare import CompareSettings
from store.settings.subject import ReopenSettings


@dataclass(frozen=True)
class Compared:
    """A pair of runs compared."""

    paths: tuple[Path, Path]
    """Run folders, or indexes."""
    indexes: tuple[Path, Path]
    """The indexes compared: the same, or the runs' folders of another text."""
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
        MonosemError: an index is missing or unfinished, two of them share no text, a run cannot be indexed on the text
            asked for, or the disk is full.
    """
    if len(paths) < 2:
        raise MonosemError("a comparison needs two runs", "Name another: `monosem compare A B`.")
    indexes, text = _on_one_text(paths, settings, progress)
    for first, second in combinations(range(len(paths)), 2):
        kept = comparison_path(paths[first], f"{names[second]}-{text}" if text else names[second])
        began = time.perf_counter()
        with FeatureStore.open(indexes[first]) as a, FeatureStore.open(indexes[second]) as b:
            both = (_side(names[first], a), _side(names[second], b))
            if len(paths) > 2:
                progress.say(f"{names[first]} and {names[second]}")
            found = compare(*both, settings, progress)
        found = replace(found, summary=replace(found.summary, text=text))
        save_comparison(kept, found)
        yield Compared(
            (paths[first], paths[second]), (indexes[first], indexes[second]), kept, found, time.perf_counter() - began
        )


def _on_one_text(paths: Sequence[Path], settings: CompareSettings, progress: Progress) -> tuple[Sequence[Path], str]:
    """Return the indexes to compare, and the name of their text: the runs' own, "", or those on the text asked for."""
    if settings.data is None:
        if "tokens" in settings.given or "device" in settings.given:
            raise MonosemError("`tokens` and `device` are for indexing a text", "Give `data` too.")
        return paths, ""
    runs = [RunFolder(path) for path in paths]
    asked = ReopenSettings(data=settings.data, device=settings.device)
    for run in runs:
        if not run.exists():
            raise MonosemError(f"{run.path} is not a run, so no text can be read through it", "Name its run's folder.")
        check_again(run, asked)
    from engine.commands.text_index import index_on_text  # PyTorch, which stored activations do not need

    places = [index_on_text(run, asked, settings.tokens, progress) for run in runs]
    return [place.path for place in places], places[0].name


def _side(name: str, store: FeatureStore) -> IndexedRun:
    if not store.complete:
        raise MonosemError(f"the index of {name} is not finished", "Finish it with `monosem index RUN --resume`.")
    path = store.path
    return IndexedRun(name, store, read_seal(path).sha256 if path.is_file() else "")
