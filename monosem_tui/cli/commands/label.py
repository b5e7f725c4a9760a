"""`monosem label`: label, bookmark, tag and comment features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.features import NoteSettings


def label(
    run: o.RunOrIndex,
    feature: Annotated[
        int | None, typer.Argument(metavar="ID", min=0, help="A feature's number; without it, all notes of the run.")
    ] = None,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help='Its label; "" takes the label away.', show_default=False)
    ] = None,
    *,
    wanted: Annotated[NoteSettings, o.Flags("bookmark tag untag comment", from_file=False)],
    exported: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write all notes to a .csv or .json file.")
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Add notes of a .csv or .json file (labels here stay), or Neuronpedia's explanations (.jsonl[.gz]).",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="--import: let the file win; its empty cells empty what is here. --export: replace any file.",
        ),
    ] = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Label, bookmark, tag and comment features; list, export and import such notes."""
    from monosem_tui.cli.reports import label as notes
    from monosem_tui.cli.run_lookup import find_place
    from store.files.errors import MonosemError
    from store.run.folder import runs_root

    if feature is None and (text is not None or wanted.given):
        raise MonosemError("which feature? A note needs its number after RUN", "monosem label RUN ID TEXT")
    if (exported or imported) and feature is not None:
        raise MonosemError("--export and --import are about all notes of a run", "Leave the number of a feature out.")
    if exported and imported:
        raise MonosemError("--export and --import at once", "Import first, then export.")
    if overwrite and not (imported or exported):
        raise MonosemError("--overwrite goes with --import and --export")
    place = find_place(run, runs_root(runs_dir))
    if exported:
        notes.export(place, exported, overwrite=overwrite)
    elif imported:
        notes.take_in(place, imported, overwrite=overwrite, json=json)
    elif feature is None:
        notes.report(place, json=json)
    else:
        notes.say(place, feature, text, wanted, json=json)
