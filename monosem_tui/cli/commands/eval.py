"""`monosem eval`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def evaluate(
    run: o.Run,
    data: o.Data = None,
    activations: Annotated[
        str | None,
        typer.Option(
            "--activations", metavar="FILE", help="Measure on an array: .npy, .h5:DATASET, .safetensors:NAME."
        ),
    ] = None,
    tokens: o.Tokens = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    runs_dir: o.RunsDir = None,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Measure an autoencoder on held-out text or activations."""
    given = o.given(locals(), "run", "runs_dir", "config", "json")
    from engine.commands.rerun import evaluate_again
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.eval import report
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    report(folder, evaluate_again(folder, given, ConsoleProgress()).to_json(), json=json)
