"""`monosem lm`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def lm(
    data: o.Data = None,
    tokens: o.Tokens = None,
    vocab: Annotated[int | None, typer.Option("--vocab", metavar="N", help="Size of the vocabulary [4096].")] = None,
    layers: Annotated[int | None, typer.Option("--layers", metavar="N", min=1, help="Transformer blocks [1].")] = None,
    d_model: Annotated[
        int | None, typer.Option("--d-model", metavar="N", min=1, help="Width of the residual stream [128].")
    ] = None,
    heads: Annotated[int | None, typer.Option("--heads", metavar="N", min=1, help="Attention heads [of 32].")] = None,
    d_mlp: Annotated[
        int | None, typer.Option("--d-mlp", metavar="N", min=1, help="Width of the MLP [4 × d-model].")
    ] = None,
    activation: Annotated[
        str | None, typer.Option("--activation", metavar="NAME", help="Of the MLP: relu, gelu_new, gelu, silu [relu].")
    ] = None,
    context: o.Context = None,
    lr: o.Lr = None,
    batch: o.Batch = None,
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
    """Train a small language model from scratch."""
    given = o.given(locals(), "out", "runs_dir", "resume", "config", "json", "dry_run")
    from engine.commands.train_lm import train_lm
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.lm import report
    from monosem_tui.cli.run_lookup import run_to_write
    from store.run.folder import runs_root

    run = run_to_write(out, runs_root(runs_dir), "lm", resume=resume)
    if dry_run:
        from engine.commands.dry_run import forecast_lm
        from monosem_tui.cli.reports.dry_run import report as show

        show([run], forecast_lm(run, given, ConsoleProgress(), resume=resume), json=json)
        return
    report(run, train_lm(run, given, ConsoleProgress(), resume=resume), json=json)
