"""`monosem export` of a feature index: every form of it, without the model or torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from monosem_tui.export.browser import ExportProgress, write_browser
from monosem_tui.export.neuronpedia import batches, write_batch, write_explanations
from monosem_tui.export.plots import run_plots
from monosem_tui.export.tables import write_csv, write_parquet
from monosem_tui.model.run_health import densities
from monosem_tui.model.training_watch import Training
from store.files.atomic import new_folder, write_text
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes, beside
from store.run.events import TrainEvent, read_events

Form = Literal["html", "neuronpedia", "csv", "parquet", "svg"]
FORMS: tuple[Form, ...] = get_args(Form)


def write_dictionary(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    name: str,
    form: Form,
    out: Path,
    progress: ExportProgress,
    origin: str = "",
) -> list[Path]:
    """Write all features into the folder `out`, which appears when it is complete.

    Args:
        store: the index.
        notes: labels, bookmarks, comments and tags.
        name: name of the run or file.
        form: one of `FORMS`.
        out: a folder that does not exist yet, or is empty.
        progress: progress bars.
        origin: where an imported run came from, for pages.

    Returns:
        The files to look at; for html the page to start with.

    Raises:
        MonosemError: `out` exists and is not empty, cannot be written, or the index is damaged.
    """
    with new_folder(out) as folder:
        if form == "csv":
            made = [write_csv(store, notes, folder / "features.csv")]
        elif form == "parquet":
            made = [write_parquet(store, notes, folder / "features.parquet")]
        elif form == "svg":
            made = _plots(store, folder)
        elif form == "html":
            made = [write_browser(store, notes, name, folder, progress, origin)]
        else:
            said = write_explanations(store, notes, Explanations.load(store.path), name, folder)
            made = [*_batches(store, name, folder, progress), *([said] if said else [])]
    return [out / path.relative_to(folder) for path in made]


def _plots(store: FeatureStore, folder: Path) -> list[Path]:
    """Write the plots of the run, curves of its training among them where their record lies beside the index."""
    events = [one for one in read_events(beside(store.path, "events.jsonl")) if isinstance(one, TrainEvent)]
    plots = run_plots(densities(store), Training(tuple(events)), store.plan.noun)
    for name, plot in plots.items():
        write_text(folder / f"{name}.svg", plot + "\n")
    return [folder / f"{name}.svg" for name in plots]


def _batches(store: FeatureStore, name: str, folder: Path, progress: ExportProgress) -> list[Path]:
    made = []
    with progress.task("writing batches", batches(store), "files") as task:
        for number in range(batches(store)):
            made.append(write_batch(store, name, number, folder))
            task.advance(1)
    return made
