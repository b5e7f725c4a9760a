"""`monosem export` of what a feature index holds: one door to every form of it, with neither the model nor torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from monosem_tui.export.browser import ExportProgress, write_browser
from monosem_tui.export.neuronpedia import batches, write_batch
from monosem_tui.export.tables import write_csv, write_parquet
from store.files.atomic import new_folder
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes

Form = Literal["html", "neuronpedia", "csv", "parquet"]
FORMS: tuple[Form, ...] = get_args(Form)


def write_dictionary(
    store: FeatureStore, notes: dict[int, FeatureNotes], name: str, form: Form, out: Path, progress: ExportProgress
) -> list[Path]:
    """Write all features into the folder `out`, which appears when it is complete.

    Args:
        store: the index.
        notes: labels, bookmarks, comments and tags.
        name: the run's name, or the file's.
        form: one of `FORMS`.
        out: a folder that is not there yet, or is empty.
        progress: who is told.

    Returns:
        The files to look at: of html the page to begin with.

    Raises:
        MonosemError: `out` is in the way, cannot be written, or the index is damaged.
    """
    with new_folder(out) as folder:
        if form == "csv":
            made = [write_csv(store, notes, folder / "features.csv")]
        elif form == "parquet":
            made = [write_parquet(store, notes, folder / "features.parquet")]
        elif form == "html":
            made = [write_browser(store, notes, name, folder, progress)]
        else:
            made = _batches(store, name, folder, progress)
    return [out / path.relative_to(folder) for path in made]


def _batches(store: FeatureStore, name: str, folder: Path, progress: ExportProgress) -> list[Path]:
    made = []
    with progress.task("writing batches", batches(store), "files") as task:
        for number in range(batches(store)):
            made.append(write_batch(store, name, number, folder))
            task.advance(1)
    return made
