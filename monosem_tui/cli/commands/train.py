"""`monosem train`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def train(
    model: o.Model = None,
    data: o.Data = None,
    activations: Annotated[
        str | None,
        typer.Option(
            "--activations",
            metavar="PATH",
            help="Read them, with no model: a run of monosem extract, or an array (.npy, .h5:DATASET, .safetensors).",
        ),
    ] = None,
    layer: o.Layer = None,
    site: o.Site = None,
    tokens: o.Tokens = None,
    arch: o.Arch = None,
    d_sae: o.DSae = None,
    expansion: o.Expansion = None,
    k: o.K = None,
    l1: o.L1 = None,
    batch: o.Batch = None,
    lr: o.Lr = None,
    context: o.Context = None,
    packing: o.Packing = None,
    buffer: Annotated[
        int | None, typer.Option("--buffer", metavar="COUNT", parser=o.count, help="Activations shuffled at a time.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option("--checkpoint-every", metavar="STEPS", min=1, help="Else one every two minutes.")
    ] = None,
    index: o.Index = None,
    index_tokens: o.IndexTokens = None,
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
    """Train a sparse autoencoder, evaluate and index it."""
    given = o.given(locals(), "out", "runs_dir", "resume", "config", "json", "dry_run")
    from engine.train import train as fit
    from monosem_tui.cli.places import run_to_write
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.training import report
    from store.run import runs_root

    run = run_to_write(out, runs_root(runs_dir), o.run_name(given), resume=resume)
    if dry_run:
        from engine.dry_run import forecast_training
        from monosem_tui.cli.reports.plan import report as show

        show(run, forecast_training(run, given, ConsoleProgress(), resume=resume), json=json)
        return
    fit(run, given, ConsoleProgress(), resume=resume)
    report(run, json=json)
