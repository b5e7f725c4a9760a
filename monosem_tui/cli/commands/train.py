"""`monosem train`: one autoencoder, or every combination of lists of settings on one pass."""

from __future__ import annotations

from typing import Annotated

from monosem_tui.cli import options as o
from store.settings.train import TrainGrid


def train(
    grid: Annotated[
        TrainGrid,
        o.Flags(
            "model data activations layer site layer_out site_out tokens arch d_sae expansion k l1 batch lr context "
            "packing buffer max_norm checkpoint_every log_to eval_tokens index index_tokens seed data_seed device "
            "dtype weights"
        ),
    ],
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Train a sparse autoencoder, evaluate and index it; of lists (--k 16,32), every combination on one pass."""
    from engine.jobs.refusals import check_grid

    check_grid(grid, resume=resume, for_plan=dry_run)
    from engine.commands.train import planned, train_all
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.train import report
    from store.files.errors import WorkFailed
    from store.run.folder import runs_root

    jobs = planned(grid, out, runs_root(runs_dir), resume=resume)
    runs = [job.run for job in jobs]
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
