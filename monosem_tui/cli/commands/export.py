"""`monosem export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from monosem_tui.cli import options as o


def export(
    run: o.Run,
    to: Annotated[
        Literal["saelens", "sparsify", "dictionary-learning", "csv", "parquet"],
        typer.Option("--to", metavar="FORMAT", help="saelens, sparsify or dictionary-learning; a table: csv, parquet."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the files go; it must be empty.")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Write a run's autoencoder for another library, or its features as a table."""
    from engine.formats.exporting import export as write
    from monosem_tui.cli import output
    from store.run import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    written = [str(path) for path in write(folder, to, out)]
    if json:
        output.emit_json({"name": folder.name, "to": to, "files": written})
        return
    for path in written:
        output.emit_text(path)
