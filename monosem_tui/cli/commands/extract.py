"""`monosem extract`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def extract(
    model: o.Model = None,
    data: o.Data = None,
    layer: o.Layer = None,
    site: o.Site = None,
    tokens: o.Tokens = None,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="TYPE", help="On disk: float16, bfloat16 or float32 [float16].")
    ] = None,
    context: o.Context = None,
    packing: o.Packing = None,
    seed: o.Seed = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    dry_run: o.DryRun = False,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Write a model's activations into HDF5 shards."""
    given = o.given(locals(), "out", "runs_dir", "resume", "config", "dry_run", "json")
    from engine.commands.extract import extract as write
    from monosem_tui.cli import output
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.run_lookup import run_to_write
    from store.run.folder import runs_root

    run = run_to_write(out, runs_root(runs_dir), o.run_name(given), resume=resume)
    if dry_run:
        from engine.commands.dry_run import forecast_extraction
        from monosem_tui.cli.reports.dry_run import report as show

        show([run], forecast_extraction(run, given, ConsoleProgress(), resume=resume), json=json)
        return
    write(run, given, ConsoleProgress(), resume=resume)
    if json:
        output.emit_json({"name": run.name, "path": str(run.path), "activations": str(run.activations)})
    else:
        output.emit_text(str(run.path))
    output.narrate(f"train from them with: monosem train --activations {run.path}")
