"""`monosem export`: write a run's autoencoder for another library, or its features as pages to browse or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from monosem_tui.cli import options as o

LIBRARIES = ("saelens", "sparsify", "dictionary-learning")
"""Formats that hold the autoencoder; the others hold the feature index."""


def export(
    run: o.Run,
    to: Annotated[
        Literal["saelens", "sparsify", "dictionary-learning", "neuronpedia", "html", "csv", "parquet", "svg"],
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="saelens, sparsify, dictionary-learning: the autoencoder; neuronpedia, html, csv, parquet: features; "
            "svg: plots of the run.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the files go; it must be empty.")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Write a run's autoencoder for another library, or its features as pages to browse or a table."""
    from monosem_tui.cli import output
    from store.run.folder import runs_root

    root = runs_root(runs_dir)
    name, written = _library(run, to, out, root) if to in LIBRARIES else _features(run, to, out, root)
    files = [str(path) for path in written]
    output.emit_result({"name": name, "to": to, "files": files}, "\n".join(files), json=json)


def _library(name: str, to: str, out: Path, root: Path) -> tuple[str, list[Path]]:
    from engine.commands.export_sae import export as write
    from store.run.folder import find_run

    run = find_run(name, root)
    return run.name, write(run, to, out)


def _features(name: str, to: str, out: Path, root: Path) -> tuple[str, list[Path]]:
    from monosem_tui.cli import output
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.feature import origin_of
    from monosem_tui.cli.run_lookup import find_place
    from monosem_tui.export.index_export import FORMS, write_dictionary
    from store.index.reader import FeatureStore
    from store.notes.note_file import Notes, notes_path

    place = find_place(name, root)
    form = next(form for form in FORMS if form == to)
    with FeatureStore.open(place.path) as store:
        if not store.complete:
            output.narrate(f"the index is not complete: {store.n_contexts} of {store.plan.n_contexts} contexts so far")
        notes = Notes(notes_path(place.path)).load()
        progress, origin = ConsoleProgress(), origin_of(place)
        return place.name, write_dictionary(store, notes, place.name, form, out, progress, origin)
