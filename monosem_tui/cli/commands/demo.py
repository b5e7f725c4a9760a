"""`monosem demo`: make a small model and its features, and browse them."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def demo(
    runs_dir: o.RunsDir = None,
    open_it: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Browse it at the end; else where there is a terminal.")
    ] = None,
) -> None:
    """Make a small model and its features, and browse them."""
    import sys

    from engine.commands.demo import make_demo
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.summary import report_demo
    from store.run.folder import RunFolder, runs_root

    run = RunFolder(runs_root(runs_dir) / "demo")
    make_demo(run, ConsoleProgress())
    if open_it or (open_it is None and sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        from monosem_tui.launch import browse

        raise typer.Exit(browse(run.path, color=None, mouse=None))
    report_demo(run)
