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
    nproc: o.Nproc = 1,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Train a sparse autoencoder, evaluate and index it; of lists (--k 16,32), every combination on one pass."""
    from engine.jobs.refusals import check_grid

    check_grid(grid, resume=resume, for_plan=dry_run)
    from engine.commands.train import planned, train_all
    from monosem_tui.cli import ranks
    from monosem_tui.cli.reports.train import report
    from store.files.errors import WorkFailed
    from store.run.folder import runs_root

    if dry_run:
        from engine.commands.dry_run import forecast_training
        from monosem_tui.cli.progress import ConsoleProgress
        from monosem_tui.cli.reports.dry_run import report as show

        jobs = planned(grid, out, runs_root(runs_dir), resume=resume)
        show(
            [job.run for job in jobs], forecast_training(jobs, ConsoleProgress(), resume=resume, ranks=nproc), json=json
        )
        return
    if ranks.has_launched(nproc):
        return
    with ranks.sharing() as (place, progress):
        jobs = place.shared(lambda: planned(grid, out, runs_root(runs_dir), resume=resume))
        try:
            train_all(jobs, progress, resume=resume, ranks=place)
        except WorkFailed:
            if place.first and len(jobs) > 1:
                report([job.run for job in jobs], json=json)
            raise
    if place.first:
        report([job.run for job in jobs], json=json)
