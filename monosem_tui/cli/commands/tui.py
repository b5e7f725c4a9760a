"""`monosem tui`: browse features in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o


def tui(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="A run's folder or name, a features.h5, or a folder of runs; else the list."
        ),
    ] = None,
    runs_dir: o.RunsDir = None,
    color: o.Color = None,
    mouse: o.Mouse = None,
    theme: o.Theme = None,
    web: Annotated[
        bool, typer.Option("--web", help="Show it in a browser on this machine instead: http://127.0.0.1:PORT.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where --web listens; on 127.0.0.1 only.")
    ] = 8000,
    attach: Annotated[
        Path | None,
        typer.Option("--attach", metavar="PATH", help="Use the model that monosem serve keeps open at this socket."),
    ] = None,
) -> None:
    """Browse features in the terminal."""
    from monosem_tui.cli.run_lookup import at_work, find_place, folder_of_runs, named_root, only_run
    from monosem_tui.launch import browse

    several = folder_of_runs(run) if run is not None else None
    root = several or named_root(runs_dir)
    place = only_run(root) if run is None or several else find_place(run, root)
    attach = attach.expanduser().absolute() if attach is not None else None
    if web:
        from monosem_tui.terminal.web import serve

        asked = [
            *([str(place.path)] if place else []),
            *(["--runs-dir", str(root)] if several or runs_dir else []),
            *(["--color", color] if color else []),
            *(["--theme", theme] if theme else []),
            *(["--mouse" if mouse else "--no-mouse"] if mouse is not None else []),
            *(["--attach", str(attach)] if attach is not None else []),
        ]
        serve(asked, port, f"monosem {place.name}" if place else "monosem")
        return
    if place is None:
        raise typer.Exit(browse(None, root=root, color=color, mouse=mouse, theme=theme, attach=attach))
    if at_work(place):
        root, path = place.path.parent, place.path
        raise typer.Exit(browse(None, root=root, followed=path, color=color, mouse=mouse, theme=theme, attach=attach))
    raise typer.Exit(browse(place.path, color=color, mouse=mouse, theme=theme, attach=attach))
