"""`monosem extract`: write a model's activations into HDF5 shards."""

from __future__ import annotations

from typing import Annotated

from monosem_tui.cli import options as o
from store.settings.extract import ExtractSettings


def extract(
    settings: Annotated[
        ExtractSettings, o.Flags("model data layer site tokens keep context packing seed device dtype weights")
    ],
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    nproc: o.Nproc = 1,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Write a model's activations into HDF5 shards."""
    from engine.jobs.refusals import check_subject

    if not (resume and "model" not in settings.given):
        check_subject(settings, for_plan=dry_run)
    from engine.commands.extract import extract as write
    from monosem_tui.cli import output, ranks
    from store.run.folder import RunFolder, runs_root
    from store.run.new_folders import run_name, run_to_write

    def folder() -> RunFolder:
        return run_to_write(out, runs_root(runs_dir), run_name(settings), resume=resume)

    if dry_run:
        from engine.commands.dry_run import forecast_extraction
        from monosem_tui.cli.progress import ConsoleProgress
        from monosem_tui.cli.reports.dry_run import report as show

        run = folder()
        forecast = forecast_extraction(run, settings, ConsoleProgress(), resume=resume, ranks=nproc)
        show([run], forecast, json=json)
        return
    if ranks.has_launched(nproc):
        return
    with ranks.sharing() as (place, progress):
        run = place.shared(folder)
        write(run, settings, progress, resume=resume, ranks=place)
    if not place.first:
        return
    made = {"name": run.name, "path": str(run.path), "activations": str(run.activations)}
    output.emit_result(made, str(run.path), json=json)
    output.narrate(f"train from them with: monosem train --activations {run.path}")
