"""`monosem tui`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def tui(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's folder or name, or a features.h5; else the newest run.")
    ] = None,
    runs_dir: o.RunsDir = None,
    color: o.Color = None,
    mouse: o.Mouse = None,
) -> None:
    """Browse features in the terminal."""
    from monosem_tui.cli.places import find_place, newest_indexed
    from monosem_tui.launch import browse
    from store.run import runs_root

    root = runs_root(runs_dir)
    place = find_place(run, root) if run is not None else newest_indexed(root)
    raise typer.Exit(browse(place.path, color=color, mouse=mouse))
