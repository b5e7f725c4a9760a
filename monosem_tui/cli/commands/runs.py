"""`monosem runs`: list the runs there are, the newest first."""

from __future__ import annotations

from monosem_tui.cli import options as o


def runs(runs_dir: o.RunsDir = None, json: o.Json = False) -> None:
    """List the runs there are, the newest first."""
    from monosem_tui.cli.reports.runs import report
    from store.run.folder import runs_root

    report(runs_root(runs_dir), json=json)
