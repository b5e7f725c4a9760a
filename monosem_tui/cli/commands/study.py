"""`monosem study`: several models, layers, sizes and seeds on one text, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o


def study(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What to train, explain and compare.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where all of it goes; else studies/NAME after the file."),
    ] = None,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Train dictionaries of several models on one text, explain and compare their features, and write a report."""
    from monosem_tui.cli.study_file import read_study

    study, text = read_study(file, context)
    from engine.commands.study import run_study, study_forecast
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.study import report, report_forecast
    from store.files.atomic import require_folder, write_text
    from store.files.errors import disk_errors

    folder = out or Path("studies") / file.stem
    if dry_run:
        report_forecast(study_forecast(study, folder, ConsoleProgress()), json=json)
        return
    with disk_errors(folder):
        if out is None:
            folder.parent.mkdir(exist_ok=True)
        require_folder(folder.absolute().parent)
    figures = run_study(study, folder, ConsoleProgress())
    write_text(folder / "study.toml", text + "\n")
    report(figures, folder, json=json)
