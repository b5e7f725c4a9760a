"""`monosem index`: record every activation of every feature on a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.trained_run import IndexSettings

if TYPE_CHECKING:
    from store.run.folder import RunFolder


def index(
    run: o.Run,
    settings: Annotated[IndexSettings, o.Flags("data tokens model device dtype weights memory")],
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the index there is, once the new one is complete.")
    ] = False,
    add_offsets: Annotated[
        bool,
        typer.Option(
            "--add-offsets",
            help="Give the index there is what its tokens cover of the text, for monosem compare; tokenizes it again.",
        ),
    ] = False,
    nproc: o.Nproc = 1,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Record every activation of every feature on a corpus."""
    from engine.jobs.refusals import check_again
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    check_again(folder, settings, for_plan=dry_run)
    if add_offsets:
        _add_offsets(folder, settings, alone=not (resume or overwrite or dry_run or nproc > 1), json=json)
        return
    from engine.commands.rerun import index_run
    from monosem_tui.cli import output, ranks

    if dry_run:
        from engine.commands.dry_run import forecast_index
        from monosem_tui.cli.progress import ConsoleProgress
        from monosem_tui.cli.reports.dry_run import report as show

        show([folder], forecast_index(folder, settings, ConsoleProgress(), ranks=nproc), json=json)
        return
    if ranks.has_launched(nproc):
        return
    with ranks.sharing() as (place, progress):
        index_run(folder, settings, progress, resume=resume, overwrite=overwrite, ranks=place)
    if not place.first:
        return
    made = {"name": folder.name, "path": str(folder.path), "features": str(folder.features)}
    output.emit_result(made, str(folder.features), json=json)
    output.narrate(f"browse it with: monosem tui {folder.path}")


def _add_offsets(folder: RunFolder, settings: IndexSettings, *, alone: bool, json: bool) -> None:
    """Add offsets to the indexes of a run."""
    from engine.commands.add_offsets import add_offsets
    from monosem_tui.cli import output
    from monosem_tui.cli.progress import ConsoleProgress
    from store.files.errors import MonosemError

    if not alone or {"tokens", "memory"} & set(settings.given):
        raise MonosemError(
            "`add_offsets=True` adds to the index there is", "Leave out what is for making another: see --help."
        )
    written = [str(path) for path in add_offsets(folder, settings, ConsoleProgress())]
    made = {"name": folder.name, "path": str(folder.path), "offsets": written}
    output.emit_result(made, "\n".join(written) or "nothing to add", json=json)
