"""`monosem verify`: prove that a run's files are what was written."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or name, or one of its .h5 files.")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Prove that a run's files are what was written."""
    from monosem_tui.cli.reports.verify import report
    from store.run.folder import runs_root

    report(run, runs_root(runs_dir), json=json)
