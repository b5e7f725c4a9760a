"""`monosem eval`: measure an autoencoder on held-out text or activations."""

from __future__ import annotations

from typing import Annotated

from monosem_tui.cli import options as o
from store.settings.trained_run import EvaluateSettings


def eval_(
    run: o.Run,
    settings: Annotated[EvaluateSettings, o.Flags("data activations tokens model device dtype weights")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Measure an autoencoder on held-out text or activations."""
    from engine.jobs.refusals import check_again
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    if settings.activations is None:
        check_again(folder, settings)
    from engine.commands.rerun import evaluate_again
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.eval import report

    report(folder, evaluate_again(folder, settings, ConsoleProgress()).to_json(), json=json)
