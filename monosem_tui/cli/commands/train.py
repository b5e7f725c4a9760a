"""`monosem train`: one autoencoder, or every combination of lists of settings on one pass."""

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
    layer: o.Layers = None,
    site: o.Sites = None,
    layer_out: o.LayersOut = None,
    site_out: o.SitesOut = None,
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
    log_to: Annotated[
        str | None,
        typer.Option("--log-to", metavar="NAME,…", help="Send log lines to tensorboard or wandb too (extras)."),
    ] = None,
    index: o.Index = None,
    index_tokens: o.IndexTokens = None,
    seed: o.Seeds = None,
    data_seed: o.DataSeed = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    dry_run: o.DryRun = False,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Train a sparse autoencoder, evaluate and index it; of lists (--k 16,32), every combination on one pass."""
    given = o.given(locals(), "out", "runs_dir", "resume", "config", "json", "dry_run")
    from engine.commands.train import Job, train_all
    from engine.jobs.grid import variants
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.train import report
    from monosem_tui.cli.run_lookup import runs_to_write
    from store.files.errors import WorkFailed
    from store.run.folder import runs_root

    wanted = variants(given)
    names = [o.run_name(one.given, one.marks) for one in wanted]
    endings = ["".join(f"-{mark}" for mark in one.marks.values()) for one in wanted]
    runs = runs_to_write(out, runs_root(runs_dir), names, [o.filename(one) for one in endings], resume=resume)
    jobs = [Job(run, one.given) for run, one in zip(runs, wanted, strict=True)]
    if dry_run:
        from engine.commands.dry_run import forecast_training
        from monosem_tui.cli.reports.dry_run import report as show

        show(runs, forecast_training(jobs, ConsoleProgress(), resume=resume), json=json)
        return
    try:
        train_all(jobs, ConsoleProgress(), resume=resume)
    except WorkFailed:
        if len(runs) > 1:
            report(runs, json=json)
        raise
    report(runs, json=json)
