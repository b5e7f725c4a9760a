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
            "packing buffer checkpoint_every log_to index index_tokens seed data_seed device dtype"
        ),
    ],
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Train a sparse autoencoder, evaluate and index it; of lists (--k 16,32), every combination on one pass."""
    from engine.commands.train import Job, train_all
    from engine.jobs.grid import variants
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.train import report
    from store.files.errors import WorkFailed
    from store.run.folder import runs_root
    from store.run.new_folders import filename, run_name, runs_to_write

    wanted = variants(grid)
    names = [run_name(one.settings, one.marks) for one in wanted]
    endings = ["".join(f"-{mark}" for mark in one.marks.values()) for one in wanted]
    runs = runs_to_write(out, runs_root(runs_dir), names, [filename(one) for one in endings], resume=resume)
    jobs = [Job(run, one.settings) for run, one in zip(runs, wanted, strict=True)]
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
