"""`monosem doctor`: say what monosem finds on this machine and in this terminal."""

from __future__ import annotations

from monosem_tui.cli import options as o


def doctor(runs_dir: o.RunsDir = None, json: o.Json = False) -> None:
    """Say what monosem finds on this machine and in this terminal."""
    from monosem_tui.cli.reports.doctor import report
    from store.run.folder import runs_root

    report(runs_root(runs_dir), json=json)
