"""`monosem lm`: train a small language model from scratch."""

from __future__ import annotations

from typing import Annotated

from monosem_tui.cli import options as o
from store.settings.lm import LmSettings


def lm(
    settings: Annotated[
        LmSettings,
        o.Flags("data tokens vocab layers d_model heads d_mlp activation context lr batch seed device dtype"),
    ],
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Train a small language model from scratch."""
    from engine.commands.train_lm import train_lm
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.lm import report
    from store.run.folder import runs_root
    from store.run.new_folders import run_to_write

    run = run_to_write(out, runs_root(runs_dir), "lm", resume=resume)
    if dry_run:
        from engine.commands.dry_run import forecast_lm
        from monosem_tui.cli.reports.dry_run import report as show

        show([run], forecast_lm(run, settings, ConsoleProgress(), resume=resume), json=json)
        return
    report(run, train_lm(run, settings, ConsoleProgress(), resume=resume), json=json)
